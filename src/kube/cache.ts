/**
 * A copy of one collection that follows the server: listed once, then kept up by watches.
 *
 * While the server is out of reach the last known state stays readable, and `problem` tells of it.
 */
import { type Clock, type Logger, silentLogger, systemClock } from "../base/index.ts";
import { BackOff } from "./back-off.ts";
import { hasStatus, KubeError } from "./error.ts";
import type { KubeApi, KubeObject, ListOptions, ResourceType } from "./types.ts";

/** What the cache needs of the API. */
export type CacheApi = Pick<KubeApi, "list" | "watch">;

/** One object that came, changed or went; `previous` is what the cache held before. */
export type CacheChange<T extends KubeObject> =
  | { readonly type: "added"; readonly object: T }
  | { readonly type: "modified"; readonly object: T; readonly previous: T }
  | { readonly type: "deleted"; readonly object: T };

export interface CacheOptions extends ListOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Whether a collection that the server does not know (404) counts as empty, until it does. Default false. */
  readonly absentIsEmpty?: boolean;
  /** Numbers from 0 to below 1, for jitter; default `Math.random`. */
  readonly random?: () => number;
}

/** How long a watch stood, zero if the list before it failed, and what broke it off, if it was no orderly end. */
interface Round {
  readonly watchedMs: number;
  readonly failure: KubeError | undefined;
}

/**
 * The reflector of one collection. `run` fills it until its signal fires; several who follow the same collection share
 * one, and it follows the server until all of them have left.
 */
export class ResourceCache<T extends KubeObject> {
  /** Resolves after the first list; rejects with the signal's reason if that comes first. */
  readonly synced: Promise<void>;
  readonly #api: CacheApi;
  readonly #type: ResourceType;
  readonly #selection: ListOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #absentIsEmpty: boolean;
  readonly #sync = Promise.withResolvers<void>();
  readonly #listeners = new Set<(change: CacheChange<T>) => void>();
  #objects = new Map<string, T>();
  #resourceVersion: string | undefined;
  #problem: KubeError | undefined;
  /** The message of the problem that was logged as a warning, while it lasts. */
  #warned: string | undefined;
  #followers = 0;
  #following: { readonly done: Promise<void>; readonly end: AbortController } | undefined;

  constructor(api: CacheApi, type: ResourceType, options: CacheOptions = {}) {
    const {
      clock = systemClock,
      log = silentLogger,
      random = Math.random,
      absentIsEmpty = false,
      ...selection
    } = options;
    this.#api = api;
    this.#type = type;
    this.#selection = selection;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
    this.#absentIsEmpty = absentIsEmpty;
    this.synced = this.#sync.promise;
    // Whoever waits sees the rejection; nobody has to wait.
    this.synced.catch(() => {});
  }

  /** Why the cache may be behind the server; `undefined` while it follows it. */
  get problem(): KubeError | undefined {
    return this.#problem;
  }

