/**
 * A plan in the making: what the ways of planning differ in, and the one place where it becomes a plan.
 */
import type { Finding, Subject } from "../base/index.ts";
import type { WantedMig } from "../config/index.ts";
import type { Gpu } from "../gpu/index.ts";
import { type InstanceSteps, missingAfter } from "./steps.ts";
import { instanceText, stepText } from "./text.ts";
import type { Blocker, PartitionPlan, Step } from "./types.ts";

export interface Draft {
  readonly gpu: Gpu;
  readonly wanted: WantedMig;
  readonly parts: InstanceSteps;
  readonly complete: boolean;
  /** Mode steps before and after those of the instances. */
  readonly before?: readonly Step[];
  readonly after?: readonly Step[];
  /** What is withdrawn beside the devices of `parts`. */
  readonly withdrawn?: readonly string[];
  readonly needs?: PartitionPlan["needs"];
  readonly blockers?: readonly Blocker[];
  readonly findings?: readonly Finding[];
}

/** The finished plan. */
export function finishPlan(draft: Draft): PartitionPlan {
  const { gpu, wanted, parts, complete, before = [], after = [] } = draft;
  const plan = {
    gpuUuid: gpu.uuid,
    gpuIndex: gpu.index,
    migEnabled: gpu.mig !== undefined && modeAfter(draft, gpu.mig.current),
    kept: parts.kept,
    destroyed: parts.destroyed,
    created: parts.created,
    steps: [...before, ...parts.steps, ...after],
    withdrawn: [...(draft.withdrawn ?? []), ...parts.withdrawn],
    needs: draft.needs ?? "nothing",
    complete,
    missing: missingAfter(wanted.counts, parts),
    blockers: draft.blockers ?? [],
    findings: draft.findings ?? [],
  };
  return { id: planId(plan), ...plan };
}

/** Whom findings about a GPU are about. */
export function gpuSubject(gpu: Pick<Gpu, "index">): Subject {
  return { kind: "gpu", name: `GPU ${gpu.index}` };
}

/** The wanted mode if the plan goes there, else the one that is. */
function modeAfter({ wanted, before = [], after = [], needs = "nothing" }: Draft, current: boolean): boolean {
  return before.length + after.length > 0 || needs !== "nothing" ? wanted.migEnabled : current;
}

function planId(plan: Omit<PartitionPlan, "id">): string {
  const lines = [
    plan.gpuUuid,
    `${plan.migEnabled} ${plan.needs} ${plan.complete}`,
    ...plan.steps.map(stepText),
    ...plan.kept.map(instanceText),
    ...plan.blockers.map(({ deviceUuid, pods }) => `${deviceUuid} ${pods.join()}`),
    ...[...plan.missing].map(([name, count]) => `${name} ${count}`),
  ];
  return fingerprint(lines.join("\n"));
}

/**
 * 12 hexadecimal digits by which people and logs tell plans apart: FNV-1a (Fowler, Noll and Vo) of 32 bits, twice with
 * different constants. Nothing is secret here, and loading a cryptographic hash takes as long as planning.
 */
function fingerprint(text: string): string {
  let one = 0x811c9dc5;
  let other = 0x050c5d1f;
  for (const byte of Buffer.from(text)) {
    one = Math.imul(one ^ byte, 0x01000193);
    other = Math.imul(other ^ byte, 0x85ebca6b);
  }
  const digits = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
  return (digits(one) + digits(other)).slice(4);
}
