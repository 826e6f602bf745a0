/**
 * The status a pod shows: container statuses, phase and conditions, as the kubelet computes them
 * (Kubernetes pkg/kubelet `getPhase`, `convertToAPIContainerStatuses`, pkg/kubelet/status `generate.go`).
 */
import type { Condition, Container, ContainerState, ContainerStatus, Pod, PodStatus } from "../../kube/index.ts";
import { isSidecar, latestRuns, type PodPlan } from "./pod-plan.ts";
import { isRunning, type RuntimeContainer } from "./runtime-container.ts";

/** Health of the plugin devices a container holds, by container name (KEP-4680). */
export type DeviceHealth = (container: string) => NonNullable<ContainerStatus["allocatedResourcesStatus"]>;

export interface StatusFacts {
  readonly pod: Pod;
  readonly containers: readonly RuntimeContainer[];
  readonly plan: Pick<PodPlan, "waiting" | "over">;
  readonly deviceHealth: DeviceHealth;
  readonly hostIp: string;
  /** `undefined` before the sandbox exists. */
  readonly podIp: string | undefined;
  readonly nowMs: number;
}

/** A time as the API writes it, in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The status of a pod that was admitted. */
export function podStatus(facts: StatusFacts): PodStatus {
  const { pod, plan, hostIp, podIp, nowMs } = facts;
  const inits = pod.spec.initContainers ?? [];
  const initStatuses = inits.map((one) => containerStatus(facts, one));
  const initialized = unfinishedInits(inits, initStatuses).length === 0;
  const statuses = pod.spec.containers.map((one) => containerStatus(facts, one, initialized));
  const phase = phaseOf({ pod, initStatuses, statuses, over: plan.over });
  const status: PodStatus = {
    phase,
    conditions: conditions({ ...facts, phase, initStatuses, statuses }),
    hostIP: hostIp,
    startTime: pod.status?.startTime ?? timestamp(nowMs),
    containerStatuses: statuses,
  };
  if (inits.length > 0) status.initContainerStatuses = initStatuses;
  if (podIp !== undefined) Object.assign(status, { podIP: podIp, podIPs: [{ ip: podIp }] });
  return status;
}

/** The status of a pod that the kubelet refuses: no container was ever there. */
export function rejectedStatus(
  pod: Pod,
  rejection: { readonly reason: string; readonly message: string },
  nowMs: number,
): PodStatus {
  return {
    phase: "Failed",
    reason: rejection.reason,
    message: `Pod was rejected: ${rejection.message}`,
    startTime: pod.status?.startTime ?? timestamp(nowMs),
    ...(pod.status?.conditions === undefined ? {} : { conditions: pod.status.conditions }),
  };
}

interface PhaseFacts {
  readonly pod: Pod;
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
  readonly over: boolean;
}

/** The phase that follows from the container statuses. */
export function phaseOf(facts: PhaseFacts): NonNullable<PodStatus["phase"]> {
  const { pod, initStatuses, statuses, over } = facts;
  const inits = pod.spec.initContainers ?? [];
  const failedInit = inits.some((one, index) => !isSidecar(one) && failed(initStatuses[index]?.state));
  if (over && failedInit) return "Failed";
  const began = statuses.some(
    (one) =>
      one.state.running !== undefined || one.state.terminated !== undefined || one.lastState?.terminated !== undefined,
  );
  if (!began && unfinishedInits(inits, initStatuses).length > 0) return "Pending";
  const neverRan = statuses.filter((one) => one.state.waiting !== undefined && one.lastState?.terminated === undefined);
  if (neverRan.length > 0) return "Pending";
  if (!over) return "Running";
  return statuses.some((one) => failed(one.state)) ? "Failed" : "Succeeded";
}

function failed(state: ContainerState | undefined): boolean {
  return state?.terminated !== undefined && state.terminated.exitCode !== 0;
}

/** Names of init containers that keep the app containers from starting. */
function unfinishedInits(inits: readonly Container[], statuses: readonly ContainerStatus[]): readonly string[] {
  return inits.flatMap((one, index) => {
    const status = statuses[index];
    const done = isSidecar(one) ? status?.started === true : status?.state.terminated?.exitCode === 0;
    return done ? [] : [one.name];
  });
}

