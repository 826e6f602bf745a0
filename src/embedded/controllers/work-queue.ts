/**
 * Keys of objects to be looked at, each served by one call at a time and not more often than every 50 ms.
 *
 * A key that was added is work; a key that waits for a time (back-off, deadline, TTL) is not, and leaves the queue idle.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import { BackOff, KubeError } from "../../kube/index.ts";

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Numbers from 0 to below 1, for the jitter of repeated tries. */
  readonly random: () => number;
}

/** What changes in quick succession is answered together. */
const intervalMs = 50;
/** Timers cannot be set further ahead than 2^31 ms. */
const longestRestMs = 3_600_000;

/** Calls `serve` for keys until the signal of `run` fires. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #serve: (key: string) => Promise<void>;
  /** When each key is to be served: at once, or as soon as its interval is over. */
  readonly #due = new Map<string, number>();
  /** When each key is to be served though nothing happens. */
  readonly #later = new Map<string, number>();
  /** When each key was served within the last interval, the longest ago first. */
  readonly #served = new Map<string, number>();
  readonly #backOffs = new Map<string, BackOff>();
  #serving = false;
  #wake = Promise.withResolvers<void>();

  constructor(options: WorkQueueOptions, serve: (key: string) => Promise<void>) {
    this.#options = options;
    this.#serve = serve;
  }

  /** Whether nothing is to be done before time passes. */
  get idle(): boolean {
    return this.#due.size === 0 && !this.#serving;
  }

  /** Has the key served as soon as its interval allows. */
  add(key: string): void {
    if (this.#due.has(key)) return;
    const nowMs = this.#options.clock.now();
    this.#due.set(key, Math.max(nowMs, (this.#served.get(key) ?? -intervalMs) + intervalMs));
    this.#wake.resolve();
  }

  /** Has the key served when `waitMs` have passed, if not before. */
  addAfter(key: string, waitMs: number): void {
    const atMs = this.#options.clock.now() + waitMs;
    this.#later.set(key, Math.min(atMs, this.#later.get(key) ?? Number.POSITIVE_INFINITY));
    this.#wake.resolve();
  }

  /** Serves until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers();
      const key = this.#take();
      if (key === undefined) await this.#rest(signal);
      else await this.#serveOne(key, signal);
    }
  }

  #take(): string | undefined {
    const nowMs = this.#options.clock.now();
    for (const [key, atMs] of this.#served) {
      if (nowMs - atMs < intervalMs) break;
      this.#served.delete(key);
    }
    for (const [key, atMs] of this.#later) {
      if (atMs > nowMs) continue;
      // What is over must not be waited for while the interval is not.
      this.#later.delete(key);
      this.add(key);
    }
    for (const [key, atMs] of this.#due) if (atMs <= nowMs) return key;
    return undefined;
  }

  async #serveOne(key: string, signal: AbortSignal): Promise<void> {
    this.#serving = true;
    this.#due.delete(key);
    this.#later.delete(key);
    try {
      await this.#serve(key);
      this.#backOffs.delete(key);
    } catch (error) {
      if (!signal.aborted) this.#retry(key, error);
    } finally {
      this.#served.delete(key);
      this.#served.set(key, this.#options.clock.now());
      this.#serving = false;
    }
  }

  #retry(key: string, error: unknown): void {
    const { clock, log, random } = this.#options;
    // Whoever was too late looks again at what the caches show by then.
    if (error instanceof KubeError && error.reason === "Conflict") {
      this.#due.set(key, clock.now() + intervalMs);
      return;
    }
    const backOff = this.#backOffs.get(key) ?? new BackOff(random);
    this.#backOffs.set(key, backOff);
    const waitMs = backOff.afterTry(0, error instanceof KubeError ? error.retryAfterMs : undefined);
    log.debug({ key, problem: errorText(error), waitMs: Math.round(waitMs) }, "object not brought up to date");
    this.addAfter(key, waitMs);
  }

  async #rest(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const nextMs = Math.min(...this.#due.values(), ...this.#later.values());
    const waitMs = Math.min(longestRestMs, nextMs - clock.now());
    const woken = new AbortController();
    const timer = clock.sleep(Math.max(0, waitMs), AbortSignal.any([signal, woken.signal])).catch(() => {});
    await Promise.race([this.#wake.promise, timer]);
    woken.abort();
  }
}
