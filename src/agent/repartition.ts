/**
 * Brings the GPUs of a node to their wanted MIG layouts: plan, withdraw, look again who holds what, execute, verify.
 *
 * Devices that will go are first withdrawn from the kubelet, and only when the kubelet no longer offers them are the
 * holders read again: a pod admitted in between then shows as a holder, and the plan makes way for it.
 */
import { type Clock, type Finding, finding, type Logger, TrancheError } from "../base/index.ts";
import type { WantedMig } from "../config/index.ts";
import type { Gpu, GpuDriver } from "../gpu/index.ts";
import { executePlan, type PartitionPlan, planGpu, planText } from "../partition/index.ts";
import { HOLDERS_UNTOLD, type HolderBook } from "./holders.ts";
import { withNode } from "./with-node.ts";

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** How often holders may turn up on devices that are not withdrawn yet, before the next pass sees to it. */
const MAX_ROUNDS = 3;

/**
 * What a repartition needs of whoever offers devices to the kubelet. Both calls add to what is withdrawn and closed
 * already, and last until the node's offers are made anew.
 */
export interface Withdrawal {
  /** Devices of these UUIDs are no longer offered; resolves once the kubelet shows it. False: the kubelet did not. */
  withdraw(uuids: readonly string[]): Promise<boolean>;
  /** Allocate refuses devices of these UUIDs from now on. */
  close(uuids: readonly string[]): void;
}

export interface RepartitionOptions {
  readonly node: string;
  readonly driver: GpuDriver;
  readonly holders: Pick<HolderBook, "holders">;
  readonly withdrawal: Withdrawal;
  readonly clock: Clock;
  readonly log: Logger;
  /** The GPU as it was last seen, if it is unhealthy: it is left as it is. */
  illGpu(gpuUuid: string): Gpu | undefined;
  /** A plan that resets this GPU was executed to its end. */
  onReset(gpuUuid: string): void;
  /** Called before the first step of a change by which these go: MIG devices, or a GPU. Nobody holds them by then. */
  beforeChange(deviceUuids: readonly string[]): Promise<void>;
  /** Told of every plan that is executed, before its first step. */
  onPlan(plan: PartitionPlan, lines: readonly string[]): void;
}

/** How far the node's GPUs are: as wanted, waiting for pods or a retry, or failed. */
export interface RepartitionResult {
  readonly state: "success" | "pending" | "failed";
  readonly findings: readonly Finding[];
  /** When to try again at the latest, if a failure is to be retried. */
  readonly retryInMs: number | undefined;
  /**
   * UUIDs of devices that are to go as soon as it is told who holds what. A pod that got one of them meanwhile would hold
   * up the change for as long as it runs: after a reboot, a GPU whose MIG mode is gone would be given away as a whole.
   */
  readonly withheld: readonly string[];
}

/** How far one GPU is. */
type Change = Pick<RepartitionResult, "state" | "findings"> &
  Partial<Pick<RepartitionResult, "retryInMs" | "withheld">>;

interface Failure {
  /** The wish that failed. */
  readonly key: string;
  readonly findings: readonly Finding[];
  readonly tries: number;
  readonly retryAtMs: number;
}

/** Remembers failures between calls, so that a failing change is retried with back-off and never in a tight loop. */
export class Repartition {
  readonly #options: RepartitionOptions;
  readonly #failures = new Map<string, Failure>();

  constructor(options: RepartitionOptions) {
    this.#options = options;
  }

