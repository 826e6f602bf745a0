/**
 * Events a component writes, one after another and beside its work: an event that cannot be written holds up nobody.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import { type EventApi, type KubeEvent, type KubeObject, recordEvent } from "../../kube/index.ts";

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
  #last = Promise.resolve();
  #waiting = 0;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#waiting > 0;
  }

  /** Queues an event about `object`. */
  tell(
    object: KubeObject,
    type: KubeEvent["type"],
    [reason, message]: readonly [reason: string, message: string],
  ): void {
    const { api, clock, log, component, host } = this.#options;
    const place = host === undefined ? {} : { host };
    this.#waiting += 1;
    this.#last = this.#last
      .then(() => recordEvent(api, { object, type, reason, message, component, ...place }, clock))
      .catch((error: unknown) =>
        log.warn({ reason, about: object.metadata.name, problem: errorText(error) }, "event not written"),
      )
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  /** Resolves when everything queued so far is written or given up. */
  async flushed(): Promise<void> {
    await this.#last;
  }
}
