/** Life of a pod as the kubelet sees it: pkg/kubelet/kuberuntime `computePodActions`, pkg/kubelet `getPhase`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CrashLoop, goDuration } from "../../src/embedded/kubelet/crash-loop.ts";
import { planPod, stopPlan } from "../../src/embedded/kubelet/pod-plan.ts";
import { podStatus } from "../../src/embedded/kubelet/pod-status.ts";
import type { RuntimeContainer } from "../../src/embedded/kubelet/runtime-container.ts";
import type { Pod, PodSpec } from "../../src/kube/index.ts";

/** Containers as `init:a sidecar:b app:c`, runs as `c=run c=exit1 c#2=run`. */
function podOf(containers: string, restartPolicy: NonNullable<PodSpec["restartPolicy"]>): Pod {
  const spec: PodSpec = { restartPolicy, containers: [], initContainers: [] };
  for (const text of containers.split(" ")) {
    const [role, name = ""] = text.split(":");
    if (role === "app") spec.containers.push({ name });
    else spec.initContainers?.push(role === "sidecar" ? { name, restartPolicy: "Always" } : { name });
  }
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "ns", uid: "u" }, spec };
}

const nowMs = 1_000_000;

function runsOf(text: string): readonly RuntimeContainer[] {
  return text
    .split(" ")
    .filter((one) => one !== "")
    .map((one) => {
      const [who = "", state = ""] = one.split("=");
      const [name = "", attempt = "0"] = who.split("#");
      const exitCode = Number(state.replace("exit", ""));
      const reason = exitCode === 0 ? "Completed" : "Error";
      const end = state === "run" ? undefined : { exitCode, reason, message: "", finishedAtMs: nowMs };
      return { id: `simulated://${who}`, podUid: "u", name, attempt: Number(attempt), startedAtMs: nowMs, end };
    });
}

interface Row {
  readonly name: string;
  readonly pod: string;
  readonly policy?: NonNullable<PodSpec["restartPolicy"]>;
  readonly runs: string;
  /** What is started and stopped. */
  readonly plan: string;
  /** Phase and Ready as they stand. */
  readonly status: string;
}

