/**
 * What every controller is made of: a queue of keys, what it wrote and waits to see, and its events.
 */
import type { Clock, Logger } from "../../base/index.ts";
import type { KubeApi, KubeEvent, KubeObject, ResourceCache } from "../../kube/index.ts";
import { EventQueue } from "../kubelet/event-queue.ts";
import { AwaitedWrites } from "./awaited-writes.ts";
import type { Caches } from "./caches.ts";
import { controllerOf } from "./owners.ts";
import { WorkQueue } from "./work-queue.ts";

/** What the controllers of a cluster share. */
export interface ControllerContext {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** Numbers from 0 to below 1. */
  readonly random: () => number;
  readonly caches: Caches;
}

/** One kind's controller. */
export interface Controller {
  /** Whether nothing is going on; waiting for a time to come is nothing. */
  readonly idle: boolean;
  /** Works until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
}

/** Looks again when a write never shows in the caches. */
const lookAgainMs = 30_000;

/** Serves the keys of one controller. */
export class Worker implements Controller {
  readonly context: ControllerContext;
  readonly queue: WorkQueue;
  readonly awaited: AwaitedWrites;
  readonly #events: EventQueue;

  /** `serve` brings one object up to date; it is not called while the caches are behind what it wrote. */
  constructor(context: ControllerContext, component: string, serve: (key: string) => Promise<void>) {
    const { api, clock, log } = context;
    this.context = context;
    this.awaited = new AwaitedWrites(clock);
    this.#events = new EventQueue({ api, clock, log, component });
    this.queue = new WorkQueue(context, async (key) => {
      if (this.awaited.has(key)) this.queue.addAfter(key, lookAgainMs);
      else await serve(key);
    });
  }

  get idle(): boolean {
    return this.queue.idle && this.awaited.idle && !this.#events.busy;
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.queue.run(signal);
    await this.#events.flushed();
  }

  /** Writes an event about `object`. */
  tell(object: KubeObject, type: KubeEvent["type"], reason: string, message: string): void {
    this.#events.tell(object, type, [reason, message]);
  }

  /** Has the object itself served whenever it changes. */
  follow<T extends KubeObject>(cache: ResourceCache<T>): void {
    cache.onChange(({ object }) => this.queue.add(keyOf(object)));
  }

  /**
   * Has the controllers, of this kind, of changed objects served; for objects nobody controls, those that `takers` names
   * because they would take them in.
   */
  followOwned<T extends KubeObject>(
    cache: ResourceCache<T>,
    kind: string,
    takers: (object: T) => readonly KubeObject[],
  ): void {
    cache.onChange((change) => {
      const owner = controllerOf(change.object);
      const before = change.type === "modified" ? controllerOf(change.previous) : undefined;
      for (const one of [owner, before]) {
        if (one?.kind === kind) this.queue.add(keyIn(change.object.metadata.namespace, one.name));
      }
      if (owner === undefined && change.type !== "deleted")
        for (const one of takers(change.object)) this.queue.add(keyOf(one));
    });
  }
}

/** Names an object within its kind. */
export function keyOf({ metadata }: KubeObject): string {
  return keyIn(metadata.namespace, metadata.name);
}

/** Names the object of this name in this namespace, or in none. */
export function keyIn(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}

/** The object of a key. */
export function objectOf<T extends KubeObject>(cache: ResourceCache<T>, key: string): T | undefined {
  const [namespace, name = ""] = key.split("/");
  return cache.get(namespace, name);
}
