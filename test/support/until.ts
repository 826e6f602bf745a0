/** Waits for conditions instead of sleeping. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Resolves with the first value of `probe` that is neither `undefined` nor false; fails when `deadlineMs` has passed.
 * `what` names the condition in the failure.
 */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 10_000,
): Promise<T> {
  const endMs = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await sleep(5);
  }
}
