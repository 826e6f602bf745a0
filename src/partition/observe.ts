/**
 * What the driver lists against what should stand: comparisons for checks before, during and after a change.
 */
import type { ComputeInstance, Gpu, GpuInstance, Placement } from "../gpu/index.ts";
import { isWhole } from "./situation.ts";
import { instanceText } from "./text.ts";
import type { PartitionPlan, PlannedInstance, Step } from "./types.ts";

/** The instance that starts where `placement` does and is as large. */
export function instanceAt(gpu: Gpu, { start, size }: Placement): GpuInstance | undefined {
  return gpu.instances.find(({ placement }) => placement.start === start && placement.size === size);
}

/**
 * Why `plan` does not start from what stands now, `undefined` when it does. A GPU on which some or all steps of the
 * plan are done already is no reason: those steps are passed over.
 */
export function outdated(gpu: Gpu, plan: PartitionPlan): string | undefined {
  if (changesMode(plan) && !gpu.mig?.current) {
    return gpu.mig === undefined ? "it cannot do MIG" : undefined;
  }
  const planned = [...plan.kept, ...plan.destroyed, ...plan.created].map(placeText);
  const extra = gpu.instances.find((instance) => !planned.includes(placeText(instance)));
  if (extra !== undefined) return `${placeText(extra)} stands on it`;
  const present = gpu.instances.map(placeText);
  const gone = plan.kept.find((instance) => !present.includes(placeText(instance)));
  return gone === undefined ? undefined : `${placeText(gone)} does not stand on it`;
}

/** In what the GPU differs from what it should be when `plan` is done, `undefined` when in nothing. */
export function unlikePlan({ mig, instances }: Gpu, plan: PartitionPlan): string | undefined {
  if (mig !== undefined && plan.needs !== "reboot" && mig.current !== plan.migEnabled) {
    return `MIG is ${onOff(mig.current)}`;
  }
  if (mig !== undefined && changesMode(plan) && mig.pending !== plan.migEnabled) {
    return `MIG ${onOff(mig.pending)} is pending`;
  }
  const wanted = [...plan.kept, ...plan.created].map(devicesText).sort();
  const standing = instances.map((instance) => devicesText(plannedFrom(instance))).sort();
  return difference(standing, wanted);
}

/** In what the GPU differs from what it was, down to the place of each compute instance; `undefined` when in nothing. */
export function unlikeBefore(now: Gpu, before: Gpu): string | undefined {
  if (now.mig?.current !== before.mig?.current) return `MIG is ${onOff(now.mig?.current)}`;
  if (now.mig?.pending !== before.mig?.pending) return `MIG ${onOff(now.mig?.pending)} is pending`;
  return difference(now.instances.map(exactText).sort(), before.instances.map(exactText).sort());
}

/** Whether what `step` of `plan` is for stands already. */
export function isDone(gpu: Gpu, plan: PartitionPlan, step: Step): boolean {
  switch (step.kind) {
    case "set-mig-mode":
      return gpu.mig?.pending === step.enabled;
    case "reset-gpu":
      return gpu.mig?.current === gpu.mig?.pending;
    case "create-gpu-instance":
      return hasProfile(instanceAt(gpu, step.instance), step.profile.smiProfileId);
    case "destroy-gpu-instance":
      return !hasProfile(instanceAt(gpu, step.instance), step.profile.smiProfileId);
    case "destroy-compute-instance":
      return computeInstanceOf(gpu, step) === undefined;
    case "create-compute-instance":
      return countOf(instanceAt(gpu, step.instance), step.name) >= dueAfter(plan, step);
    default:
      return step satisfies never;
  }
}

/** The compute instance that a destroying step is about. */
export function computeInstanceOf(
  gpu: Gpu,
  step: Extract<Step, { readonly name: string }>,
): ComputeInstance | undefined {
  return instanceAt(gpu, step.instance)?.computeInstances.find(
    ({ profile, placement }) => profile === step.name && placement.start === step.computeStart,
  );
}

/** What stands, in the words of plans: `3g.20gb@4, 1g.5gb@0`, or `nothing`. */
export function standingText({ instances }: Gpu): string {
  return instances.length === 0 ? "nothing" : instances.map((one) => instanceText(plannedFrom(one))).join(", ");
}

function changesMode({ steps }: PartitionPlan): boolean {
  return steps.some(({ kind }) => kind === "set-mig-mode" || kind === "reset-gpu");
}

function plannedFrom({ profile, placement, computeInstances }: GpuInstance): PlannedInstance {
  return { profile, placement, computeInstances: computeInstances.map((one) => one.profile) };
}

/**
 * How many devices of the step's name its GPU instance has when the step is done. A device that is destroyed later only
 * filled a start that the driver would have chosen too early.
 */
function dueAfter(plan: PartitionPlan, step: Extract<Step, { readonly name: string }>): number {
  const instance = [...plan.kept, ...plan.created].find(({ placement }) => placement.start === step.instance.start);
  const final = instance?.computeInstances.filter((name) => name === step.name).length ?? 0;
  let due = final;
  for (const one of plan.steps.slice(plan.steps.indexOf(step) + 1)) {
    if (!("name" in one) || one.name !== step.name || one.instance.start !== step.instance.start) continue;
    due += one.kind === "create-compute-instance" ? -1 : 1;
  }
  return due;
}

function countOf(instance: GpuInstance | undefined, name: string): number {
  return instance?.computeInstances.filter((one) => one.profile === name).length ?? 0;
}

function hasProfile(instance: GpuInstance | undefined, smiProfileId: number): boolean {
  return instance?.profile.smiProfileId === smiProfileId;
}

function placeText({ profile, placement }: Pick<GpuInstance, "profile" | "placement">): string {
  return `${profile.name}@${placement.start}`;
}

function devicesText(instance: PlannedInstance): string {
  return instanceText({ ...instance, computeInstances: [...instance.computeInstances].sort() });
}

/** As in plans, but with the start of every device that does not take its GPU instance whole. */
function exactText(instance: GpuInstance): string {
  const { profile, placement, computeInstances } = instance;
  if (isWhole(instance)) return placeText(instance);
  const inner = computeInstances.map((one) => `${one.profile}/${one.placement.start}`).sort();
  return `${profile.name}@${placement.start} (${inner.join(", ")})`;
}

function difference(standing: readonly string[], wanted: readonly string[]): string | undefined {
  const missing = wanted.filter((one) => !standing.includes(one));
  const extra = standing.filter((one) => !wanted.includes(one));
  if (missing.length === 0 && extra.length === 0) return undefined;
  const parts = [
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(", ")}`]),
    ...(extra.length === 0 ? [] : [`not expected: ${extra.join(", ")}`]),
  ];
  return parts.join("; ");
}

function onOff(enabled: boolean | undefined): string {
  return enabled ? "on" : "off";
}
