/**
 * Carries out a plan: one driver call after the other, verified with the driver, or taken back.
 *
 * Ids are read anew for every step, since they exist only once an instance does. A step whose effect stands already is
 * passed over, so a plan that broke off, or is done, can be executed again.
 */
import { errorText, type Finding, finding, type Logger, silentLogger, TrancheError } from "../base/index.ts";
import type { Gpu, GpuDriver } from "../gpu/index.ts";
import { gpuBlockers, inUse } from "./blockers.ts";
import { driverFinding } from "./driver-finding.ts";
import { computeInstanceOf, instanceAt, isDone, outdated, standingText, unlikePlan } from "./observe.ts";
import { gpuSubject } from "./plan-draft.ts";
import { restore } from "./restore.ts";
import type { Holders } from "./situation.ts";
import { stepText } from "./text.ts";
import type { Execution, PartitionPlan, Step } from "./types.ts";

export interface ExecuteOptions {
  /** When it fires, no further step begins and what was done is taken back. */
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  /** Told of every step before it is taken, with its position among the steps; steps that are done already are left out. */
  readonly onStep?: (step: Step, index: number) => void;
  /**
   * Who holds what at this moment; asked before every step that takes something away. Default: the plan's own
   * knowledge, which is enough when nothing new can be allocated in the meantime.
   */
  readonly holders?: () => Promise<Holders>;
}

/** Executes `plan`. Failures are findings, never thrown; whatever comes, no device that is held is destroyed. */
export async function executePlan(
  driver: GpuDriver,
  plan: PartitionPlan,
  options: ExecuteOptions = {},
): Promise<Execution> {
  const { log = silentLogger } = options;
  const before = await look(driver, plan);
  if ("failed" in before) return { result: "rolled-back", findings: [before.failed] };
  const why = outdated(before.gpu, plan);
  if (why !== undefined) return { result: "rolled-back", findings: [outdatedFinding(plan, why)] };
  const failure = await takeSteps(driver, plan, options);
  if (failure === undefined) return { result: "done" };
  log.warn({ gpu: plan.gpuIndex, plan: plan.id, finding: failure }, "plan failed, going back");
  const left = await restore(driver, before.gpu, { log, holders: options.holders });
  if (left.length === 0) return { result: "rolled-back", findings: [failure] };
  log.error({ gpu: plan.gpuIndex, plan: plan.id, findings: left }, "the way back failed");
  return { result: "left-over", findings: [failure, ...left] };
}

/** All steps and the check at the end; the finding that says why it broke off, if it did. */
async function takeSteps(
  driver: GpuDriver,
  plan: PartitionPlan,
  options: ExecuteOptions,
): Promise<Finding | undefined> {
  const { signal, log = silentLogger, onStep, holders } = options;
  for (const [index, step] of plan.steps.entries()) {
    if (signal?.aborted) return interrupted(plan, step, signal);
    const now = await look(driver, plan);
    if ("failed" in now) return now.failed;
    if (isDone(now.gpu, plan, step)) continue;
    const held = holders === undefined ? undefined : await heldFinding(now.gpu, step, holders);
    if (held !== undefined) return held;
    onStep?.(step, index);
    log.info({ gpu: plan.gpuIndex, plan: plan.id, step: stepText(step) }, "step begins");
    try {
      await takeStep(driver, now.gpu, step);
    } catch (error) {
      return driverFinding(plan, stepText(step), error);
    }
    log.info({ gpu: plan.gpuIndex, plan: plan.id, step: stepText(step) }, "step done");
  }
  const end = await look(driver, plan);
  if ("failed" in end) return end.failed;
  const difference = unlikePlan(end.gpu, plan);
  return difference === undefined ? undefined : notVerified(end.gpu, plan, difference);
}

async function takeStep(driver: GpuDriver, gpu: Gpu, step: Step): Promise<void> {
  switch (step.kind) {
    case "set-mig-mode":
      await driver.setMigMode(gpu.uuid, step.enabled);
      return;
    case "reset-gpu":
      return driver.resetGpu(gpu.uuid);
    case "create-gpu-instance":
      await driver.createGpuInstance(gpu.uuid, step.profile.smiProfileId, step.instance);
      return;
    case "destroy-gpu-instance":
      return driver.destroyGpuInstance(gpu.uuid, idAt(gpu, step));
    case "create-compute-instance":
      await driver.createComputeInstance(gpu.uuid, idAt(gpu, step), computeProfileId(gpu, step));
      return;
    case "destroy-compute-instance":
      return driver.destroyComputeInstance(gpu.uuid, idAt(gpu, step), computeIdOf(gpu, step));
    default:
      return step satisfies never;
  }
}

