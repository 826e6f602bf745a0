/**
 * Brings the GPUs of a node to their wanted MIG layouts: plan, withdraw, look again who holds what, execute, verify.
 *
 * Devices that will go are first withdrawn from the kubelet, and only when the kubelet no longer offers them are the
 * holders read again: a pod admitted in between then shows as a holder, and the plan makes way for it.
 */
import { type Clock, type Finding, finding, type Logger } from "../base/index.ts";
import type { WantedMig } from "../config/index.ts";
import type { Gpu, GpuDriver } from "../gpu/index.ts";
import { executePlan, type PartitionPlan, planGpu, planText } from "../partition/index.ts";
import type { HolderBook } from "./holders.ts";

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** What a repartition needs of whoever offers devices to the kubelet. */
export interface Withdrawal {
  /** Devices of these UUIDs are no longer offered; resolves once the kubelet shows it. False: the kubelet did not. */
  withdraw(uuids: readonly string[]): Promise<boolean>;
  /** Allocate refuses devices of these UUIDs from now on, until `release`. */
  close(uuids: readonly string[]): void;
  /** The devices may be offered again. */
  release(): void;
}

export interface RepartitionOptions {
  readonly node: string;
  readonly driver: GpuDriver;
  readonly holders: HolderBook;
  readonly withdrawal: Withdrawal;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every plan that is executed, before its first step. */
  onPlan(plan: PartitionPlan, lines: readonly string[]): void;
}

/** How far the node's GPUs are: as wanted, waiting for pods or a retry, or failed. */
export interface RepartitionResult {
  readonly state: "success" | "pending" | "failed";
  readonly findings: readonly Finding[];
  /** When to try again at the latest, if a failure is to be retried. */
  readonly retryInMs: number | undefined;
}

interface Failure {
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
    const findings: Finding[] = [];
    const states = new Set<RepartitionResult["state"]>();
    for (const one of wanted) {
      signal.throwIfAborted();
      const { state, findings: found } = await this.#change(one, signal);
      states.add(state);
      findings.push(...found);
    }
    const retries = [...this.#failures.values()].map((one) => one.retryAtMs);
    const retryInMs = retries.length === 0 ? undefined : Math.max(0, Math.min(...retries) - this.#options.clock.now());
    let state: RepartitionResult["state"] = "success";
    if (states.has("pending")) state = "pending";
    if (states.has("failed")) state = "failed";
    return { state, findings, retryInMs };
  }

  async #change(wanted: WantedMig, signal: AbortSignal): Promise<Pick<RepartitionResult, "state" | "findings">> {
    const plan = await this.#plan(wanted);
    if (plan === undefined) return { state: "failed", findings: [this.#gone(wanted)] };
    const failure = this.#failures.get(plan.gpuUuid);
    const key = keyOf(wanted);
    if (failure !== undefined && failure.key === key && failure.retryAtMs > this.#options.clock.now()) {
      return { state: "failed", findings: failure.findings };
    }
    if (plan.steps.length === 0) {
      this.#failures.delete(plan.gpuUuid);
      return { state: stateOf(plan), findings: plan.findings };
    }
    const done = await this.#withdrawAndExecute(wanted, plan, signal);
    if (done.state === "failed") this.#remember(plan.gpuUuid, key, done.findings);
    else this.#failures.delete(plan.gpuUuid);
    return done;
  }

  async #withdrawAndExecute(
    wanted: WantedMig,
    first: PartitionPlan,
    signal: AbortSignal,
  ): Promise<Pick<RepartitionResult, "state" | "findings">> {
    const { withdrawal, driver, log, node } = this.#options;
    try {
      if (!(await withdrawal.withdraw(first.withdrawn))) {
        return { state: "pending", findings: [...first.findings, this.#kubeletBehind(first)] };
      }
      withdrawal.close(first.withdrawn);
      const plan = await this.#plan(wanted);
      if (plan === undefined) return { state: "failed", findings: [this.#gone(wanted)] };
      // What is not withdrawn yet must not go: a pod may be admitted to it at any moment. The next pass sees to it.
      if (plan.withdrawn.some((uuid) => !first.withdrawn.includes(uuid))) return { state: "pending", findings: [] };
      if (plan.steps.length === 0) return { state: stateOf(plan), findings: plan.findings };
      this.#options.onPlan(plan, planText(plan));
      log.info({ node, gpu: plan.gpuIndex, steps: plan.steps.length }, "plan begins");
      const execution = await executePlan(driver, plan, { signal, log });
      log.info({ node, gpu: plan.gpuIndex, result: execution.result }, "plan ended");
      if (execution.result === "done") return { state: stateOf(plan), findings: plan.findings };
      return { state: "failed", findings: [...plan.findings, ...execution.findings] };
    } finally {
      withdrawal.release();
    }
  }

  async #plan(wanted: WantedMig): Promise<PartitionPlan | undefined> {
    const { driver, holders } = this.#options;
    const gpu = (await driver.list()).find((one: Gpu) => one.uuid === wanted.gpuUuid);
    return gpu && planGpu({ gpu, wanted, holders: await holders.holders() });
  }

  #remember(gpuUuid: string, key: string, findings: readonly Finding[]): void {
    const tries = (this.#failures.get(gpuUuid)?.tries ?? 0) + 1;
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** (tries - 1), LONGEST_RETRY_MS);
    this.#failures.set(gpuUuid, { key, findings, tries, retryAtMs: this.#options.clock.now() + waitMs });
  }

  #gone(wanted: WantedMig): Finding {
    const subject = { kind: "gpu", name: `${this.#options.node} GPU ${wanted.gpuIndex}` } as const;
    return finding("gpu-gone", subject, `the driver no longer lists ${wanted.gpuUuid}`, {
      remedy: "check the GPU with nvidia-smi; a reboot of the node may bring it back",
    });
  }

  #kubeletBehind(plan: PartitionPlan): Finding {
    const subject = { kind: "gpu", name: `${this.#options.node} GPU ${plan.gpuIndex}` } as const;
    return finding("kubelet-behind", subject, "the kubelet still offers devices that are to go; nothing is changed", {
      remedy: "check that the kubelet runs and its device plugin directory is the one the agent uses",
    });
  }
}

/** Whether the wanted layout stands, waits for pods, or cannot be had at all. */
function stateOf(plan: PartitionPlan): RepartitionResult["state"] {
  if (plan.complete) return "success";
  return plan.findings.some((one) => one.severity === "error") ? "failed" : "pending";
}

function keyOf(wanted: WantedMig): string {
  return JSON.stringify([wanted.migEnabled, [...wanted.counts].sort()]);
}
