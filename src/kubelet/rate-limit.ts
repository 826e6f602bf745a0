/**
 * A token bucket, as the kubelet puts before its pod resources API.
 */
import type { Clock } from "../base/index.ts";

/** Lets `burst` calls through at once and `perSecond` in the long run. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #countedMs: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#countedMs = clock.now();
  }

  /** Whether one more call may pass now; it counts if so. */
  allows(): boolean {
    const nowMs = this.#clock.now();
    const gained = (Math.max(0, nowMs - this.#countedMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#countedMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
