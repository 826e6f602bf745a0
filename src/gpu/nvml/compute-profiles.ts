/**
 * Compute instance profiles: NVML tells them only of a GPU instance that stands, so before that they are the
 * catalogue's, or for a GPU it does not know those that the rule of widths allows.
 */
import type { ComputeInstanceProfile, MigProfile } from "../model.ts";
import { toldPlaces } from "./placements.ts";
import {
  argumentVersionMismatch,
  callError,
  invalidArgument,
  noPermission,
  notSupported,
  success,
} from "./return-codes.ts";
import type { GpuInstanceHandle, Session } from "./session.ts";
import type { Struct } from "./struct.ts";
import {
  type ComputeInstanceProfileField,
  computeInstanceProfile,
  computeInstanceProfileV2,
  computeInstanceProfileV3,
} from "./structs.ts";

/** Enumerators by compute slices (nvml.h, `NVML_COMPUTE_INSTANCE_PROFILE_*`). */
const enumeratorOfWidth: ReadonlyMap<number, number> = new Map([
  [1, 0],
  [2, 1],
  [3, 2],
  [4, 3],
  [6, 6],
  [7, 4],
  [8, 5],
]);

/** Enumerators in use end at 8. */
const enumeratorBound = 16;

/** NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED, the only one there is. */
const sharedEngines = 0;

/** NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2 */
const doubleMemory = 9;

interface ProfileCall {
  readonly symbol: "nvmlGpuInstanceGetComputeInstanceProfileInfoV" | "nvmlGpuInstanceGetComputeInstanceProfileInfo";
  readonly struct: Struct<ComputeInstanceProfileField>;
}

const profileCalls: readonly ProfileCall[] = [
  { symbol: "nvmlGpuInstanceGetComputeInstanceProfileInfoV", struct: computeInstanceProfileV3 },
  { symbol: "nvmlGpuInstanceGetComputeInstanceProfileInfoV", struct: computeInstanceProfileV2 },
  { symbol: "nvmlGpuInstanceGetComputeInstanceProfileInfo", struct: computeInstanceProfile },
];

interface Told {
  readonly nvmlProfileId: number;
  readonly smiProfileId: number;
  readonly computeSlices: number;
  readonly maxInstances: number;
  readonly multiprocessors: number;
}

/** What the hardware tells of the compute instances that a GPU instance can hold. */
export interface ToldComputeProfiles {
  /** One for each width, narrow to wide. */
  readonly profiles: readonly ComputeInstanceProfile[];
  /** Ids of all of them: instances that others created may have any. */
  readonly ids: readonly number[];
}

/**
 * The compute instance profiles that the hardware tells of a standing GPU instance; `undefined` where it tells of none,
 * as of one that has just gone.
 *
 * Of several with one width the first counts, at full width the first that has all multiprocessors of the GPU
 * instance: beside a plain 1c some drivers list REV1 with the same figures. The double-memory 1g (REV2) is the
 * exception, its own is the last (REV1 on H100 and GH200).
 */
export function toldComputeProfiles(
  session: Session,
  gpuUuid: string,
  instance: GpuInstanceHandle,
  profile: MigProfile,
): ToldComputeProfiles | undefined {
  const told = readAll(session, gpuUuid, instance);
  if (told.length === 0) return undefined;
  const widths = [...new Set(told.map(({ computeSlices }) => computeSlices))].toSorted((a, b) => a - b);
  const profiles = widths.flatMap((width) => {
    const same = told.filter(({ computeSlices }) => computeSlices === width);
    const full = same.filter(({ multiprocessors }) => multiprocessors === profile.multiprocessors);
    const whole = profile.nvmlProfileId === doubleMemory ? full.at(-1) : full[0];
    const chosen = (width === profile.computeSlices ? whole : undefined) ?? same[0];
    if (chosen === undefined) return [];
    const catalogued = profile.computeInstanceProfiles.find((one) => one.computeSlices === width);
    const starts =
      toldPlaces(session, "nvmlGpuInstanceGetComputeInstancePossiblePlacements", gpuUuid, {
        handle: instance,
        profileId: chosen.smiProfileId,
      })?.starts ??
      catalogued?.starts ??
      startsOf(width, profile.computeSlices);
    return [{ ...chosen, name: nameOf(profile.name, width, profile.computeSlices), starts, size: width }];
  });
  return { profiles, ids: told.map(({ smiProfileId }) => smiProfileId) };
}

/** The compute instance profiles that a GPU instance of `slices` compute slices has by rule. */
export function widthsOf(profileName: string, slices: number): readonly ComputeInstanceProfile[] {
  // A narrower width w is sensible when two of them come near the whole: 2w <= g+1 (NVIDIA go-nvlib, device.go).
  const widths = [...enumeratorOfWidth.keys()].filter((width) => width === slices || 2 * width <= slices + 1);
  return widths
    .toSorted((a, b) => a - b)
    .map((width) => {
      const enumerator = enumeratorOfWidth.get(width) ?? 0;
      const starts = startsOf(width, slices);
      return {
        name: nameOf(profileName, width, slices),
        nvmlProfileId: enumerator,
        smiProfileId: enumerator,
        computeSlices: width,
        maxInstances: starts.length,
        multiprocessors: undefined,
        starts,
        size: width,
      };
    });
}

/** Multiples of the width, of 4 for three slices, as far as they fit. */
function startsOf(width: number, slices: number): readonly number[] {
  const step = width === 3 ? 4 : width;
  const starts: number[] = [];
  for (let start = 0; start + width <= slices; start += step) starts.push(start);
  return starts;
}

function nameOf(profileName: string, width: number, slices: number): string {
  return width === slices ? profileName : `${width}c.${profileName}`;
}

function readAll(session: Session, gpuUuid: string, instance: GpuInstanceHandle): readonly Told[] {
  const ask = ({ symbol, struct }: ProfileCall, enumerator: number, info = struct.allocate()) => ({
    info,
    result: session.try(symbol, gpuUuid, instance, enumerator, sharedEngines, info),
  });
  const call = profileCalls.find(
    (one) => session.has(one.symbol) && ![invalidArgument, argumentVersionMismatch].includes(ask(one, 0).result),
  );
  if (call === undefined) return [];
  const told: Told[] = [];
  for (let enumerator = 0; enumerator < enumeratorBound; enumerator++) {
    const { info, result } = ask(call, enumerator);
    if (result === success) {
      told.push({
        nvmlProfileId: enumerator,
        smiProfileId: call.struct.u32(info, "id"),
        computeSlices: call.struct.u32(info, "sliceCount"),
        maxInstances: call.struct.u32(info, "instanceCount"),
        multiprocessors: call.struct.u32(info, "multiprocessorCount"),
      });
    } else if (result === invalidArgument || result === noPermission) {
      break;
    } else if (result !== notSupported) {
      throw callError(call.symbol, gpuUuid, result);
    }
  }
  return told;
}
