/**
 * A token bucket, as the kubelet puts before its pod resources API.
 */
import type { Clock } from "../base/index.ts";

/** Lets `burst` calls through at once and `perSecond` in the long run. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #costMs: number;
  readonly #fullMs: number;
  /** Time saved up: counted in milliseconds and not in calls, so that whole numbers stay exact. */
  #savedMs: number;
  #countedMs: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#costMs = 1000 / perSecond;
    this.#fullMs = burst * this.#costMs;
    this.#savedMs = this.#fullMs;
    this.#countedMs = clock.now();
  }

  /** Whether one more call may pass now; it counts if so. */
  allows(): boolean {
    const nowMs = this.#clock.now();
    this.#savedMs = Math.min(this.#fullMs, this.#savedMs + Math.max(0, nowMs - this.#countedMs));
    this.#countedMs = nowMs;
    if (this.#savedMs < this.#costMs) return false;
    this.#savedMs -= this.#costMs;
    return true;
  }
}
