/**
 * Joins many reasons to look again into one look: set by anyone, awaited by one loop.
 */
import type { Clock } from "../base/index.ts";

export class Trigger {
  readonly #clock: Clock;
  #set = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a look is due. */
  get pending(): boolean {
    return this.#set;
  }

  set(): void {
    this.#set = true;
    this.#wake?.();
  }

  /** Resolves when set, at the latest after `timeoutMs`; clears what was set. Rejects when the signal fires. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#set) {
      const done = new AbortController();
      const either = AbortSignal.any([signal, done.signal]);
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const slept = this.#clock.sleep(timeoutMs, either).catch(() => {});
      await Promise.race([woken, slept]);
      this.#wake = undefined;
      done.abort();
    }
    signal.throwIfAborted();
    this.#set = false;
  }
}
