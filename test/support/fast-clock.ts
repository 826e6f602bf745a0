/** A clock on which waits that a user has minutes for pass while a test looks on. */
import { type Clock, systemClock } from "../../src/base/index.ts";

/** The machine's clock, `factor` times as fast: real work takes as long as ever, waits and deadlines are shorter. */
export function fastClock(factor: number): Clock {
  const startMs = systemClock.now();
  return {
    now: () => startMs + (systemClock.now() - startMs) * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}
