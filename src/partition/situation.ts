/**
 * The facts a plan starts from, in the numbers of a layout space: what stands, who holds it, what is wanted.
 */
import {
  type ComputeInstance,
  type Gpu,
  type GpuInstance,
  geometryOfProfiles,
  type LayoutSpace,
  layoutSpace,
  type MigGeometry,
  type MigProfile,
  modelById,
} from "../gpu/index.ts";
import type { Content } from "./compute.ts";

/** A GPU instance that stands, and its slot in the space. */
export interface Standing {
  readonly instance: GpuInstance;
  readonly slot: number;
}

/** A MIG device that pods hold. */
export interface HeldDevice {
  readonly standing: Standing;
  readonly device: ComputeInstance;
  readonly pods: readonly string[];
}

/** For each profile of the geometry, how many compute instances of each of its `computeInstanceProfiles`. */
export type DeviceCounts = readonly (readonly number[])[];

export interface Situation {
  readonly space: LayoutSpace;
  /** Slot mask of what stands. */
  readonly current: number;
  readonly standing: readonly Standing[];
  readonly wanted: DeviceCounts;
}

/** Where to go. */
export interface Choice {
  /** Slot mask of the GPU instances that stand afterwards. */
  readonly target: number;
  /** How many of the wanted devices stand afterwards. */
  readonly stood: number;
  /** How many devices stand afterwards. */
  readonly devices: number;
  /** What becomes of each slot of `target`; `undefined`: each gets, or has, one device that takes it whole. */
  readonly contents: ReadonlyMap<number, Content> | undefined;
}

/**
 * Who holds what: UUID of a MIG device or of a whole GPU to `namespace/name` of the pods, and to `process 4242 (python)`
 * for processes of which no pod is known.
 */
export type Holders = ReadonlyMap<string, readonly string[]>;

/** Fits the slot masks of `LayoutSpace`. */
const maxSlots = 32;

/**
 * Geometries put together from the driver's profiles and the catalogue's totals, kept only so that the space of such
 * a geometry is not computed anew for every plan; an entry goes with the profile list of its GPU.
 */
const driverGeometries = new WeakMap<readonly MigProfile[], MigGeometry>();

/**
 * How this GPU can be cut: slices, engines and exclusions from the catalogue, profiles as the driver reports them; for a
 * model the catalogue does not know all of it from the driver's profiles. `undefined` when the driver tells no places
 * either, or more than can be planned.
 */
export function geometryOf(gpu: Gpu): MigGeometry | undefined {
  const known = gpu.modelId === undefined ? undefined : modelById(gpu.modelId)?.mig;
  if (known !== undefined && sameProfiles(known.profiles, gpu.profiles)) return known;
  if (gpu.profiles.reduce((sum, { starts }) => sum + starts.length, 0) > maxSlots) return undefined;
  const cached = driverGeometries.get(gpu.profiles);
  if (cached !== undefined) return cached;
  const geometry = known === undefined ? geometryOfProfiles(gpu.profiles) : { ...known, profiles: gpu.profiles };
  if (geometry !== undefined) driverGeometries.set(gpu.profiles, geometry);
  return geometry;
}

/** What stands on `gpu` as slots; `undefined` when an instance stands where the geometry has no place for one. */
export function standingOf(space: LayoutSpace, gpu: Gpu): readonly Standing[] | undefined {
  const standing: Standing[] = [];
  for (const instance of gpu.instances) {
    const { profile, placement } = instance;
    const slot = space.slots.findIndex(
      (one) => one.start === placement.start && one.profile.smiProfileId === profile.smiProfileId,
    );
    if (slot < 0) return undefined;
    standing.push({ instance, slot });
  }
  return standing;
}

/** The situation of a GPU on which `standing` stands. */
export function situationOf(geometry: MigGeometry, standing: readonly Standing[], wanted: DeviceCounts): Situation {
  const current = standing.reduce((mask, { slot }) => mask | (1 << slot), 0);
  return { space: layoutSpace(geometry), current, standing, wanted };
}

/** The MIG devices that pods hold. A pod that holds the GPU as a whole can use, and so holds, every device on it. */
export function heldDevices(gpu: Gpu, standing: readonly Standing[], holders: Holders): readonly HeldDevice[] {
  const held: HeldDevice[] = [];
  const everywhere = holders.get(gpu.uuid) ?? [];
  for (const one of standing) {
    for (const device of one.instance.computeInstances) {
      const own = holders.get(device.uuid) ?? [];
      if (own.length + everywhere.length > 0) held.push({ standing: one, device, pods: [...own, ...everywhere] });
    }
  }
  return held;
}

/** `3g.40gb@4`, or `1c.3g.40gb@4/2` for a device narrower than its GPU instance. */
export function deviceName({ profile, placement }: GpuInstance, device: ComputeInstance): string {
  const within = device.profile === profile.name ? "" : `/${device.placement.start}`;
  return `${device.profile}@${placement.start}${within}`;
}

/** Whether the instance has exactly the one compute instance that takes it whole. */
export function isWhole({ profile, computeInstances }: GpuInstance): boolean {
  return computeInstances.length === 1 && computeInstances[0]?.profile === profile.name;
}

/** How many of each device stand, in the shape of what is wanted. */
export function standingCounts(space: LayoutSpace, standing: readonly Standing[]): DeviceCounts {
  const counts = space.geometry.profiles.map(({ computeInstanceProfiles }) => computeInstanceProfiles.map(() => 0));
  for (const { instance, slot } of standing) {
    const own = counts[space.slotProfiles[slot] ?? 0] ?? [];
    for (const { profile: name } of instance.computeInstances) {
      const kind = instance.profile.computeInstanceProfiles.findIndex((one) => one.name === name);
      if (kind >= 0) own[kind] = (own[kind] ?? 0) + 1;
    }
  }
  return counts;
}

/** In any order: NVML tells profiles by its enumerators, the catalogue as nvidia-smi lists them. */
function sameProfiles(a: readonly MigProfile[], b: readonly MigProfile[]): boolean {
  return a === b || (a.length === b.length && a.every((one) => b.some((other) => sameProfile(one, other))));
}

function sameProfile(a: MigProfile, b: MigProfile): boolean {
  if (a === b) return true;
  return (
    a.smiProfileId === b.smiProfileId &&
    a.name === b.name &&
    a.memorySlices === b.memorySlices &&
    a.computeSlices === b.computeSlices &&
    a.maxInstances === b.maxInstances &&
    a.starts.join() === b.starts.join() &&
    a.computeInstanceProfiles.map((one) => `${one.name}@${one.starts.join()}`).join() ===
      b.computeInstanceProfiles.map((one) => `${one.name}@${one.starts.join()}`).join()
  );
}

/** The slots of a mask, ascending. */
export function slotsOf(mask: number): readonly number[] {
  const slots: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) slots.push(31 - Math.clz32(rest & -rest));
  return slots;
}
