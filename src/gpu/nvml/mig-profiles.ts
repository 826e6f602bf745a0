/**
 * What a GPU can be cut into, read from the hardware; what NVML does not tell is filled in from the catalogue.
 *
 * Three numbers must be kept apart: the enumerator that the info calls take (`nvmlProfileId`), the id that they answer
 * and that creation takes (`smiProfileId`), and the id of a standing instance.
 */
import { migDeviceName, migGigabytes, parseMigProfileName } from "../mig-name.ts";
import type { Engines, GpuModel, MigProfile } from "../model.ts";
import { widthsOf } from "./compute-profiles.ts";
import { type Places, toldPlaces } from "./placements.ts";
import {
  argumentVersionMismatch,
  callError,
  invalidArgument,
  noPermission,
  notSupported,
  success,
} from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";
import type { Struct } from "./struct.ts";
import {
  type GpuInstanceProfileField,
  gpuInstanceProfile,
  gpuInstanceProfileV2,
  gpuInstanceProfileV3,
} from "./structs.ts";

/** A profile as the info call tells it. */
interface ToldProfile {
  readonly nvmlProfileId: number;
  readonly smiProfileId: number;
  /** `undefined` where the library has only the first version of the call, which does not tell it. */
  readonly name: string | undefined;
  readonly computeSlices: number;
  readonly maxInstances: number;
  readonly multiprocessors: number;
  readonly engines: Engines;
  readonly memoryMiB: number;
}

/** Enumerators in use end at 17; a library answers invalid-argument beyond those it knows. */
const enumeratorBound = 32;

interface ProfileCall {
  readonly symbol: "nvmlDeviceGetGpuInstanceProfileInfoV" | "nvmlDeviceGetGpuInstanceProfileInfo";
  readonly struct: Struct<GpuInstanceProfileField>;
}

const profileCalls: readonly ProfileCall[] = [
  { symbol: "nvmlDeviceGetGpuInstanceProfileInfoV", struct: gpuInstanceProfileV3 },
  { symbol: "nvmlDeviceGetGpuInstanceProfileInfoV", struct: gpuInstanceProfileV2 },
  { symbol: "nvmlDeviceGetGpuInstanceProfileInfo", struct: gpuInstanceProfile },
];

/** Every profile the hardware tells of; empty where it tells of none, as old drivers do while MIG is off. */
function toldProfiles(session: Session, gpu: OpenGpu): readonly ToldProfile[] {
  const call = profileCalls.find((one) => session.has(one.symbol) && isKnown(session, gpu, one));
  if (call === undefined) return [];
  const told: ToldProfile[] = [];
  for (let enumerator = 0; enumerator < enumeratorBound; enumerator++) {
    const info = call.struct.allocate();
    const result = session.try(call.symbol, gpu.uuid, gpu.handle, enumerator, info);
    if (result === success) told.push(readProfile(call, enumerator, info));
    else if (result === invalidArgument || result === noPermission) break;
    // The list is kept: a call that failed must not shorten it for as long as the GPU is open.
    else if (result !== notSupported) throw callError(call.symbol, gpu.uuid, result);
  }
  return told;
}

/** Whether the library knows this version of the call; it refuses a tag it does not know as a wrong argument. */
function isKnown(session: Session, gpu: OpenGpu, { symbol, struct }: ProfileCall): boolean {
  const result = session.try(symbol, gpu.uuid, gpu.handle, 0, struct.allocate());
  return ![invalidArgument, argumentVersionMismatch, noPermission].includes(result);
}

