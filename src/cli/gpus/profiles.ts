/**
 * `tranche gpus profiles`: what each GPU can be cut into, and what of it still fits beside what stands.
 */
import { freePlacements, type Gpu, type Layout, type MigProfile, remainingCapacity } from "../../gpu/index.ts";
import { geometryOf } from "../../partition/index.ts";
import { table } from "../table.ts";

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
    const layout = gpu.instances.map(({ profile, placement }) => ({ profile, start: placement.start }));
    return gpu.profiles.map((profile) => {
      const free = geometry && {
        count: remainingCapacity(geometry, layout, profile),
        at: freeAt(gpu, layout, profile),
      };
      return {
        gpu: gpu.index,
        profile: profile.name,
        id: profile.smiProfileId,
        free: free?.count ?? null,
        total: profile.maxInstances,
        memoryMiB: profile.memoryMiB ?? null,
        computeSlices: profile.computeSlices,
        memorySlices: profile.memorySlices,
        multiprocessors: profile.multiprocessors ?? null,
        placements: profile.starts.map((start) => `${start}:${profile.memorySlices}`),
        freePlacements: free?.at ?? [],
        computeInstances: profile.computeInstanceProfiles.map(({ name }) => name),
      };
    });
  });
}

function freeAt(gpu: Gpu, layout: Layout, profile: MigProfile): readonly string[] {
  const geometry = geometryOf(gpu);
  if (geometry === undefined) return [];
  return freePlacements(geometry, layout, profile).map(({ start, size }) => `${start}:${size}`);
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
