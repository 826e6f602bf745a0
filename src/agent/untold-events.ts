/**
 * Events that wait to be written: in order, each until it is written or its object is gone.
 */
import type { KubeObject } from "../kube/index.ts";
import type { AgentEvent } from "./node-writer.ts";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface UntoldEventsOptions {
  /** The pod as the Kubernetes API shows it, or the node for `"node"`; `undefined` when it is not there. */
  objectOf(about: PodName | "node"): KubeObject | undefined;
  /** Writes an event; false when that failed. */
  write(about: KubeObject, event: AgentEvent): Promise<boolean>;
}

interface Untold {
  readonly about: PodName | "node";
  readonly event: AgentEvent;
}

export class UntoldEvents {
  readonly #options: UntoldEventsOptions;
  #untold: readonly Untold[] = [];
  #telling: Promise<void> | undefined;

  constructor(options: UntoldEventsOptions) {
    this.#options = options;
  }

  /** Whether events are being written. */
  get busy(): boolean {
    return this.#telling !== undefined;
  }

  add(about: PodName | "node", event: AgentEvent): void {
    this.#untold = [...this.#untold, { about, event }];
  }

  /** Writes all there is; what cannot be written now stays for the next call. */
  tell(): Promise<void> {
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
    return this.#telling;
  }

  async #tellAll(): Promise<void> {
    const waiting: Untold[] = [];
    while (this.#untold.length > 0) {
      const now = this.#untold;
      this.#untold = [];
      for (const one of now) {
        const object = this.#options.objectOf(one.about);
        if (object !== undefined && (await this.#options.write(object, one.event))) continue;
        // A pod that is gone has nobody left to tell; the node will be there.
        if (object !== undefined || one.about === "node") waiting.push(one);
      }
    }
    this.#untold = waiting;
  }
}
