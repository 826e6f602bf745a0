/** Work that may not take longer than it is given. */
import { type Clock, TrancheError } from "../../base/index.ts";

export interface Deadline {
  readonly clock: Clock;
  readonly ms: number;
  /** What was waited for, for the error: `no answer`. */
  readonly missing: string;
  /** Ends the work early. */
  readonly signal?: AbortSignal;
}

/** Runs `work`; when the time is over its signal fires and the error is `deadline`, whether or not the work ends. */
export async function within<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, ms, missing } = deadline;
  const timer = new AbortController();
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...(deadline.signal === undefined ? [] : [deadline.signal])]);
  const late = clock.sleep(ms, timer.signal).then(
    () => {
      over.abort();
      throw new TrancheError("deadline", `${missing} within ${ms / 1000} s`);
    },
    () => new Promise<never>(() => {}), // The work ended first.
  );
  try {
    return await Promise.race([work(signal), late]);
  } finally {
    timer.abort();
  }
}
