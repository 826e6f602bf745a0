/**
 * Carries out plans: all GPUs reach what is planned, or all are as before, or the journal says what is left.
 */
import { type Finding, finding, type Logger } from "../../base/index.ts";
import type { Gpu, GpuDriver } from "../../gpu/index.ts";
import {
  type Execution,
  executePlan,
  type Holders,
  type PartitionPlan,
  planBack,
  recordedText,
  recordLayout,
  stepText,
} from "../../partition/index.ts";
import type { MigJournal } from "./journal.ts";

export interface Change {
  readonly driver: GpuDriver;
  readonly plans: readonly PartitionPlan[];
  /** For the journal: `config all-1g.10gb`. */
  readonly what: string;
  readonly journal: MigJournal;
  /** Asked before each step that takes something away. */
  readonly holders: () => Promise<Holders>;
  /** The agent that gives away what is free, as it names itself; `undefined` when none runs. */
  readonly agent: () => Promise<string | undefined>;
  readonly resettable: boolean;
  readonly log: Logger;
  /** Ends the change between two steps and takes it back. */
  readonly signal: AbortSignal;
  /** Told of each step as it begins. */
  readonly onStep: (gpuIndex: number, step: string) => void;
}

/** What came of it; without findings everything is as planned. */
export async function carryOut(change: Change): Promise<readonly Finding[]> {
  const plans = change.plans.filter(({ steps }) => steps.length > 0);
  const { journal, driver } = change;
  if (plans.length === 0) {
    if (journal.content.unfinished !== undefined) await journal.done();
    return [];
  }
  const agent = await change.agent();
  if (agent !== undefined) return [agentRuns(agent)];
  const concerned = new Set(change.plans.map(({ gpuUuid }) => gpuUuid));
  const gpus = (await driver.list()).filter(({ uuid, instancesUnread }) => concerned.has(uuid) && !instancesUnread);
  // What stood before must be known of every one of them, or there would be no way back.
  if (gpus.length < concerned.size) return [changedMeanwhile()];
  const before = gpus.map(recordLayout);
  const steps = plans.map((plan) => ({ gpuIndex: plan.gpuIndex, steps: plan.steps.map(stepText) }));
  await journal.begin({ what: change.what, beganAt: new Date().toISOString(), before, steps });
  // GPUs do not wait for each other: NVML locks one GPU at a time, and a reset takes seconds.
  const executions = await Promise.all(plans.map((plan) => execute(change, plan)));
  const failures = executions.flatMap((one) => (one.result === "done" ? [] : one.findings));
  if (failures.length === 0) {
    await journal.done();
    return [];
  }
  return [...failures, ...(await takeBack(change))];
}

function execute({ driver, log, signal, holders, onStep }: Change, plan: PartitionPlan): Promise<Execution> {
  const told = (step: PartitionPlan["steps"][number]): void => onStep(plan.gpuIndex, stepText(step));
  return executePlan(driver, plan, { log, signal, holders, onStep: told });
}

/** Every GPU of the change goes back to how it was before it began, those that were done already too. */
async function takeBack(change: Change): Promise<readonly Finding[]> {
  const { driver, journal, log, holders, resettable, onStep } = change;
  const before = journal.content.unfinished?.before ?? [];
  const held = await holders().catch(() => undefined);
  const gpus: readonly Gpu[] = await driver.list().catch(() => []);
  const left = await Promise.all(
    before.map(async (was): Promise<readonly Finding[]> => {
      const gpu = gpus.find(({ uuid }) => uuid === was.gpuUuid);
      const left = leftBehind(was.gpuIndex, `before it: ${recordedText(was)}`);
      if (gpu === undefined || held === undefined) return [left];
      const plan = planBack({ gpu, before: was, holders: held, resettable, place: journal.place });
      if (plan.steps.length === 0) return plan.complete ? [] : [...plan.findings, left];
      const told = (step: PartitionPlan["steps"][number]): void => onStep(plan.gpuIndex, `back: ${stepText(step)}`);
      const back = await executePlan(driver, plan, { log, holders, onStep: told });
      return back.result === "done" ? [] : [...back.findings, left];
    }),
  );
  if (left.flat().length === 0) await journal.takenBack();
  return left.flat();
}

function leftBehind(gpuIndex: number, stood: string): Finding {
  const message = `GPU ${gpuIndex} is not as before the change; ${stood}`;
  return finding("mig-change-unfinished", { kind: "gpu", name: `GPU ${gpuIndex}` }, message, {
    remedy: "see `tranche gpus` for what stands; `tranche mig apply` finishes it, `tranche mig rollback` goes back",
  });
}

function agentRuns(agent: string): Finding {
  const message = `${agent}, gives devices of this node to pods, also those that would go now; nothing was changed`;
  return finding("agent-runs", { kind: "node", name: "this node" }, message, {
    remedy: "set the node's label nvidia.com/mig.config, and the agent makes the change; or end the agent first",
  });
}

function changedMeanwhile(): Finding {
  const message = "a GPU that was planned for cannot be read any more; nothing was changed";
  return finding("plan-outdated", { kind: "node", name: "this node" }, message, {
    remedy: "see `tranche gpus`, then plan again",
  });
}
