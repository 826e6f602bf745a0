/**
 * The steps from what stands to a chosen layout, and what they keep, destroy and create.
 *
 * Everything that goes is destroyed before anything is created: first compute instances, then the GPU instance around
 * them (nvmlGpuInstanceDestroy refuses otherwise).
 */
import type { ComputeInstance, GpuInstance, MigProfile, Placement } from "../gpu/index.ts";
import type { Content } from "./compute.ts";
import { type Choice, type Situation, slotsOf } from "./situation.ts";
import type { PlannedInstance, Step } from "./types.ts";

/** The part of a plan that concerns instances. */
export interface InstanceSteps {
  readonly kept: readonly PlannedInstance[];
  readonly destroyed: readonly PlannedInstance[];
  readonly created: readonly PlannedInstance[];
  readonly steps: readonly Step[];
  /** UUIDs of the MIG devices that go. */
  readonly withdrawn: readonly string[];
}

/** Steps that lead to `choice`; kept GPU instances first, each list by ascending start. */
export function instanceSteps(situation: Situation, choice: Choice): InstanceSteps {
  const { space, current, standing } = situation;
  const kept: PlannedInstance[] = [];
  const destroyed: PlannedInstance[] = [];
  const first: Step[] = [];
  const last: Step[] = [];
  const withdrawn: string[] = [];
  for (const { instance, slot } of standing) {
    if ((choice.target & (1 << slot)) === 0) {
      destroyed.push(plannedOf(instance));
      first.push(...destroySteps(instance));
      withdrawn.push(...instance.computeInstances.map(({ uuid }) => uuid));
      continue;
    }
    const content = contentOf(choice, slot, instance);
    const going = instance.computeInstances.filter((one) => isDestroyed(instance.profile, one, content));
    const coming = content.created.map((kind) => nameOf(instance.profile, kind));
    first.push(...going.map((one) => destroyComputeStep(instance, one)));
    last.push(...createComputeSteps(instance.placement, coming));
    withdrawn.push(...going.map(({ uuid }) => uuid));
    const staying = instance.computeInstances.filter((one) => !going.includes(one)).map(({ profile }) => profile);
    kept.push({ ...plannedOf(instance), computeInstances: [...staying, ...coming] });
  }
  const created = slotsOf(choice.target & ~current)
    .flatMap((slot) => {
      const placed = space.slots[slot];
      if (placed === undefined) return [];
      const { profile, start } = placed;
      const kinds = choice.contents?.get(slot)?.created ?? [profile.computeInstanceProfiles.length - 1];
      const computeInstances = kinds.map((kind) => nameOf(profile, kind));
      return [{ profile, placement: { start, size: profile.memorySlices }, computeInstances }];
    })
    .sort((a, b) => a.placement.start - b.placement.start);
  return { kept, destroyed, created, steps: [...first, ...last, ...created.flatMap(createSteps)], withdrawn };
}

/** All of `instances` destroyed and nothing created. */
export function destroyAll(instances: readonly GpuInstance[]): InstanceSteps {
  return {
    kept: [],
    destroyed: instances.map(plannedOf),
    created: [],
    steps: instances.flatMap(destroySteps),
    withdrawn: instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid)),
  };
}

/** All of `instances` as they are. */
export function keepAll(instances: readonly GpuInstance[]): InstanceSteps {
  return { kept: instances.map(plannedOf), destroyed: [], created: [], steps: [], withdrawn: [] };
}

/** How many of each device stand when the steps are done. */
export function devicesAfter({ kept, created }: InstanceSteps): ReadonlyMap<string, number> {
  const devices = new Map<string, number>();
  for (const { computeInstances } of [...kept, ...created]) {
    for (const name of computeInstances) devices.set(name, (devices.get(name) ?? 0) + 1);
  }
  return devices;
}

/** Which of the wanted devices do not stand when the steps are done. */
export function missingAfter(wanted: ReadonlyMap<string, number>, parts: InstanceSteps): ReadonlyMap<string, number> {
  const devices = devicesAfter(parts);
  const short = [...wanted].map(([name, count]) => [name, count - (devices.get(name) ?? 0)] as const);
  return new Map(short.filter(([, count]) => count > 0));
}

/** An instance as plans name it. */
export function plannedOf({ profile, placement, computeInstances }: GpuInstance): PlannedInstance {
  return { profile, placement, computeInstances: computeInstances.map((one) => one.profile) };
}

/** What becomes of an instance that stays; without a say of `choice`, one device that takes it whole. */
function contentOf({ contents }: Choice, slot: number, { profile, computeInstances }: GpuInstance): Content {
  const chosen = contents?.get(slot);
  if (chosen !== undefined) return chosen;
  const whole = profile.computeInstanceProfiles.length - 1;
  return { counts: [], destroyed: [], created: computeInstances.length === 0 ? [whole] : [] };
}

function isDestroyed(profile: MigProfile, { profile: name, placement }: ComputeInstance, content: Content): boolean {
  return content.destroyed.some(({ kind, start }) => nameOf(profile, kind) === name && start === placement.start);
}

function nameOf({ name, computeInstanceProfiles }: MigProfile, kind: number): string {
  return computeInstanceProfiles[kind]?.name ?? name;
}

function destroySteps(instance: GpuInstance): Step[] {
  return [
    ...instance.computeInstances.map((one) => destroyComputeStep(instance, one)),
    { kind: "destroy-gpu-instance", profile: instance.profile, instance: instance.placement },
  ];
}

function destroyComputeStep({ placement }: GpuInstance, { profile, placement: within }: ComputeInstance): Step {
  return { kind: "destroy-compute-instance", name: profile, instance: placement, computeStart: within.start };
}

function createSteps({ profile, placement, computeInstances }: PlannedInstance): Step[] {
  return [
    { kind: "create-gpu-instance", profile, instance: placement },
    ...createComputeSteps(placement, computeInstances),
  ];
}

function createComputeSteps(instance: Placement, names: readonly string[]): Step[] {
  return names.map((name) => ({ kind: "create-compute-instance", name, instance, computeStart: undefined }));
}
