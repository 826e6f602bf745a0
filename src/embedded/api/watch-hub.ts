/**
 * All open watches: who gets what when something changes, and when each of them ends.
 */

import type { Collection } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import type { HttpResponse } from "./http.ts";
import { type LineCache, type WatchOptions, WatchSession } from "./watch.ts";
import { WatchIndex } from "./watch-index.ts";

/** How often clients that asked for bookmarks are told how far the history has come; as in the real server. */
const bookmarkIntervalMs = 60_000;

/** Follows the store and feeds the watches. */
export class WatchHub {
  readonly #context: ApiContext;
  readonly #indexes = new Map<Collection, WatchIndex>();
  readonly #dirty = new Set<Collection>();
  readonly #stop = new AbortController();
  readonly #stopListening: () => void;
  #scheduled: NodeJS.Immediate | undefined;
  #open = 0;

  constructor(context: ApiContext) {
    this.#context = context;
    this.#stopListening = context.store.listen((key) => this.#changed(context.store.collection(key)));
    void this.#sendBookmarks();
  }

  /** How many watches are open. */
  get open(): number {
    return this.#open;
  }

  /** Starts a watch on a response whose head is not sent yet; it ends after `timeoutMs`. */
  start(response: HttpResponse, options: WatchOptions, timeoutMs: number): void {
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache, private" });
    response.flushHeaders?.();
    const session = new WatchSession(response, options);
    const index = this.#indexes.get(options.collection) ?? new WatchIndex(options.collection);
    this.#indexes.set(options.collection, index);
    index.add(session);
    this.#open += 1;
    const ended = new AbortController();
    response.once("close", () => {
      ended.abort();
      index.delete(session);
      this.#open -= 1;
    });
    session.pump(new Map());
    void this.#endAfter(session, timeoutMs, ended.signal);
  }

  /** Ends all watches at once. */
  close(): void {
    this.#stop.abort();
    this.#stopListening();
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
    for (const session of this.#all()) session.end(this.#context.store.revision);
  }

  /** Changes of one turn of the event loop go out together. */
  #changed(collection: Collection): void {
    this.#dirty.add(collection);
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    const lines: LineCache = new Map();
    for (const collection of this.#dirty) this.#indexes.get(collection)?.tell(lines);
    this.#dirty.clear();
  }

  *#all(): Iterable<WatchSession> {
    for (const index of this.#indexes.values()) yield* index.sessions();
  }

  async #endAfter(session: WatchSession, timeoutMs: number, ended: AbortSignal): Promise<void> {
    try {
      await this.#context.clock.sleep(timeoutMs, ended);
    } catch {
      return;
    }
    this.#indexes.get(session.collection)?.brought(session);
    session.pump(new Map());
    session.end(this.#context.store.revision);
  }

  async #sendBookmarks(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#context.clock.sleep(bookmarkIntervalMs, this.#stop.signal);
      } catch {
        return;
      }
      for (const session of this.#all()) session.bookmark(this.#context.store.revision);
    }
  }
}
