/**
 * Waiting that can be cut short.
 */
import type { Clock } from "../base/index.ts";

/** One waits, others ring. A ring while nobody waits is kept for the next wait. */
export class Doorbell {
  readonly #clock: Clock;
  #rung = false;
  #answer: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#answer?.abort();
  }

  /** Waits for a ring, `ms` at most; whether there was one. */
  async wait(ms: number): Promise<boolean> {
    if (!this.#rung) {
      const answer = new AbortController();
      this.#answer = answer;
      try {
        await this.#clock.sleep(ms, answer.signal);
      } catch (error) {
        if (!answer.signal.aborted) throw error;
      } finally {
        this.#answer = undefined;
      }
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}
