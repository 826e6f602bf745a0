/**
 * `tranche gpus profiles`: what each GPU can be cut into, and what of it still fits beside what stands.
 */
import { freePlacements, type Gpu, remainingCapacity } from "../../gpu/index.ts";
import { geometryOf } from "../../partition/index.ts";
import { table } from "../table.ts";
import { standingLayout } from "./layouts.ts";

/** One profile of one GPU. */
export interface ProfileRow {
  readonly gpu: number;
  readonly profile: string;
  /** As nvidia-smi shows it. */
  readonly id: number;
  /** How many more fit now, and how many an empty GPU holds; `null` where the GPU's geometry is not known. */
  readonly free: number | null;
  readonly total: number;
  readonly memoryMiB: number | null;
  readonly computeSlices: number;
  readonly memorySlices: number;
  readonly multiprocessors: number | null;
  /** `start:size` in memory slices: everywhere, and where it fits now. */
  readonly placements: readonly string[];
  readonly freePlacements: readonly string[];
  /** Narrower MIG devices that an instance can be cut into. */
  readonly computeInstances: readonly string[];
}

/** Every profile of every GPU, in the order of the driver. */
export function profileRows(gpus: readonly Gpu[]): readonly ProfileRow[] {
  return gpus.flatMap((gpu) => {
    const geometry = geometryOf(gpu);
    const layout = standingLayout(gpu);
    return gpu.profiles.map((profile) => {
      const count = geometry && remainingCapacity(geometry, layout, profile);
      const at = geometry === undefined ? [] : freePlacements(geometry, layout, profile);
      return {
        gpu: gpu.index,
        profile: profile.name,
        id: profile.smiProfileId,
        free: count ?? null,
        total: profile.maxInstances,
        memoryMiB: profile.memoryMiB ?? null,
        computeSlices: profile.computeSlices,
        memorySlices: profile.memorySlices,
        multiprocessors: profile.multiprocessors ?? null,
        placements: profile.starts.map((start) => `${start}:${profile.memorySlices}`),
        freePlacements: at.map(({ start, size }) => `${start}:${size}`),
        computeInstances: profile.computeInstanceProfiles.map(({ name }) => name),
      };
    });
  });
}

/** The rows as `nvidia-smi mig -lgip` and `-lgipp` have them in one table. */
export function profilesText(rows: readonly ProfileRow[], wide: boolean): string {
  const header = ["GPU", "PROFILE", "ID", "FREE/TOTAL", "MEMORY", "SM", "FITS NOW AT", "OF"];
  const known = (value: number | null, unit = ""): string => (value === null ? "?" : `${value}${unit}`);
  return table(
    wide ? [...header, "COMPUTE INSTANCES"] : header,
    rows.map((row) => [
      String(row.gpu),
      row.profile,
      String(row.id),
      `${known(row.free)}/${row.total}`,
      known(row.memoryMiB, " MiB"),
      known(row.multiprocessors),
      row.freePlacements.length === 0 ? "-" : row.freePlacements.join(" "),
      row.placements.join(" "),
      ...(wide ? [row.computeInstances.join(" ")] : []),
    ]),
  );
}