  /** One pass over all wanted GPUs, one after the other. Throws what the kubelet or the driver throw when away. */
  async run(wanted: readonly WantedMig[], signal: AbortSignal): Promise<RepartitionResult> {
    this.#forgetOthers(wanted);
    const findings: Finding[] = [];
    const states = new Set<RepartitionResult["state"]>();
    const waits: number[] = [];
    const allWithheld: string[] = [];
    for (const one of wanted) {
      signal.throwIfAborted();
      const { state, findings: found, retryInMs, withheld = [] } = await this.#changeIfTold(one, signal);
      states.add(state);
      allWithheld.push(...withheld);
      findings.push(...withNode(this.#options.node, found));
      if (retryInMs !== undefined) waits.push(retryInMs);
    }
    for (const { retryAtMs } of this.#failures.values()) {
      const inMs = retryAtMs - this.#options.clock.now();
      // One that is due and was not tried waits for something else, and says so itself.
      if (inMs > 0) waits.push(inMs);
    }
    const retryInMs = waits.length === 0 ? undefined : Math.min(...waits);
    let state: RepartitionResult["state"] = "success";
    if (states.has("pending")) state = "pending";
    if (states.has("failed")) state = "failed";
    return { state, findings, retryInMs, withheld: allWithheld };
  }

  /** What failed and is not wanted any more is not tried again. */
  #forgetOthers(wanted: readonly WantedMig[]): void {
    const keys = new Map(wanted.map((one) => [one.gpuUuid, keyOf(one)]));
    for (const [gpuUuid, { key }] of this.#failures) {
      if (keys.get(gpuUuid) !== key) this.#failures.delete(gpuUuid);
    }
  }

  /** A change, unless the kubelet has yet to tell what some pod holds: then nothing may go. */
  async #changeIfTold(wanted: WantedMig, signal: AbortSignal): Promise<Change> {
    const ill = this.#options.illGpu(wanted.gpuUuid);
    if (ill !== undefined) return leftAlone(ill, wanted);
    try {
      return await this.#change(wanted, signal);
    } catch (error) {
      if (!(error instanceof TrancheError) || error.code !== HOLDERS_UNTOLD) throw error;
      const withheld = await this.#toGo(wanted);
      return { state: "pending", findings: [untold(wanted, error.message)], retryInMs: FIRST_RETRY_MS, withheld };
    }
  }

  async #change(wanted: WantedMig, signal: AbortSignal): Promise<Change> {
    const failure = this.#failures.get(wanted.gpuUuid);
    const plan = await this.#plan(wanted);
    const hasSteps = plan !== undefined && plan.steps.length > 0;
    if (hasSteps && failure !== undefined && failure.retryAtMs > this.#options.clock.now()) {
      return { state: "failed", findings: failure.findings };
    }
    this.#failures.delete(wanted.gpuUuid);
    if (plan === undefined) return gone(wanted);
    if (!hasSteps) return { state: stateOf(plan), findings: plan.findings };
    const done = await this.#withdrawAndExecute(wanted, plan, signal);
    if (done.state === "failed") this.#remember(wanted, done.findings, (failure?.tries ?? 0) + 1);
    return done;
  }

  async #withdrawAndExecute(wanted: WantedMig, first: PartitionPlan, signal: AbortSignal): Promise<Change> {
    const { withdrawal } = this.#options;
    const withdrawn = new Set<string>();
    let plan = first;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      for (const uuid of plan.withdrawn) withdrawn.add(uuid);
      if (withdrawn.size > 0 && !(await withdrawal.withdraw([...withdrawn]))) {
        return { state: "pending", findings: [...plan.findings, kubeletBehind(plan)] };
      }
      withdrawal.close([...withdrawn]);
      const next = await this.#plan(wanted);
      if (next === undefined) return gone(wanted);
      // What is not withdrawn yet must not go: a pod may be admitted to it at any moment.
      if (next.withdrawn.every((uuid) => withdrawn.has(uuid))) return this.#execute(next, signal);
      plan = next;
    }
    return { state: "pending", findings: plan.findings };
  }

  async #execute(plan: PartitionPlan, signal: AbortSignal): Promise<Change> {
    const { driver, holders, log, node, onPlan, onReset, beforeChange } = this.#options;
    if (plan.steps.length === 0) return { state: stateOf(plan), findings: plan.findings };
    await beforeChange(plan.withdrawn);
    onPlan(plan, planText(plan));
    log.info({ node, gpu: plan.gpuIndex, steps: plan.steps.length }, "plan begins");
    const execution = await executePlan(driver, plan, { signal, log, holders: () => holders.holders() });
    log.info({ node, gpu: plan.gpuIndex, result: execution.result }, "plan ended");
    if (execution.result !== "done") return { state: "failed", findings: [...plan.findings, ...execution.findings] };
    if (plan.steps.some((step) => step.kind === "reset-gpu")) onReset(plan.gpuUuid);
    return { state: stateOf(plan), findings: plan.findings };
  }

  async #plan(wanted: WantedMig): Promise<PartitionPlan | undefined> {
    const gpu = await this.#gpu(wanted);
    return gpu && planGpu({ gpu, wanted, holders: await this.#options.holders.holders() });
  }

  /** UUIDs of what the change would take if nobody held anything. */
  async #toGo(wanted: WantedMig): Promise<readonly string[]> {
    const gpu = await this.#gpu(wanted);
    return gpu === undefined ? [] : planGpu({ gpu, wanted, holders: new Map() }).withdrawn;
  }

  async #gpu({ gpuUuid }: WantedMig): Promise<Gpu | undefined> {
    return (await this.#options.driver.list()).find((one) => one.uuid === gpuUuid);
  }

  #remember(wanted: WantedMig, findings: readonly Finding[], tries: number): void {
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** (tries - 1), LONGEST_RETRY_MS);
    const retryAtMs = this.#options.clock.now() + waitMs;
    this.#failures.set(wanted.gpuUuid, { key: keyOf(wanted), findings, tries, retryAtMs });
  }
}

