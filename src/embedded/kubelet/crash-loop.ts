/**
 * How long a container that keeps ending waits before it is started again: at once the first time, then 10 s, doubled
 * each time up to 5 min (client-go util/flowcontrol `Backoff`, kubelet `MaxCrashLoopBackOff`).
 */

const initialMs = 10_000;
const maximumMs = 300_000;

interface Entry {
  readonly backOffMs: number;
  readonly updatedMs: number;
}

/** Back-off per container of one pod; a kubelet that restarts begins anew, as the real one does. */
export class CrashLoop {
  readonly #entries = new Map<string, Entry>();

  /** The wait that applies to a container which ended at `finishedMs`, or `undefined` when it may start at `nowMs`. */
  waiting(
    container: string,
    finishedMs: number,
    nowMs: number,
  ): { readonly backOffMs: number; readonly untilMs: number } | undefined {
    const entry = this.#entries.get(container);
    if (entry === undefined || isStale(entry, finishedMs)) return undefined;
    const untilMs = finishedMs + entry.backOffMs;
    return nowMs < untilMs ? { backOffMs: entry.backOffMs, untilMs } : undefined;
  }

  /** Notes that a container which ended at `finishedMs` is started again at `nowMs`. */
  started(container: string, finishedMs: number, nowMs: number): void {
    const entry = this.#entries.get(container);
    const backOffMs =
      entry === undefined || isStale(entry, finishedMs) ? initialMs : Math.min(entry.backOffMs * 2, maximumMs);
    this.#entries.set(container, { backOffMs, updatedMs: nowMs });
  }
}

/** A container that ran for twice the maximum since it was last started counts as sound. */
function isStale(entry: Entry, finishedMs: number): boolean {
  return finishedMs - entry.updatedMs > 2 * maximumMs;
}

/** A duration as Go prints it, for the texts in pod statuses: `10s`, `2m40s`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
