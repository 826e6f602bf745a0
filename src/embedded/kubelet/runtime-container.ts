/**
 * A container as the runtime reports it to the kubelet, in the words of the CRI.
 */
import type { ContainerState, ContainerStatus, Pod } from "../../kube/index.ts";

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode: number;
  /** `Completed`, `Error`, `StartError`; `Unknown` when the machine went dark. */
  readonly reason: string;
  /** The termination message; empty when there is nothing to say. */
  readonly message: string;
}

/** One run of a container; a restart makes a new one with the next attempt number. */
export interface RuntimeContainer {
  /** `simulated://<64 hexadecimal digits>`, as containerd would write `containerd://…`. */
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  /** 0 for the first run. */
  readonly attempt: number;
  readonly startedAtMs: number;
  /** `undefined` while it runs. */
  readonly end: (ContainerEnd & { readonly finishedAtMs: number }) | undefined;
}

/** Whether it runs now. */
export function isRunning(container: RuntimeContainer | undefined): boolean {
  return container !== undefined && container.end === undefined;
}

/** How containerd reports a container whose task is gone when it comes up (internal/cri/server/restart.go). */
export const lostToPowerCut: ContainerEnd = { exitCode: 255, reason: "Unknown", message: "" };

/** The containers that a pod's status tells of, as a runtime finds them after a power cut: none of them runs. */
export function recalledContainers(pod: Pod, nowMs: number): readonly RuntimeContainer[] {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const podUid = pod.metadata.uid ?? "";
  return [...initContainerStatuses, ...containerStatuses].flatMap((one) => recalledRuns(one, { podUid, nowMs }));
}

/** The latest run and, if the status tells of it, the one before. */
function recalledRuns(
  status: ContainerStatus,
  { podUid, nowMs }: { readonly podUid: string; readonly nowMs: number },
): readonly RuntimeContainer[] {
  const { containerID: id, name, restartCount, state, lastState } = status;
  if (id === undefined) return [];
  const ended = (end: ContainerState["terminated"], attempt: number): readonly RuntimeContainer[] => {
    if (end === undefined) return [];
    const { containerID = id, exitCode, reason = "", message = "", startedAt, finishedAt } = end;
    const finishedAtMs = msOf(finishedAt, nowMs);
    const startedAtMs = msOf(startedAt, finishedAtMs);
    return [{ id: containerID, podUid, name, attempt, startedAtMs, end: { exitCode, reason, message, finishedAtMs } }];
  };
  if (state.terminated !== undefined) {
    return [...ended(lastState?.terminated, restartCount - 1), ...ended(state.terminated, restartCount)];
  }
  // What waits to be started again shows how it ended as its last state.
  if (state.running === undefined) return ended(lastState?.terminated, restartCount);
  const startedAtMs = msOf(state.running.startedAt, nowMs);
  const cut = { id, podUid, name, attempt: restartCount, startedAtMs, end: { ...lostToPowerCut, finishedAtMs: nowMs } };
  return [...ended(lastState?.terminated, restartCount - 1), cut];
}

function msOf(time: string | undefined, otherwise: number): number {
  const ms = Date.parse(time ?? "");
  return Number.isNaN(ms) ? otherwise : ms;
}
