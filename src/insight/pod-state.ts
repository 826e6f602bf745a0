/**
 * A pod's state in one reason and one message, looked for where kubectl users look: pod, containers, conditions.
 */
import type { ContainerState, ContainerStatus, Pod } from "../kube/index.ts";

type Terminated = NonNullable<ContainerState["terminated"]>;

export interface PodMessage {
  readonly reason: string;
  readonly message: string;
}

/** The most telling reason and message of the pod's status; both empty while nothing is wrong. */
export function podMessage(pod: Pod): PodMessage {
  const status = pod.status ?? {};
  if (status.reason !== undefined || status.message !== undefined) {
    return { reason: status.reason ?? "", message: status.message ?? "" };
  }
  const statuses = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const container = statuses.map(containerMessage).find((one) => one !== undefined);
  if (container !== undefined) return container;
  const unscheduled = (status.conditions ?? []).find((one) => one.type === "PodScheduled" && one.status === "False");
  return { reason: unscheduled?.reason ?? "", message: unscheduled?.message ?? "" };
}

/** A container's last run, which ended badly. */
export interface BadEnd {
  readonly container: string;
  readonly message: string;
  readonly isRunningAgain: boolean;
}

/** How a container of the pod ended last, when it ended badly. */
export function badEnds(pod: Pod): readonly BadEnd[] {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return statuses.flatMap((status) => {
    const ended = status.state.terminated ?? status.lastState?.terminated;
    if (ended === undefined || ended.exitCode === 0) return [];
    // It went with its machine, and is back (containerd, internal/cri/server/restart.go).
    const isRunningAgain = status.state.running !== undefined;
    if (isRunningAgain && ended.exitCode === 255 && ended.reason === "Unknown") return [];
    return [{ container: status.name, message: endText(ended), isRunningAgain }];
  });
}

/** Reasons that say no more than that a container ended badly. */
const sayingNothing: ReadonlySet<string> = new Set(["Error", "Unknown"]);

/** What the container said last, else why it ended. */
function endText({ message = "", reason = "Error", exitCode }: Terminated): string {
  if (message !== "") return message;
  return sayingNothing.has(reason) ? `exit code ${exitCode}` : `${reason}, exit code ${exitCode}`;
}

function containerMessage(status: ContainerStatus): PodMessage | undefined {
  const { terminated, waiting } = status.state;
  if (terminated !== undefined && terminated.exitCode !== 0) {
    return { reason: terminated.reason ?? "Error", message: terminated.message || `exit code ${terminated.exitCode}` };
  }
  if (waiting === undefined || waiting.reason === undefined) return undefined;
  const before = status.lastState?.terminated?.message;
  const message = [waiting.message, before].filter((one) => one !== undefined && one !== "").join("; last end: ");
  return { reason: waiting.reason, message };
}
