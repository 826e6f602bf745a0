/**
 * All open watches: who gets what when something changes, and when each of them ends.
 */
import type { ApiContext } from "./context.ts";
import type { HttpResponse } from "./http.ts";
import { type LineCache, type WatchOptions, WatchSession } from "./watch.ts";

/** How often clients that asked for bookmarks are told how far the history has come; as in the real server. */
const bookmarkIntervalMs = 60_000;

/** Follows the store and feeds the watches. */
export class WatchHub {
  readonly #context: ApiContext;
  readonly #sessions = new Map<unknown, Set<WatchSession>>();
  readonly #dirty = new Set<unknown>();
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
    const sessions = this.#sessions.get(options.collection) ?? new Set();
    this.#sessions.set(options.collection, sessions.add(session));
    this.#open += 1;
    const ended = new AbortController();
    response.once("close", () => {
      ended.abort();
      sessions.delete(session);
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
  #changed(collection: unknown): void {
    this.#dirty.add(collection);
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    const lines: LineCache = new Map();
    for (const collection of this.#dirty) {
      for (const session of this.#sessions.get(collection) ?? []) session.pump(lines);
    }
    this.#dirty.clear();
  }

  *#all(): Iterable<WatchSession> {
    for (const sessions of this.#sessions.values()) yield* sessions;
  }

  async #endAfter(session: WatchSession, timeoutMs: number, ended: AbortSignal): Promise<void> {
    try {
      await this.#context.clock.sleep(timeoutMs, ended);
    } catch {
      return;
    }
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
