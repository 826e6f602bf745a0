/**
 * How a job counts the ends of its pods, each once, whatever becomes of the pod (KEP-2307): pure.
 *
 * A pod carries a finalizer until its UID stands in `status.uncountedTerminatedPods`, and a UID moves on into the count
 * when its pod has lost the finalizer.
 */
import type { Pod } from "../../kube/index.ts";
import { completedIndexes, isTracked, type JobPods } from "./job-pods.ts";
import type { Job } from "./types.ts";

/** The counts, and what is to be counted. */
export interface Books {
  readonly succeeded: number;
  readonly failed: number;
  /** What the counts will be when all that is known to have ended is in them. */
  readonly totalSucceeded: number;
  readonly totalFailed: number;
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] };
  /** Of an indexed job, those that need no pod any more. */
  readonly indexes: ReadonlySet<number> | undefined;
  /** Pods whose end is in these books, or does not count. */
  readonly release: readonly Pod[];
}

/** Brings the books up to date with the pods that have ended. */
export function bookkeeping(job: Job, pods: readonly Pod[], { succeeded, failed, ignored }: JobPods): Books {
  const {
    uncountedTerminatedPods: before = {},
    succeeded: countSucceeded = 0,
    failed: countFailed = 0,
  } = job.status ?? {};
  const tracked = new Set(pods.filter(isTracked).map(uidOf));
  const isOpen = (uid: string): boolean => tracked.has(uid);
  const booked = { succeeded: before.succeeded ?? [], failed: before.failed ?? [] };
  const inBooks = new Set([...booked.succeeded, ...booked.failed]);
  // A pod that counts as failed because it is on its way out may still end well: it is counted once.
  const fresh = (found: readonly Pod[]): readonly string[] => found.map(uidOf).filter((uid) => !inBooks.has(uid));
  const open = {
    succeeded: [...booked.succeeded.filter(isOpen), ...fresh(succeeded)],
    failed: [...booked.failed.filter(isOpen), ...fresh(failed)],
  };
  const moved = (uids: readonly string[]): number => uids.filter((uid) => !isOpen(uid)).length;
  const failedCount = countFailed + moved(booked.failed);
  const totalFailed = failedCount + open.failed.length;
  // The status is written first, so that these are in the books when their finalizer comes off.
  const release = [...succeeded, ...failed, ...ignored];
  if (job.spec.completionMode === "Indexed") {
    // Success is in the books with the index.
    const indexes = completedIndexes(job, succeeded);
    const uncounted = { succeeded: [], failed: open.failed };
    const count = indexes.size;
    return { succeeded: count, failed: failedCount, totalSucceeded: count, totalFailed, uncounted, indexes, release };
  }
  const succeededCount = countSucceeded + moved(booked.succeeded);
  return {
    succeeded: succeededCount,
    failed: failedCount,
    totalSucceeded: succeededCount + open.succeeded.length,
    totalFailed,
    uncounted: open,
    indexes: undefined,
    release,
  };
}

function uidOf({ metadata }: Pod): string {
  return metadata.uid ?? "";
}
