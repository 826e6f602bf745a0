/**
 * The columns of a pod in `kubectl get pods` (kubernetes, pkg/printers/internalversion/printers.go, printPod).
 */
import { isObject, type Json, type JsonObject, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { ageOf, type Column } from "./table.ts";

/** The pod's columns around those of every object. */
export function podColumns([name, age]: readonly [Column, Column]): readonly Column[] {
  const wide = { type: "string", priority: 1 } as const;
  return [
    name,
    { name: "Ready", type: "string", priority: 0, cell: (pod) => podLine(pod).ready },
    { name: "Status", type: "string", priority: 0, cell: (pod) => podLine(pod).status },
    { name: "Restarts", type: "string", priority: 0, cell: restartsText },
    age,
    { name: "IP", ...wide, cell: (pod) => textAt(pod, "status", "podIP") || "<none>" },
    { name: "Node", ...wide, cell: (pod) => textAt(pod, "spec", "nodeName") || "<none>" },
    { name: "Nominated Node", ...wide, cell: (pod) => textAt(pod, "status", "nominatedNodeName") || "<none>" },
    { name: "Readiness Gates", ...wide, cell: readinessGates },
  ];
}

interface PodLine {
  readonly ready: string;
  readonly status: string;
}

interface Progress {
  readonly status: string;
  readonly readyContainers: number;
}

function podLine(pod: JsonObject): PodLine {
  const total = listAt(pod, "spec", "containers").length + restartableInitContainers(pod).size;
  const phase = textAt(pod, "status", "phase");
  const gated = conditionOf(pod, "PodScheduled", "reason") === "SchedulingGated" ? "SchedulingGated" : "";
  const start = gated || textAt(pod, "status", "reason") || phase;
  const { progress, isInitializing } = initProgress(pod, start);
  const initialized = conditionOf(pod, "Initialized", "status") === "True";
  const reached = !isInitializing || initialized ? runProgress(pod, progress) : progress;
  const isTerminal = phase === "Succeeded" || phase === "Failed";
  const isEnding = textAt(pod, "metadata", "deletionTimestamp") !== "" && !isTerminal;
  const isLost = textAt(pod, "status", "reason") === "NodeLost";
  const status = isEnding ? (isLost ? "Unknown" : "Terminating") : reached.status;
  return { ready: `${reached.readyContainers}/${total}`, status };
}

function conditionOf(pod: JsonObject, type: string, field: string): string {
  return textAt(
    listAt(pod, "status", "conditions").find((one) => textAt(one, "type") === type),
    field,
  );
}

function restartableInitContainers(pod: JsonObject): ReadonlySet<string> {
  const sidecars = listAt(pod, "spec", "initContainers").filter((one) => textAt(one, "restartPolicy") === "Always");
  return new Set(sidecars.map((one) => textAt(one, "name")));
}

/** How far the init containers are: the first that is not done gives the status. */
function initProgress(pod: JsonObject, status: string): { progress: Progress; isInitializing: boolean } {
  const sidecars = restartableInitContainers(pod);
  const total = listAt(pod, "spec", "initContainers").length;
  let readyContainers = 0;
  for (const [index, container] of listAt(pod, "status", "initContainerStatuses").entries()) {
    const fields = objectAt(container);
    if (stateOf(container, "terminated") !== undefined && exitCode(container) === 0) continue;
    if (sidecars.has(textAt(container, "name")) && fields["started"] === true) {
      if (fields["ready"] === true) readyContainers += 1;
      continue;
    }
    return { progress: { status: initStatus(container, index, total), readyContainers }, isInitializing: true };
  }
  return { progress: { status, readyContainers }, isInitializing: false };
}

function initStatus(container: Json, index: number, total: number): string {
  if (stateOf(container, "terminated") !== undefined) return `Init:${terminationText(container)}`;
  const waiting = textAt(container, "state", "waiting", "reason");
  return waiting !== "" && waiting !== "PodInitializing" ? `Init:${waiting}` : `Init:${index}/${total}`;
}

/** How the containers are: the first one with something to tell gives the status. */
function runProgress(pod: JsonObject, start: Progress): Progress {
  let { status, readyContainers } = start;
  let isAnyRunning = false;
  for (const container of [...listAt(pod, "status", "containerStatuses")].reverse()) {
    const waiting = textAt(container, "state", "waiting", "reason");
    if (waiting !== "") status = waiting;
    else if (stateOf(container, "terminated") !== undefined) status = terminationText(container);
    else if (objectAt(container)["ready"] === true && stateOf(container, "running") !== undefined) {
      isAnyRunning = true;
      readyContainers += 1;
    }
  }
  if (status === "Completed" && isAnyRunning) {
    status = conditionOf(pod, "Ready", "status") === "True" ? "Running" : "NotReady";
  }
  return { status, readyContainers };
}

function stateOf(container: Json, state: string): JsonObject | undefined {
  const found = objectAt(container, "state")[state];
  return isObject(found) ? found : undefined;
}

function exitCode(container: Json): number {
  return numberAt(container, "state", "terminated", "exitCode") ?? 0;
}

function terminationText(container: Json): string {
  const reason = textAt(container, "state", "terminated", "reason");
  if (reason !== "") return reason;
  const signal = numberAt(container, "state", "terminated", "signal") ?? 0;
  return signal === 0 ? `ExitCode:${exitCode(container)}` : `Signal:${signal}`;
}

function restartsText(pod: JsonObject, nowMs: number): string {
  const sidecars = restartableInitContainers(pod);
  const inits = listAt(pod, "status", "initContainerStatuses");
  const { isInitializing } = initProgress(pod, "");
  const counted = isInitializing ? inits : inits.filter((one) => sidecars.has(textAt(one, "name")));
  const containers = isInitializing ? counted : [...counted, ...listAt(pod, "status", "containerStatuses")];
  const restarts = containers.reduce<number>((sum, one) => sum + (numberAt(one, "restartCount") ?? 0), 0);
  const ends = containers.map((one) => textAt(one, "lastState", "terminated", "finishedAt")).sort();
  const lastEnd = ends.at(-1) ?? "";
  return restarts === 0 || lastEnd === "" ? String(restarts) : `${restarts} (${ageOf(lastEnd, nowMs)} ago)`;
}

function readinessGates(pod: JsonObject): string {
  const gates = listAt(pod, "spec", "readinessGates").map((one) => textAt(one, "conditionType"));
  if (gates.length === 0) return "<none>";
  return `${gates.filter((type) => conditionOf(pod, type, "status") === "True").length}/${gates.length}`;
}
