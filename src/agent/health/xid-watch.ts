/**
 * Follows the driver's XID events for as long as the agent runs, through times when there is no driver to follow.
 */
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import type { GpuDriver, XidEvent } from "../../gpu/index.ts";
import { BackOff } from "../../kube/index.ts";

export interface XidWatchOptions {
  readonly driver: Pick<GpuDriver, "xidEvents">;
  readonly clock: Clock;
  readonly log: Logger;
  onXid(event: XidEvent): void;
}

/** From 200 ms to 5 s: what happens between two tries is missed. */
const backOffSettings = { initialMs: 200, maximumMs: 5_000, steadyMs: 30_000 };

export class XidWatch {
  readonly #options: XidWatchOptions;
  #problem: string | undefined;
  /** Ends the wait for the next try. */
  #waiting = new AbortController();

  constructor(options: XidWatchOptions) {
    this.#options = options;
  }

  /** Why errors are not seen now; `undefined` while they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The driver is known to answer: tries again at once if it waits to. */
  hurry(): void {
    this.#waiting.abort();
  }

  /** Follows until the signal fires; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { driver, clock, log, onXid } = this.#options;
    const backOff = new BackOff(Math.random, backOffSettings);
    while (!signal.aborted) {
      const startMs = clock.now();
      try {
        const events = driver.xidEvents(signal);
        this.#problem = undefined;
        for await (const event of events) onXid(event);
        if (!signal.aborted) this.#problem = "the driver ended the stream of XID events";
      } catch (error) {
        this.#problem = errorText(error);
      }
      if (signal.aborted) return;
      log.warn({ problem: this.#problem }, "XID events are not followed");
      this.#waiting = new AbortController();
      const either = AbortSignal.any([signal, this.#waiting.signal]);
      await clock.sleep(backOff.afterTry(clock.now() - startMs), either).catch(() => {});
    }
  }
}
