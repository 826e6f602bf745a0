/**
 * Plans in the words people read, in events, on the command line and in logs.
 */
import type { PartitionPlan, PlannedInstance, Step } from "./types.ts";

/** A plan in lines: what it comes to, then what stays, goes and comes, what it needs and whom it waits for. */
export function planText(plan: PartitionPlan): readonly string[] {
  const gpu = `GPU ${plan.gpuIndex}`;
  const waits = plan.blockers.map(
    ({ what, pods }) => `  waits     for ${pods.join(", ")}, ${pods.length === 1 ? "holder" : "holders"} of ${what}`,
  );
  const missing = countsText(plan.missing);
  return [
    `${gpu}: ${summary(plan)}`,
    ...plan.steps.flatMap((step) =>
      step.kind === "set-mig-mode" ? [`  mode      MIG ${step.enabled ? "on" : "off"}`] : [],
    ),
    ...plan.kept.map((instance) => `  ${isRecut(plan, instance) ? "recuts  " : "keeps   "}  ${instanceText(instance)}`),
    ...plan.destroyed.map((instance) => `  destroys  ${instanceText(instance)}`),
    ...plan.created.map((instance) => `  creates   ${instanceText(instance)}`),
    ...(plan.needs === "nothing"
      ? []
      : [`  needs     ${plan.needs === "reset" ? `a reset of ${gpu}` : "a reboot of the node"}`]),
    ...waits,
    ...(missing === "" ? [] : [`  missing   ${missing}`]),
  ];
}

/** `create 3g.40gb@4`, `destroy 1c.3g.40gb@4/2`; one step as people name it. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case "set-mig-mode":
      return `turn MIG ${step.enabled ? "on" : "off"}`;
    case "reset-gpu":
      return "reset the GPU";
    case "destroy-compute-instance":
      return `destroy compute instance ${step.name}@${step.instance.start}/${step.computeStart ?? 0}`;
    case "create-compute-instance":
      return `create compute instance ${step.name}@${step.instance.start}`;
    case "destroy-gpu-instance":
      return `destroy GPU instance ${step.profile.name}@${step.instance.start}`;
    case "create-gpu-instance":
      return `create GPU instance ${step.profile.name}@${step.instance.start}`;
    default:
      return step satisfies never;
  }
}

/** `3g.40gb@4`, with its devices behind it when it is cut further: `3g.40gb@4 (1c.3g.40gb, 2c.3g.40gb)`. */
export function instanceText({ profile, placement, computeInstances }: PlannedInstance): string {
  const name = `${profile.name}@${placement.start}`;
  const whole = computeInstances.length === 1 && computeInstances[0] === profile.name;
  if (whole) return name;
  return `${name} (${computeInstances.length === 0 ? "no compute instance" : computeInstances.join(", ")})`;
}

/** `2 x 1g.5gb, 1 x 3g.20gb`. */
export function countsText(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} x ${name}`).join(", ");
}

/** Whether a kept GPU instance gets or loses compute instances. */
function isRecut({ steps }: PartitionPlan, { placement }: PlannedInstance): boolean {
  return steps.some((step) => "instance" in step && step.instance.start === placement.start);
}

function summary(plan: PartitionPlan): string {
  if (plan.steps.length === 0) {
    if (plan.complete) return "as wanted, nothing to do";
    if (plan.needs === "reboot") return "waits for a reboot of the node";
    return plan.blockers.length > 0 ? "waits for pods, nothing is changed yet" : "cannot be done, nothing is changed";
  }
  const counts = `${plan.kept.length} kept, ${plan.destroyed.length} destroyed, ${plan.created.length} created`;
  const calls = `${plan.steps.length} driver ${plan.steps.length === 1 ? "call" : "calls"}`;
  return plan.complete ? `${counts} in ${calls}` : `${counts} in ${calls}, the rest waits`;
}
