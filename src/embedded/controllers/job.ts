/**
 * What a job does next (kubernetes, pkg/controller/job/job_controller.go): pure.
 */
import type { Condition, Pod } from "../../kube/index.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { withCondition } from "./conditions.ts";
import { formatIndexes } from "./index-set.ts";
import { type Books, bookkeeping } from "./job-books.ts";
import {
  backOffMs,
  indexOf,
  isTracked,
  type JobPods,
  replacesOnlyFailed,
  restarts,
  ruleFor,
  sortPods,
} from "./job-pods.ts";
import { isReady } from "./pod-state.ts";
import { podsToDelete } from "./rank.ts";
import { nonZero } from "./same.ts";
import type { Job, JobStatus } from "./types.ts";

export interface JobPlan {
  readonly status: JobStatus;
  /** One entry for each pod to create: its index, where the job has indexes. */
  readonly create: readonly (number | undefined)[];
  /** To be deleted as if they had never been. */
  readonly discard: readonly Pod[];
  /** To be deleted, and counted as failed. */
  readonly abort: readonly Pod[];
  /** In the books once the status is written: their finalizer comes off. */
  readonly release: readonly Pod[];
  readonly events: readonly JobEvent[];
  readonly lookAgainInMs?: number;
}

export type JobEvent = readonly [type: "Normal" | "Warning", reason: string, message: string];

