/**
 * Picks shares and MIG devices one after another, spread over devices or packed onto few.
 *
 * Order as in NVIDIA k8s-device-plugin internal/rm/allocate.go: by how many shares of the device are handed out, then
 * by how many this request has from it. Where that leaves the choice open NVIDIA picks by chance; here a MIG device
 * comes from the GPU that is most in use, so that whole GPUs stay free to be cut anew, and then the first device wins.
 */
import type { AllocationPolicy } from "../config/index.ts";
import type { Device } from "./types.ts";

export interface GreedyRequest {
  /** All devices of the resource, in device order. */
  readonly devices: readonly Device[];
  /** 1 for each device that may be picked, in device order. */
  readonly available: Uint8Array;
  /** Ids the request already holds; they are not picked again. */
  readonly required: ReadonlySet<string>;
  /** How many more to pick. */
  readonly needed: number;
  readonly policy: AllocationPolicy;
}

/** Shares of one device. */
interface Group {
  /** Devices of its GPU that nobody can pick, counted before this request picks any. */
  readonly gpu: { inUse: number };
  readonly isMig: boolean;
  /** No more of them than are needed. */
  readonly free: string[];
  /** How many of `free` are picked; the first ones. */
  taken: number;
  allocated: number;
  /** How many the request has of it. */
  held: number;
}

/** The picked ids, or `undefined` when too few are free. */
export function greedyChoice(request: GreedyRequest): readonly string[] | undefined {
  const groups = groupDevices(request);
  const open = groups.filter(({ free }) => free.length > 0);
  const picked: string[] = [];
  while (picked.length < request.needed) {
    const group = bestGroup(open, request.policy);
    const id = group?.free[group.taken];
    if (group === undefined || id === undefined) return undefined;
    picked.push(id);
    group.taken += 1;
    group.allocated += 1;
    group.held += 1;
    if (group.taken === group.free.length) open.splice(open.indexOf(group), 1);
  }
  return picked;
}

function groupDevices({ devices, available, required, needed }: GreedyRequest): readonly Group[] {
  const groups = new Map<string, Group>();
  const gpus = new Map<string, { inUse: number }>();
  let group: Group | undefined;
  let uuid: string | undefined;
  for (const [at, device] of devices.entries()) {
    if (group === undefined || device.uuid !== uuid) {
      uuid = device.uuid;
      group = groups.get(uuid) ?? newGroup(device, gpus);
      groups.set(uuid, group);
    }
    const isRequired = required.size > 0 && required.has(device.id);
    if (!isRequired && available[at] === 1) {
      if (group.free.length < needed) group.free.push(device.id);
      continue;
    }
    group.allocated += 1;
    group.gpu.inUse += 1;
    if (isRequired) group.held += 1;
  }
  return [...groups.values()];
}

function newGroup(device: Device, gpus: Map<string, { inUse: number }>): Group {
  const gpu = gpus.get(device.gpuUuid) ?? { inUse: 0 };
  gpus.set(device.gpuUuid, gpu);
  return { gpu, isMig: device.migProfile !== undefined, free: [], taken: 0, allocated: 0, held: 0 };
}

function bestGroup(groups: readonly Group[], policy: AllocationPolicy): Group | undefined {
  let best: Group | undefined;
  for (const group of groups) if (best === undefined || comesBefore(group, best, policy)) best = group;
  return best;
}

function comesBefore(a: Group, b: Group, policy: AllocationPolicy): boolean {
  if (a.allocated !== b.allocated) return policy === "packed" ? a.allocated > b.allocated : a.allocated < b.allocated;
  if (a.held !== b.held) return a.held < b.held;
  return a.isMig && b.isMig && a.gpu.inUse > b.gpu.inUse;
}