type InstanceStep = Extract<Step, { readonly instance: unknown }>;

function idAt(gpu: Gpu, step: InstanceStep): number {
  const instance = instanceAt(gpu, step.instance);
  if (instance === undefined)
    throw new TrancheError("instance-gone", `no GPU instance stands at memory slice ${step.instance.start}`);
  return instance.id;
}

function computeIdOf(gpu: Gpu, step: Extract<Step, { readonly name: string }>): number {
  const device = computeInstanceOf(gpu, step);
  if (device === undefined)
    throw new TrancheError("instance-gone", `${step.name} does not stand at ${step.instance.start}`);
  return device.id;
}

function computeProfileId(gpu: Gpu, step: Extract<Step, { readonly name: string }>): number {
  const profiles = instanceAt(gpu, step.instance)?.profile.computeInstanceProfiles ?? [];
  const found = profiles.find(({ name }) => name === step.name);
  if (found === undefined)
    throw new TrancheError("instance-gone", `a GPU instance at ${step.instance.start} cannot hold ${step.name}`);
  return found.smiProfileId;
}

/** Why `step` must not be taken now: a pod holds what it would take away. */
async function heldFinding(gpu: Gpu, step: Step, holders: () => Promise<Holders>): Promise<Finding | undefined> {
  if (step.kind.startsWith("create-")) return undefined;
  const instance = "instance" in step ? instanceAt(gpu, step.instance) : undefined;
  const device = "computeStart" in step ? computeInstanceOf(gpu, step) : undefined;
  if (device === undefined && instance !== undefined) return undefined;
  try {
    const blocker = gpuBlockers(gpu, await holders()).find(
      ({ deviceUuid }) => device === undefined || deviceUuid === device.uuid || deviceUuid === gpu.uuid,
    );
    return blocker && inUse(gpu, blocker, `"${stepText(step)}" is not done`);
  } catch (error) {
    return finding(
      "holders-unknown",
      gpuSubject(gpu),
      `who holds what on GPU ${gpu.index} cannot be read: ${errorText(error)}`,
      {
        remedy: "the change is tried again; check that the kubelet runs",
      },
    );
  }
}

/** The GPU as it is now, or why that cannot be told. */
async function look(
  driver: GpuDriver,
  plan: PartitionPlan,
): Promise<{ readonly gpu: Gpu } | { readonly failed: Finding }> {
  try {
    const gpu = await driver.gpu(plan.gpuUuid);
    if (gpu !== undefined) return { gpu };
    return { failed: outdatedFinding(plan, "the driver does not list it any more") };
  } catch (error) {
    return { failed: driverFinding(plan, "read the GPU", error) };
  }
}

function outdatedFinding(plan: PartitionPlan, why: string): Finding {
  const message = `GPU ${plan.gpuIndex} is not as it was when its change was planned: ${why}`;
  return finding("plan-outdated", gpuSubject({ index: plan.gpuIndex }), message, { remedy: "plan again" });
}

function interrupted(plan: PartitionPlan, step: Step, signal: AbortSignal): Finding {
  const message = `the change of GPU ${plan.gpuIndex} was broken off before "${stepText(step)}": ${errorText(signal.reason)}`;
  return finding("change-interrupted", gpuSubject({ index: plan.gpuIndex }), message, {
    remedy: "it is planned again at the next start",
  });
}

function notVerified(gpu: Gpu, plan: PartitionPlan, difference: string): Finding {
  const message = `after all steps GPU ${plan.gpuIndex} is not as planned: ${difference}`;
  return finding("layout-not-verified", gpuSubject(gpu), message, {
    evidence: { plan: plan.id, stands: standingText(gpu) },
    remedy:
      "make sure that nothing else, such as NVIDIA's MIG manager or nvidia-smi, changes the GPU; it is tried again",
  });
}