const rows: readonly Row[] = [
  {
    name: "app containers start together",
    pod: "app:a app:b",
    runs: "",
    plan: "+a#0 +b#0",
    status: "Pending, not ready",
  },
  {
    name: "init containers start one by one",
    pod: "init:i init:j app:a",
    runs: "",
    plan: "+i#0",
    status: "Pending, not ready",
  },
  {
    name: "the next init container waits for the one before",
    pod: "init:i init:j app:a",
    runs: "i=run",
    plan: "",
    status: "Pending, not ready",
  },
  {
    name: "the next init container follows a good end",
    pod: "init:i init:j app:a",
    runs: "i=exit0",
    plan: "+j#0",
    status: "Pending, not ready",
  },
  {
    name: "app containers follow the last init container",
    pod: "init:i app:a",
    runs: "i=exit0",
    plan: "+a#0",
    status: "Pending, not ready",
  },
  {
    name: "a failed init container is run again",
    pod: "init:i app:a",
    runs: "i=exit1",
    plan: "+i#1",
    status: "Pending, not ready",
  },
  {
    name: "a failed init container fails a pod that never restarts",
    pod: "init:i app:a",
    policy: "Never",
    runs: "i=exit1",
    plan: "over",
    status: "Failed, not ready",
  },
  {
    name: "an init container that ended well is not run again",
    pod: "init:i app:a",
    runs: "i=exit0 a=run",
    plan: "",
    status: "Running, ready",
  },
  {
    name: "a sidecar starts before what comes after it",
    pod: "sidecar:s init:i app:a",
    runs: "",
    plan: "+s#0",
    status: "Pending, not ready",
  },
  {
    name: "what comes after a sidecar starts beside it",
    pod: "sidecar:s init:i app:a",
    runs: "s=run",
    plan: "+i#0",
    status: "Pending, not ready",
  },
  {
    name: "a sidecar is started again",
    pod: "sidecar:s app:a",
    policy: "Never",
    runs: "s=exit0 a=run",
    plan: "+s#1",
    status: "Running, not ready",
  },
  {
    name: "sidecars end when the work is done",
    pod: "sidecar:s app:a",
    policy: "Never",
    runs: "s=run a=exit0",
    plan: "-s",
    status: "Running, not ready",
  },
  {
    name: "a pod is over when its sidecars have ended",
    pod: "sidecar:s app:a",
    policy: "Never",
    runs: "s=exit0 a=exit0",
    plan: "over",
    status: "Succeeded, not ready",
  },
  { name: "all containers run", pod: "app:a app:b", runs: "a=run b=run", plan: "", status: "Running, ready" },
  {
    name: "Always starts again after success",
    pod: "app:a",
    runs: "a=exit0",
    plan: "+a#1",
    status: "Running, not ready",
  },
  {
    name: "OnFailure starts again after failure",
    pod: "app:a",
    policy: "OnFailure",
    runs: "a=exit1",
    plan: "+a#1",
    status: "Running, not ready",
  },
  {
    name: "OnFailure is content with success",
    pod: "app:a",
    policy: "OnFailure",
    runs: "a=exit0",
    plan: "over",
    status: "Succeeded, not ready",
  },
  {
    name: "Never leaves failures be",
    pod: "app:a",
    policy: "Never",
    runs: "a=exit1",
    plan: "over",
    status: "Failed, not ready",
  },
  {
    name: "one failure among successes fails the pod",
    pod: "app:a app:b",
    policy: "Never",
    runs: "a=exit0 b=exit3",
    plan: "over",
    status: "Failed, not ready",
  },
  {
    name: "a pod runs as long as one container does",
    pod: "app:a app:b",
    policy: "Never",
    runs: "a=exit1 b=run",
    plan: "",
    status: "Running, not ready",
  },
  {
    name: "the latest attempt counts",
    pod: "app:a",
    policy: "OnFailure",
    runs: "a=exit1 a#1=run",
    plan: "",
    status: "Running, ready",
  },
];
for (const { name, pod: containers, policy = "Always", runs, plan: wantPlan, status: wantStatus } of rows) {
  test(name, () => {
    const pod = podOf(containers, policy);
    const facts = { pod, containers: runsOf(runs), failures: new Map(), crashLoop: new CrashLoop(), nowMs };
    const plan = planPod(facts);
    const steps = [
      ...plan.start.map((one) => `+${one.container.name}#${one.attempt}`),
      ...plan.stop.map((one) => `-${one.name}`),
      ...(plan.over ? ["over"] : []),
    ];
    assert.equal(steps.join(" "), wantPlan);
    const status = podStatus({ ...facts, plan, deviceHealth: () => [], hostIp: "192.168.0.2", podIp: "10.64.0.2" });
    const ready = status.conditions?.find((one) => one.type === "Ready")?.status === "True";
    assert.equal(`${status.phase}, ${ready ? "ready" : "not ready"}`, wantStatus);
  });
}

const endings = [
  { name: "a pod ended by deletion while it ran well has succeeded", runs: "a=exit0", want: "Succeeded" },
  { name: "a pod ended by deletion after a failure has failed", runs: "a=exit137", want: "Failed" },
  { name: "a pod deleted before anything ran is still pending", runs: "", want: "Pending" },
];
for (const { name, runs, want } of endings) {
  test(name, () => {
    const containers = runsOf(runs);
    const status = podStatus({
      pod: podOf("app:a", "Always"),
      containers,
      plan: stopPlan(containers),
      deviceHealth: () => [],
      hostIp: "",
      podIp: undefined,
      nowMs,
    });
    assert.equal(status.phase, want);
  });
}

test("conditions name the containers that are missing", () => {
  const pod = podOf("init:i app:a app:b", "Always");
  const containers = runsOf("i=run");
  const facts = { pod, containers, failures: new Map(), crashLoop: new CrashLoop(), nowMs };
  const status = podStatus({ ...facts, plan: planPod(facts), deviceHealth: () => [], hostIp: "", podIp: "10.64.0.2" });
  const texts = status.conditions?.map((one) =>
    [one.type, one.status, one.reason, one.message].filter(Boolean).join(" "),
  );
  assert.deepEqual(texts, [
    "PodReadyToStartContainers True",
    "Initialized False ContainersNotInitialized containers with incomplete status: [i]",
    "Ready False ContainersNotReady containers with unready status: [a b]",
    "ContainersReady False ContainersNotReady containers with unready status: [a b]",
  ]);
  assert.deepEqual(
    status.containerStatuses?.map((one) => one.state.waiting?.reason),
    ["PodInitializing", "PodInitializing"],
  );
});

