/**
 * Answers GetPreferredAllocation: which of the free devices the kubelet had best give a container.
 *
 * The kubelet lists what is free in no order. Devices are weighed in the order of the offer instead, so that the same
 * node in the same state always gets the same answer, and that answer is NVIDIA's for a list in that order.
 */
import { TrancheError } from "../base/index.ts";
import type { AllocationPolicy } from "../config/index.ts";
import { alignedChoice } from "./aligned.ts";
import { greedyChoice } from "./greedy.ts";
import { isReplica } from "./isolation.ts";
import type { Device, Offer, PairScore } from "./types.ts";

export interface PreferredAllocationRequest {
  readonly offer: Offer;
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly size: number;
  readonly policy: AllocationPolicy;
  /** Asked for each pair of free GPUs when whole GPUs are picked; `linkScore` makes the numbers. */
  readonly pairScore: PairScore;
}

/**
 * Ids of the devices to prefer.
 *
 * Whole, unshared GPUs are picked by their links; an empty answer means that no such set can be had. Shares and MIG
 * devices are picked one by one by `policy`. Throws `unknown-device` and `not-enough-devices`.
 */
export function preferredAllocation(request: PreferredAllocationRequest): readonly string[] {
  const { offer, available } = request;
  const isAligned =
    !available.some((id) => isReplica(id)) && offer.devices.every(({ migProfile }) => migProfile === undefined);
  return isAligned ? alignedIds(request) : greedyIds(request);
}

function alignedIds({ offer, available, mustInclude, size, pairScore }: PreferredAllocationRequest): readonly string[] {
  const free = pickDevices(offer, new Set(available));
  const position = new Map(free.map(({ id }, at) => [id, at]));
  const required = [...new Set(mustInclude)].map((id) => position.get(id));
  if (required.some((at) => at === undefined)) {
    pickDevices(offer, new Set(mustInclude));
    return [];
  }
  const scores = free.map((a) => free.map((b) => (a === b ? 0 : pairScore(a.gpuUuid, b.gpuUuid))));
  const choice = alignedChoice({ scores, required: required.filter((at) => at !== undefined), size });
  return choice.map((at) => free[at]?.id).filter((id) => id !== undefined);
}

function greedyIds(request: PreferredAllocationRequest): readonly string[] {
  const { offer, mustInclude, size, policy } = request;
  const required = new Set(mustInclude);
  pickDevices(offer, required);
  const picked = greedyChoice({
    devices: offer.devices,
    available: oneGpuOnly(request),
    required,
    needed: size - mustInclude.length,
    policy,
  });
  if (picked === undefined) {
    throw new TrancheError("not-enough-devices", "not enough available devices to satisfy allocation");
  }
  return [...mustInclude, ...picked];
}

/**
 * What to pick from, 1 for each device of the offer: an MPS client uses one GPU, so its shares come from one that has
 * enough of them. `packed` takes the GPU with the fewest free, `distributed` that with the most; where none has enough,
 * all are left to pick from.
 */
function oneGpuOnly(request: PreferredAllocationRequest): Uint8Array {
  const { offer, available, mustInclude, size, policy } = request;
  const { devices } = offer;
  const free = listed(devices, available);
  if (offer.sharing !== "mps" || size < 2) return free;
  const open = devices.filter((_, at) => free[at] === 1);
  const [one] = [...Map.groupBy(open, ({ uuid }) => uuid).values()]
    .map((ofGpu) => new Set(ofGpu.map(({ id }) => id)))
    .filter((ids) => ids.size >= size && mustInclude.every((id) => ids.has(id)))
    .sort((a, b) => (policy === "packed" ? a.size - b.size : b.size - a.size));
  return one === undefined ? free : flags(devices, one);
}

/** 1 for each device whose id is listed. Ids the offer does not have count for nothing. */
function listed(devices: readonly Device[], ids: readonly string[]): Uint8Array {
  const found = new Uint8Array(devices.length);
  let next = 0;
  for (let at = 0; at < devices.length && next < ids.length; at += 1) {
    if (devices[at]?.id !== ids[next]) continue;
    found[at] = 1;
    next += 1;
  }
  // Ids that stand in the order of the offer, as the plugin server gives them, need no set, which would take longer than
  // everything else.
  return next === ids.length ? found : flags(devices, new Set(ids));
}

function flags(devices: readonly Device[], ids: ReadonlySet<string>): Uint8Array {
  return Uint8Array.from(devices, ({ id }) => (ids.has(id) ? 1 : 0));
}

/** The devices of these ids in the order of the offer; throws `unknown-device` when one of them is not in it. */
function pickDevices(offer: Offer, ids: ReadonlySet<string>): readonly Device[] {
  if (ids.size === 0) return [];
  const devices = offer.devices.filter(({ id }) => ids.has(id));
  if (devices.length === ids.size) return devices;
  const known = new Set(devices.map(({ id }) => id));
  const unknown = [...ids].find((id) => !known.has(id));
  throw new TrancheError("unknown-device", `invalid request: unknown device: ${unknown}`);
}
