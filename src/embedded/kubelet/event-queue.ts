/**
 * Events a component writes, one after another and beside its work: an event that cannot be written holds up nobody.
 *
 * While the API server is out of reach they wait for it, for two minutes as those of client-go do (tools/record/event.go,
 * `maxTriesPerEvent` times `sleepDuration`), but they look more often, since here nobody floods anybody.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import {
  type EventApi,
  type EventInput,
  KubeError,
  type KubeEvent,
  type KubeObject,
  recordEvent,
} from "../../kube/index.ts";

const TRIES = 120;
const TRY_EVERY_MS = 1_000;

export interface EventQueueOptions {
  readonly api: EventApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who tells, for example `kubelet`. */
  readonly component: string;
  /** The node's name, for what happens on a node. */
  readonly host?: string;
}

export class EventQueue {
  readonly #options: EventQueueOptions;
  readonly #ending = new AbortController();
  #last = Promise.resolve();
  #waiting = 0;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Queues an event about `object`, which happens now, whenever it gets written. */
  tell(
    object: KubeObject,
    type: KubeEvent["type"],
    [reason, message]: readonly [reason: string, message: string],
  ): void {
    const { clock, log, component, host } = this.#options;
    const toldMs = clock.now();
    const place = host === undefined ? {} : { host };
    this.#waiting += 1;
    this.#last = this.#last
      .then(() => this.#write({ object, type, reason, message, component, ...place }, toldMs))
      .catch((error: unknown) =>
        log.warn({ reason, about: object.metadata.name, problem: errorText(error) }, "event not written"),
      )
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  /** Resolves when everything queued so far is written or given up; from now on nothing is tried twice. */
  async flushed(): Promise<void> {
    this.#ending.abort();
    await this.#last;
  }

  async #write(event: EventInput, toldMs: number): Promise<void> {
    const { api, clock } = this.#options;
    const { signal } = this.#ending;
    for (let left = TRIES - 1; ; left -= 1) {
      try {
        await recordEvent(api, event, { now: () => toldMs });
        return;
      } catch (error) {
        if (left === 0 || signal.aborted || !isOutOfReach(error)) throw error;
      }
      await clock.sleep(TRY_EVERY_MS, signal).catch(() => {}); // The last try is made at once.
    }
  }
}

/** Whether the server did not answer; what it refuses it would refuse again. */
function isOutOfReach(error: unknown): boolean {
  return error instanceof KubeError && error.status === 0 && error.retryable;
}
