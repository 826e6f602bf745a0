/**
 * Plans for the GPUs of this machine, in the forms a command prints.
 */
import type { Finding, Place } from "../../base/index.ts";
import type { WantedMig } from "../../config/index.ts";
import type { Gpu } from "../../gpu/index.ts";
import {
  type Holders,
  type PartitionPlan,
  type PlannedInstance,
  planBack,
  planGpu,
  planText,
  type RecordedLayout,
  stepText,
} from "../../partition/index.ts";

export interface PlanAllRequest {
  readonly gpus: readonly Gpu[];
  readonly wanted: readonly WantedMig[];
  /** GPUs that a change which was broken off left behind; those without a wish go back to how they were. */
  readonly unfinished: readonly RecordedLayout[];
  readonly holders: Holders;
  /** Whether GPUs may be reset; without, a mode that needs it waits for a reboot. */
  readonly resettable: boolean;
  /** Where `unfinished` is written down. */
  readonly journal: Place;
}

/** One plan for each GPU that is concerned, in index order. */
export function planAll(request: PlanAllRequest): readonly PartitionPlan[] {
  const { gpus, wanted, unfinished, holders, resettable, journal: place } = request;
  return gpus.flatMap((gpu) => {
    const wish = wanted.find(({ gpuUuid }) => gpuUuid === gpu.uuid);
    if (wish !== undefined) return [planGpu({ gpu, wanted: wish, holders, resettable })];
    const before = unfinished.find(({ gpuUuid }) => gpuUuid === gpu.uuid);
    return before === undefined ? [] : [planBack({ gpu, before, holders, resettable, place })];
  });
}

/** Whether the plan cannot lead where it should: somebody holds what must go, or the wish cannot be met. */
export function isRefused({ complete, needs }: PartitionPlan): boolean {
  return !complete && needs !== "reboot";
}

/** Whether there is anything to do. */
export function hasChanges(plan: PartitionPlan): boolean {
  return plan.steps.length > 0 || !plan.complete;
}

/** What the plans found, with remedies for somebody at a prompt. */
export function planFindings(plans: readonly PartitionPlan[]): readonly Finding[] {
  return plans.flatMap(({ findings }) =>
    findings.map((one) =>
      one.code === "slice-in-use" || one.code === "gpu-in-use"
        ? { ...one, remedy: "end what holds it and apply again, or choose a config that leaves it in place" }
        : one,
    ),
  );
}

export const planFormats = ["text", "json"] as const;
export type PlanFormat = (typeof planFormats)[number];

/** All plans, for people or as JSON, without a trailing line feed. */
export function plansText(plans: readonly PartitionPlan[], format: PlanFormat): string {
  if (format === "json") return JSON.stringify({ plans: plans.map(planJson) }, undefined, 2);
  if (plans.length === 0) return "no GPU is concerned";
  return plans.flatMap(planText).join("\n");
}

function planJson(plan: PartitionPlan): unknown {
  const { id, gpuIndex, gpuUuid, migEnabled, needs, complete, withdrawn, blockers, findings } = plan;
  return {
    id,
    gpu: { index: gpuIndex, uuid: gpuUuid },
    migEnabled,
    kept: plan.kept.map(instanceJson),
    destroyed: plan.destroyed.map(instanceJson),
    created: plan.created.map(instanceJson),
    steps: plan.steps.map(stepText),
    needs,
    withdrawn,
    complete,
    missing: Object.fromEntries(plan.missing),
    blockers: blockers.map(({ what, deviceUuid, pods }) => ({ what, deviceUuid, holders: pods })),
    findings,
  };
}

function instanceJson({ profile, placement, computeInstances }: PlannedInstance): unknown {
  return { profile: profile.name, placement: `${placement.start}:${placement.size}`, computeInstances };
}