function containerStatus(facts: StatusFacts, container: Container, initialized = false): ContainerStatus {
  const run = latestRuns(facts.containers).get(container.name);
  const before = facts.containers.find((one) => one.name === container.name && one.attempt === (run?.attempt ?? 0) - 1);
  const waiting = facts.plan.waiting.get(container.name);
  const running = isRunning(run);
  const isInit = facts.pod.spec.initContainers?.includes(container) ?? false;
  const image = container.image ?? "";
  const status: ContainerStatus = {
    name: container.name,
    state: stateOf(run, waiting, initialized ? "ContainerCreating" : "PodInitializing"),
    ready: isInit && !isSidecar(container) ? run?.end?.exitCode === 0 : running,
    restartCount: run?.attempt ?? 0,
    image,
    imageID: image === "" ? "" : `simulated://${image}`,
    started: running,
  };
  const last = waiting !== undefined && run?.end !== undefined ? run : before;
  if (last?.end !== undefined) status.lastState = { terminated: terminated(last) };
  if (run !== undefined) status.containerID = run.id;
  const health = facts.deviceHealth(container.name);
  if (health.length > 0) status.allocatedResourcesStatus = health;
  return status;
}

function stateOf(
  run: RuntimeContainer | undefined,
  waiting: { readonly reason: string; readonly message: string } | undefined,
  notYet: string,
): ContainerState {
  if (waiting !== undefined) return { waiting: { ...waiting } };
  if (run === undefined) return { waiting: { reason: notYet } };
  return run.end === undefined
    ? { running: { startedAt: timestamp(run.startedAtMs) } }
    : { terminated: terminated(run) };
}

function terminated(run: RuntimeContainer): NonNullable<ContainerState["terminated"]> {
  const { exitCode = 0, reason = "", message = "", finishedAtMs = run.startedAtMs } = run.end ?? {};
  return {
    exitCode,
    reason,
    ...(message === "" ? {} : { message }),
    startedAt: timestamp(run.startedAtMs),
    finishedAt: timestamp(finishedAtMs),
    containerID: run.id,
  };
}

interface ConditionFacts extends StatusFacts {
  readonly phase: PodStatus["phase"];
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
}

/** The kubelet's own conditions, then those of others as they are. */
function conditions(facts: ConditionFacts): Condition[] {
  const { pod, podIp, plan, phase, initStatuses, statuses, nowMs } = facts;
  const inits = pod.spec.initContainers ?? [];
  const unfinished = unfinishedInits(inits, initStatuses);
  const unready = [
    ...inits.filter((one, index) => isSidecar(one) && initStatuses[index]?.ready !== true).map((one) => one.name),
    ...statuses.filter((one) => !one.ready).map((one) => one.name),
  ];
  const ready = readiness(phase, unready);
  const own: Omit<Condition, "lastTransitionTime">[] = [
    { type: "PodReadyToStartContainers", status: podIp !== undefined && !plan.over ? "True" : "False" },
    initializedCondition(phase, unfinished),
    { type: "Ready", ...ready },
    { type: "ContainersReady", ...ready },
  ];
  const old = pod.status?.conditions ?? [];
  const foreign = old.filter((one) => !own.some((mine) => mine.type === one.type));
  const stamped = own.map((one) => {
    const known = old.find((candidate) => candidate.type === one.type && candidate.status === one.status);
    return { ...one, lastTransitionTime: known?.lastTransitionTime ?? timestamp(nowMs) };
  });
  return [...stamped, ...foreign];
}

function initializedCondition(
  phase: PodStatus["phase"],
  unfinished: readonly string[],
): Omit<Condition, "lastTransitionTime"> {
  if (phase === "Succeeded") return { type: "Initialized", status: "True", reason: "PodCompleted" };
  if (unfinished.length === 0) return { type: "Initialized", status: "True" };
  const message = `containers with incomplete status: [${unfinished.join(" ")}]`;
  return { type: "Initialized", status: "False", reason: "ContainersNotInitialized", message };
}

function readiness(
  phase: PodStatus["phase"],
  unready: readonly string[],
): Pick<Condition, "status" | "reason" | "message"> {
  if (phase === "Succeeded") return { status: "False", reason: "PodCompleted" };
  if (phase === "Failed") return { status: "False", reason: "PodFailed" };
  if (unready.length === 0) return { status: "True" };
  const message = `containers with unready status: [${unready.join(" ")}]`;
  return { status: "False", reason: "ContainersNotReady", message };
}