  /** How far the copy has come; `undefined` before the first list and while everything is listed anew. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  /** Cluster-scoped objects have no namespace. */
  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(keyOf({ namespace, name }));
  }

  /** All objects: in the server's order as listed, and in order of arrival behind that. */
  items(): readonly T[] {
    return [...this.#objects.values()];
  }

  /**
   * Calls `listener` for every change from now on, in order, when the cache already shows it; what the cache holds by now
   * and the first list come as `added`. Returns how to stop it. What a listener throws ends `run`.
   */
  onChange(listener: (change: CacheChange<T>) => void): () => void {
    for (const object of this.#objects.values()) listener({ type: "added", object });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Follows the server until the signal fires, then resolves; to be awaited by whoever stops it. While others follow too
   * it resolves at once, and the last one to leave waits for the end.
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#following ??= this.#begin();
    const { done, end } = this.#following;
    this.#followers += 1;
    const left = Promise.withResolvers<void>();
    const leave = (): void => {
      this.#followers -= 1;
      if (this.#followers === 0) end.abort(signal.reason);
      left.resolve();
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    await Promise.race([done, left.promise]);
    if (end.signal.aborted) await done;
  }

  /** Resolves after the first list; rejects with the signal's reason if that comes first, whoever else still follows. */
  async waitForSync(signal: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<never>();
    const end = (): void => ended.reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    try {
      await Promise.race([this.synced, ended.promise]);
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  #begin(): { readonly done: Promise<void>; readonly end: AbortController } {
    const end = new AbortController();
    const done = this.#reflect(end.signal);
    // Everybody who follows is told what breaks it.
    done.catch(() => {});
    return { done, end };
  }

  async #reflect(signal: AbortSignal): Promise<void> {
    const backOff = new BackOff(this.#random);
    try {
      while (!signal.aborted) {
        const { watchedMs, failure } = await this.#follow(signal);
        if (signal.aborted) break;
        const waitMs = backOff.afterTry(watchedMs, failure?.retryAfterMs);
        this.#note(failure, waitMs);
        if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
      }
    } catch (error) {
      this.#sync.reject(error);
      if (!signal.aborted) throw error;
    }
    this.#sync.reject(signal.reason);
  }

  /** One list, where one is due, and one watch. */
  async #follow(signal: AbortSignal): Promise<Round> {
    let sinceMs: number | undefined;
    const endedBy = (failure: KubeError | undefined): Round => {
      return { watchedMs: sinceMs === undefined ? 0 : this.#clock.now() - sinceMs, failure };
    };
    try {
      this.#resourceVersion ??= await this.#relist(signal);
      sinceMs = this.#clock.now();
      await this.#watch(this.#resourceVersion, signal);
      return endedBy(undefined);
    } catch (error) {
      if (signal.aborted) return endedBy(undefined);
      if (!(error instanceof KubeError)) throw error;
      const isAbsent = this.#absentIsEmpty && hasStatus(error, 404);
      if (isAbsent) this.#empty();
      // What a server breaks over once may pass; twice in a row, going on from there leads nowhere.
      const isStuck = hasStatus(error, 500) && this.#problem !== undefined;
      if (isAbsent || isStuck || isVersionOfNoUse(error)) this.#resourceVersion = undefined;
      return endedBy(isAbsent ? undefined : error);
    }
  }

  /** Takes in how a round ended. Connections break now and then; what breaks the next one too, somebody must know. */
  #note(failure: KubeError | undefined, waitMs: number): void {
    const isLasting = this.#problem !== undefined;
    this.#problem = failure;
    if (failure === undefined) return;
    const fields = { resource: this.#type.plural, problem: failure.message, waitMs: Math.round(waitMs) };
    if (!isLasting || this.#warned === failure.message) {
      this.#log.debug(fields, "watch broke off");
    } else {
      this.#warned = failure.message;
      this.#log.warn(fields, "collection cannot be followed");
    }
  }

  /** Takes in that the server tells what there is. */
  #clearProblem(): void {
    this.#problem = undefined;
    this.#warned = undefined;
  }

  async #relist(signal: AbortSignal): Promise<string> {
    const { items, resourceVersion } = await this.#api.list<T>(this.#type, this.#selection, signal);
    const before = this.#objects;
    this.#objects = new Map(items.map((item) => [keyOf(item.metadata), item]));
    this.#sync.resolve();
    this.#clearProblem();
    const changes: CacheChange<T>[] = [];
    for (const [key, object] of this.#objects) {
      const previous = before.get(key);
      if (previous === undefined) changes.push({ type: "added", object });
      else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion)
        changes.push({ type: "modified", object, previous });
    }
    for (const [key, object] of before) if (!this.#objects.has(key)) changes.push({ type: "deleted", object });
    for (const change of changes) this.#tell(change);
    return resourceVersion;
  }

  #empty(): void {
    const before = this.#objects;
    this.#objects = new Map();
    this.#sync.resolve();
    for (const object of before.values()) this.#tell({ type: "deleted", object });
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    // Spread over five to ten minutes, as client-go does, so that many watches do not end together.
    const timeoutSeconds = Math.round(300 * (1 + this.#random()));
    const events = this.#api.watch<T>(this.#type, { ...this.#selection, resourceVersion, timeoutSeconds, signal });
    for await (const event of events) {
      this.#clearProblem();
      if (event.type === "BOOKMARK") {
        this.#resourceVersion = event.resourceVersion;
        continue;
      }
      const { object } = event;
      const key = keyOf(object.metadata);
      const previous = this.#objects.get(key);
      if (event.type === "DELETED") this.#objects.delete(key);
      else this.#objects.set(key, object);
      this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
      if (event.type === "DELETED") this.#tell({ type: "deleted", object });
      else if (previous === undefined) this.#tell({ type: "added", object });
      else this.#tell({ type: "modified", object, previous });
    }
  }

  #tell(change: CacheChange<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/**
 * Whether the server cannot go on from the version the cache has: too old, or not reached, as after a restore from a
 * backup. The latter has no status of its own, so its words count (apiserver, pkg/storage/errors.go).
 */
function isVersionOfNoUse(error: KubeError): boolean {
  return hasStatus(error, 410) || (hasStatus(error, 504) && error.message.includes("Too large resource version"));
}

function keyOf(ref: { readonly namespace?: string | undefined; readonly name: string }): string {
  return `${ref.namespace ?? ""}/${ref.name}`;
}
