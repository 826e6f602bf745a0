/**
 * The workload controllers of the embedded cluster, kube-controller-manager's stand-in.
 *
 * They know the cluster only through the API. What belongs to an owner that is deleted is the garbage collector's.
 */
import { type Clock, errorText, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import type { KubeApi } from "../../kube/index.ts";
import { BudgetController } from "./budget-controller.ts";
import { type Caches, makeCaches, type SharedCaches } from "./caches.ts";
import { DaemonSetController } from "./daemon-set-controller.ts";
import { DeploymentController } from "./deployment-controller.ts";
import { JobController } from "./job-controller.ts";
import { LostPodsController } from "./lost-pods.ts";
import { ReplicaSetController } from "./replica-set-controller.ts";
import type { Controller } from "./worker.ts";

export interface ControllersOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Numbers from 0 to below 1, for the jitter of repeated tries; default `Math.random`. */
  readonly random?: () => number;
  /** Caches that others in the process follow too; by default the controllers have their own. */
  readonly caches?: SharedCaches;
}

/** Runs workloads from `start` to `stop`. */
export class Controllers {
  readonly #log: Logger;
  readonly #caches: Caches;
  readonly #controllers: readonly Controller[];
  readonly #abort = new AbortController();
  #running: Promise<unknown> | undefined;
  #synced = false;

  constructor(api: KubeApi, options: ControllersOptions = {}) {
    const { clock = systemClock, log = silentLogger, random = Math.random, caches } = options;
    this.#log = log;
    this.#caches = makeCaches(api, { clock, log, random }, caches);
    const context = { api, clock, log, random, caches: this.#caches };
    this.#controllers = [
      new DeploymentController(context),
      new ReplicaSetController(context),
      new JobController(context),
      new DaemonSetController(context),
      new BudgetController(context),
      new LostPodsController(context),
    ];
  }

  /** Begins to work. To be called once. */
  start(): void {
    const { signal } = this.#abort;
    const caches = Object.values(this.#caches).map((cache) => cache.run(signal));
    this.#running = Promise.all([...caches, this.#work(signal)]);
    // Ends with `stop`, which tells of a defect; without this line Node would end the process before that.
    this.#running.catch((error: unknown) => this.#log.error({ error: errorText(error) }, "controllers broke"));
  }

  /** Ends the watches and waits for what is being written. Throws what broke the controllers, if anything did. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /**
   * Whether everything they know of is as far as it can be now: what they decided is written and seen. Waiting for a time
   * (back-off, a deadline, pods to become available) counts as rest.
   */
  idle(): boolean {
    return this.#synced && this.#controllers.every((one) => one.idle);
  }

  async #work(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(Object.values(this.#caches).map((cache) => cache.waitForSync(signal)));
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#synced = true;
    await Promise.all(this.#controllers.map((one) => one.run(signal)));
  }
}