function gone(wanted: WantedMig): Change {
  const subject = { kind: "gpu", name: `GPU ${wanted.gpuIndex}` } as const;
  const remedy = "check the GPU with nvidia-smi; a reboot of the node may bring it back";
  const message = `the driver no longer lists ${wanted.gpuUuid}`;
  return { state: "failed", findings: [finding("gpu-gone", subject, message, { remedy })] };
}

/** What becomes of a wish for a GPU that is unhealthy: nothing for now, and nothing to say if it stands already. */
function leftAlone(gpu: Gpu, wanted: WantedMig): Change {
  const plan = planGpu({ gpu, wanted, holders: new Map() });
  if (plan.steps.length === 0) return { state: stateOf(plan), findings: plan.findings };
  const subject = { kind: "gpu", name: `GPU ${gpu.index}` } as const;
  const message = `GPU ${gpu.index} is unhealthy, so its layout is not changed`;
  const remedy = "see what is wrong with it; the change follows when it is healthy";
  return { state: "pending", findings: [finding("gpu-unhealthy", subject, message, { remedy })] };
}

function untold({ gpuIndex }: WantedMig, message: string): Finding {
  const subject = { kind: "gpu", name: `GPU ${gpuIndex}` } as const;
  return finding("kubelet-behind", subject, `${message}; nothing is changed`, {
    remedy: "nothing while the kubelet starts; if it stays so, check that its pod resources API lists the pod",
  });
}

function kubeletBehind(plan: PartitionPlan): Finding {
  const subject = { kind: "gpu", name: `GPU ${plan.gpuIndex}` } as const;
  return finding("kubelet-behind", subject, "the kubelet still offers devices that are to go; nothing is changed", {
    remedy: "check that the kubelet runs and its device plugin directory is the one the agent uses",
  });
}

/** Whether the wanted layout stands, waits for pods, or cannot be had at all. */
function stateOf(plan: PartitionPlan): RepartitionResult["state"] {
  if (plan.complete) return "success";
  return plan.findings.some((one) => one.severity === "error") ? "failed" : "pending";
}

function keyOf(wanted: WantedMig): string {
  return JSON.stringify([wanted.migEnabled, [...wanted.counts].sort()]);
}