test("conditions of others and times of unchanged conditions stay", () => {
  const pod = podOf("app:a", "Always");
  const long = "2020-01-01T00:00:00Z";
  const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: long } as const;
  pod.status = { conditions: [scheduled, { type: "Ready", status: "True", lastTransitionTime: long }] };
  const containers = runsOf("a=run");
  const facts = { pod, containers, failures: new Map(), crashLoop: new CrashLoop(), nowMs };
  const { conditions = [] } = podStatus({
    ...facts,
    plan: planPod(facts),
    deviceHealth: () => [],
    hostIp: "",
    podIp: "1",
  });
  const ready = conditions.find((one) => one.type === "Ready");
  assert.deepEqual([conditions.at(-1), ready?.lastTransitionTime], [scheduled, long]);
});

test("a container in back-off shows how it ended before and waits for its time", () => {
  const pod = podOf("app:a", "Always");
  const crashLoop = new CrashLoop();
  crashLoop.started("a", nowMs, nowMs);
  const facts = { pod, containers: runsOf("a=exit1 a#1=exit1"), failures: new Map(), crashLoop, nowMs: nowMs + 1 };
  const plan = planPod(facts);
  assert.deepEqual([plan.start, plan.wakeAtMs], [[], nowMs + 10_000]);
  const status = podStatus({ ...facts, plan, deviceHealth: () => [], hostIp: "", podIp: "1" });
  const [shown] = status.containerStatuses ?? [];
  assert.equal(status.phase, "Running");
  assert.deepEqual(shown?.state, {
    waiting: { reason: "CrashLoopBackOff", message: "back-off 10s restarting failed container=a pod=p_ns(u)" },
  });
  assert.deepEqual([shown?.lastState?.terminated?.containerID, shown?.restartCount], ["simulated://a#1", 1]);
});

test("a container that cannot be created keeps the pod pending and is tried again", () => {
  const pod = podOf("app:a", "Never");
  const failure = { reason: "CreateContainerError", message: "no such device", retryAtMs: nowMs + 10_000 };
  const base = { pod, containers: [], failures: new Map([["a", failure]]), crashLoop: new CrashLoop() };
  const plan = planPod({ ...base, nowMs });
  assert.deepEqual([plan.start, plan.wakeAtMs, plan.over], [[], nowMs + 10_000, false]);
  assert.equal(planPod({ ...base, nowMs: nowMs + 10_000 }).start.length, 1);
  const status = podStatus({ ...base, nowMs, plan, deviceHealth: () => [], hostIp: "", podIp: "1" });
  assert.equal(status.phase, "Pending");
  assert.equal(status.containerStatuses?.[0]?.state.waiting?.reason, "CreateContainerError");
});

test("a container that ran before this runtime knew it counts on", () => {
  const pod = podOf("app:a", "Always");
  const status = {
    name: "a",
    state: {},
    ready: false,
    restartCount: 4,
    image: "",
    imageID: "",
    containerID: "simulated://x",
  };
  pod.status = { containerStatuses: [status] };
  const plan = planPod({ pod, containers: [], failures: new Map(), crashLoop: new CrashLoop(), nowMs });
  assert.deepEqual(
    plan.start.map((one) => one.attempt),
    [5],
  );
});

test("the back-off doubles from ten seconds to five minutes and forgets after ten quiet ones", () => {
  const crashLoop = new CrashLoop();
  let now = 0;
  const waits: string[] = [];
  for (let crash = 0; crash < 8; crash++) {
    const wait = crashLoop.waiting("a", now, now);
    waits.push(wait === undefined ? "none" : goDuration(wait.backOffMs));
    const startMs = wait?.untilMs ?? now;
    assert.equal(crashLoop.waiting("a", now, startMs), undefined);
    crashLoop.started("a", now, startMs);
    now = startMs;
  }
  assert.deepEqual(waits, ["none", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
  assert.equal(crashLoop.waiting("a", now + 600_001, now + 600_001), undefined);
});