function readProfile({ struct }: ProfileCall, nvmlProfileId: number, info: Buffer): ToldProfile {
  const number = (field: GpuInstanceProfileField): number => struct.u32(info, field);
  return {
    nvmlProfileId,
    smiProfileId: number("id"),
    name: struct.offsets.has("name") ? struct.text(info, "name").replace(/^MIG /, "") || undefined : undefined,
    computeSlices: number("sliceCount"),
    maxInstances: number("instanceCount"),
    multiprocessors: number("multiprocessorCount"),
    engines: {
      copy: number("copyEngineCount"),
      decoder: number("decoderCount"),
      encoder: number("encoderCount"),
      jpeg: number("jpegCount"),
      ofa: number("ofaCount"),
    },
    memoryMiB: Number(struct.u64(info, "memorySizeMB")),
  };
}

/** Cards whose instance counts NVML reports wrongly (NVIDIA mig-parted, pkg/mig/discovery/discovery.go). */
const miscounting: readonly string[] = ["a30-24gb"];

/**
 * The profiles of a GPU in the order of their enumerators. One of which neither hardware nor catalogue tells where it
 * can stand has no starts: nothing is created by it, but an instance of it that stands is seen.
 */
export function profilesOf(
  session: Session,
  gpu: OpenGpu,
  { model, cardMiB }: { readonly model: GpuModel | undefined; readonly cardMiB: number },
): readonly MigProfile[] {
  const known = model?.mig?.profiles ?? [];
  const placed = toldProfiles(session, gpu).map((told) => {
    const catalogued = known.find((one) => one.smiProfileId === told.smiProfileId);
    const places = toldPlaces(session, "nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu.uuid, {
      handle: gpu.handle,
      profileId: told.smiProfileId,
    });
    return { told, catalogued, places: places ?? placesOf(catalogued) ?? { starts: [], size: told.computeSlices } };
  });
  const cardSlices = Math.max(
    model?.mig?.memorySlices ?? 0,
    ...placed.map(({ places: { starts, size } }) => (starts.at(-1) ?? 0) + size),
  );
  return placed.map(({ told, catalogued, places: { starts, size } }) => {
    const name = told.name ?? catalogued?.name ?? computedName(told, cardMiB);
    const trusted = catalogued !== undefined && miscounting.includes(model?.id ?? "");
    return {
      name,
      nvmlProfileId: told.nvmlProfileId,
      smiProfileId: told.smiProfileId,
      computeSlices: told.computeSlices,
      memorySlices: size,
      memoryMiB: told.memoryMiB,
      memoryMiBShare: catalogued?.memoryMiBShare ?? Math.floor((cardMiB * size) / cardSlices),
      multiprocessors: told.multiprocessors,
      engines: told.engines,
      maxInstances: trusted ? catalogued.maxInstances : Math.min(told.maxInstances, starts.length),
      attributes: parseMigProfileName(name)?.attributes ?? [],
      starts,
      computeInstanceProfiles: named(catalogued, name) ?? widthsOf(name, told.computeSlices),
      confidence: {
        placements: "captured",
        memory: "captured",
        multiprocessors: "captured",
        engines: "captured",
        ci: catalogued?.confidence.ci ?? "unknown",
      },
    };
  });
}

function placesOf(catalogued: MigProfile | undefined): Places | undefined {
  return catalogued && { starts: catalogued.starts, size: catalogued.memorySlices };
}

/** The catalogue's compute instance profiles under the name that this driver gives the profile. */
function named(catalogued: MigProfile | undefined, name: string): MigProfile["computeInstanceProfiles"] | undefined {
  if (catalogued === undefined || catalogued.name === name) return catalogued?.computeInstanceProfiles;
  return catalogued.computeInstanceProfiles.map((one) => ({
    ...one,
    name: one.name.replace(catalogued.name, name),
  }));
}

/** NVML enumerators that say more than the number of slices: REV1 is `+me`. */
const rev1: readonly number[] = [7, 8];

function computedName({ computeSlices, memoryMiB, nvmlProfileId }: ToldProfile, cardMiB: number): string {
  return migDeviceName({
    computeSlices,
    gpuSlices: computeSlices,
    gigabytes: migGigabytes(memoryMiB, cardMiB),
    attributes: rev1.includes(nvmlProfileId) ? ["me"] : [],
  });
}