export interface JobFacts {
  readonly job: Job;
  /** Its pods. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** As many pods as one look makes or removes at most. */
const burst = 500;

/** The condition that tells a job is over, if it is. */
export function finishedCondition({ status }: Job): Condition | undefined {
  return status?.conditions?.find(
    ({ type, status: holds }) => ["Complete", "Failed"].includes(type) && holds === "True",
  );
}

/** Compares what is wanted with what there is. */
export function planJob(facts: JobFacts): JobPlan {
  const { job, pods } = facts;
  const nothing = { create: [], discard: [], abort: [], release: [], events: [] };
  if (finishedCondition(job) !== undefined) {
    return { ...nothing, status: job.status ?? {}, release: pods.filter(isTracked) };
  }
  const sorted = sortPods(job, pods);
  const books = bookkeeping(job, pods, sorted);
  const scene: Scene = { ...facts, sorted, books };
  const target = targetOf(scene);
  const work = target === undefined ? manage(scene) : { ...nothing, abort: sorted.active };
  const status = statusOf(scene, target);
  return { ...work, status, release: books.release, events: eventsOf(job, status) };
}

interface Scene extends JobFacts {
  readonly sorted: JobPods;
  readonly books: Books;
}

interface Told {
  readonly reason: string;
  readonly message: string;
}

/** That the job is to end, and how; once said it stays so. */
interface Target extends Told {
  readonly type: "SuccessCriteriaMet" | "FailureTarget";
}

function targetOf({ job, sorted, books, nowMs }: Scene): Target | undefined {
  const known = (job.status?.conditions ?? []).find(
    ({ type, status }) => (type === "SuccessCriteriaMet" || type === "FailureTarget") && status === "True",
  );
  if (known !== undefined) {
    const { reason = "", message = "" } = known;
    return { type: known.type === "FailureTarget" ? "FailureTarget" : "SuccessCriteriaMet", reason, message };
  }
  const failure = failureOf({ job, sorted, books, nowMs });
  if (failure !== undefined) return { type: "FailureTarget", ...failure };
  const { completions } = job.spec;
  const isEnough = completions === undefined ? books.totalSucceeded > 0 : books.totalSucceeded >= completions;
  if (!isEnough || sorted.active.length > 0 || job.spec.suspend === true) return undefined;
  return {
    type: "SuccessCriteriaMet",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
  };
}

function failureOf({ job, sorted, books, nowMs }: Omit<Scene, "pods">): Told | undefined {
  const { backoffLimit = 6, activeDeadlineSeconds, suspend, template } = job.spec;
  const fatal = sorted.failed.map((pod) => ruleFor(job, pod)).find((one) => one?.rule.action === "FailJob");
  if (fatal !== undefined) return { reason: "PodFailurePolicy", message: fatal.message.trim() };
  const again = template.spec.restartPolicy === "OnFailure" ? restarts(sorted.active) : 0;
  const isBeyond = books.totalFailed > backoffLimit || (again > 0 && again >= backoffLimit);
  if (isBeyond) {
    return { reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
  }
  const { startTime } = job.status ?? {};
  if (activeDeadlineSeconds === undefined || startTime === undefined || suspend === true) return undefined;
  if (nowMs < Date.parse(startTime) + activeDeadlineSeconds * 1000) return undefined;
  return { reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" };
}

type Work = Pick<JobPlan, "create" | "discard" | "abort" | "lookAgainInMs">;

/** How many pods run now, and which. */
function manage(scene: Scene): Work {
  const { job, pods, sorted, books, nowMs } = scene;
  const { parallelism = 1, completions, suspend } = job.spec;
  const nothing = { create: [], discard: [], abort: [] };
  if (job.metadata.deletionTimestamp !== undefined) return nothing;
  const { active } = sorted;
  const missing = (completions ?? Number.POSITIVE_INFINITY) - books.totalSucceeded;
  const isClosing = completions === undefined && books.totalSucceeded > 0;
  const wanted = suspend === true ? 0 : isClosing ? active.length : Math.max(0, Math.min(parallelism, missing));
  const surplus = surplusPods(scene, Math.max(0, active.length - wanted));
  if (surplus.length > 0) return { ...nothing, discard: surplus.slice(0, burst) };
  const deadline = deadlineInMs(job, nowMs);
  const waiting = replacesOnlyFailed(job) ? sorted.terminating.length : 0;
  const count = Math.min(burst, wanted - active.length - waiting);
  const pauseMs = count > 0 ? backOffMs(pods, nowMs) : 0;
  const waits = [deadline, pauseMs].filter((ms) => ms !== undefined && ms > 0);
  const later = waits.length === 0 ? {} : { lookAgainInMs: Math.min(...waits.map(Number)) };
  if (count <= 0 || pauseMs > 0) return { ...nothing, ...later };
  return { ...nothing, create: newIndexes(scene, count), ...later };
}

function surplusPods({ sorted: { active }, books, job, nowMs }: Scene, count: number): readonly Pod[] {
  const surplus = new Set<Pod>();
  if (books.indexes !== undefined) {
    const seen = new Set<number>(books.indexes);
    const { completions = 0 } = job.spec;
    for (const pod of active) {
      const index = indexOf(pod) ?? completions;
      if (index >= completions || seen.has(index)) surplus.add(pod);
      seen.add(index);
    }
  }
  const left = active.filter((pod) => !surplus.has(pod));
  if (surplus.size < count) {
    for (const pod of podsToDelete(left, count - surplus.size, { neighbours: [], nowMs })) surplus.add(pod);
  }
  return [...surplus];
}

function newIndexes({ job, sorted, books }: Scene, count: number): readonly (number | undefined)[] {
  if (books.indexes === undefined) return Array.from({ length: count }, () => undefined);
  const waiting = replacesOnlyFailed(job) ? sorted.terminating : [];
  const taken = new Set([...books.indexes, ...[...sorted.active, ...waiting].map((pod) => indexOf(pod))]);
  const { completions = 0 } = job.spec;
  const fresh: number[] = [];
  for (let index = 0; index < completions && fresh.length < count; index += 1) {
    if (!taken.has(index)) fresh.push(index);
  }
  return fresh;
}

function deadlineInMs({ spec, status }: Job, nowMs: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || status?.startTime === undefined) return undefined;
  return Math.max(1, Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000 - nowMs);
}

function statusOf({ job, pods, sorted, books, nowMs }: Scene, target: Target | undefined): JobStatus {
  const now = timestamp(nowMs);
  const { uncounted, indexes } = books;
  const started = startOf(job, now);
  const isEmpty =
    sorted.active.length + sorted.terminating.length + uncounted.succeeded.length + uncounted.failed.length === 0 &&
    !pods.some(isTracked);
  let conditions = started.conditions;
  if (target !== undefined) conditions = withCondition(conditions, conditionOf(target.type, target, now));
  const isOver = target !== undefined && isEmpty;
  const isComplete = isOver && target.type === "SuccessCriteriaMet";
  if (isOver) conditions = withCondition(conditions, conditionOf(isComplete ? "Complete" : "Failed", target, now));
  const counts: Pick<JobStatus, "active" | "succeeded" | "failed"> = nonZero({
    active: sorted.active.length,
    succeeded: books.succeeded,
    failed: books.failed,
  });
  return {
    ...counts,
    ready: sorted.active.filter(isReady).length,
    terminating: sorted.terminating.length,
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length === 0 ? {} : { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length === 0 ? {} : { failed: uncounted.failed }),
    },
    ...(indexes === undefined || indexes.size === 0 ? {} : { completedIndexes: formatIndexes(indexes) }),
    ...(started.startTime === undefined ? {} : { startTime: started.startTime }),
    ...(isComplete ? { completionTime: now } : {}),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

interface Start {
  readonly startTime: string | undefined;
  readonly conditions: readonly Condition[];
}

/** A suspended job has not started; its time begins anew when it goes on. */
function startOf({ spec, status = {} }: Job, now: string): Start {
  const { startTime, conditions = [] } = status;
  const isSuspended = conditions.some(({ type, status: holds }) => type === "Suspended" && holds === "True");
  if (spec.suspend === true) {
    const told = { reason: "JobSuspended", message: "Job suspended" };
    return { startTime: undefined, conditions: withCondition(conditions, conditionOf("Suspended", told, now)) };
  }
  if (!isSuspended) return { startTime: startTime ?? now, conditions };
  const told = { reason: "JobResumed", message: "Job resumed" };
  const resumed: Condition = { ...conditionOf("Suspended", told, now), status: "False" };
  return { startTime: now, conditions: withCondition(conditions, resumed) };
}

function conditionOf(type: string, { reason, message }: Told, now: string): Condition {
  return { type, status: "True", reason, message, lastProbeTime: now, lastTransitionTime: now };
}

/** What is new in the status and worth an event. */
function eventsOf({ status: before }: Job, status: JobStatus): readonly JobEvent[] {
  const isNew = ({ type, status: holds }: Condition): boolean =>
    !(before?.conditions ?? []).some((one) => one.type === type && one.status === holds);
  return (status.conditions ?? [])
    .filter(isNew)
    .flatMap(({ type, status: holds, reason = "", message = "" }): JobEvent[] => {
      if (type === "Complete") return [["Normal", "Completed", "Job completed"]];
      if (type === "Failed") return [["Warning", reason, message]];
      if (type === "Suspended") return [["Normal", holds === "True" ? "Suspended" : "Resumed", message]];
      return [];
    });
}
