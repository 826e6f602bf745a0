import assert from "node:assert/strict";
import { test } from "node:test";
import { badEnds, podMessage } from "../../src/insight/pod-state.ts";
import type { ContainerState, ContainerStatus, PodStatus } from "../../src/kube/index.ts";
import { ended, podOf, unscheduled } from "./support/cluster.ts";

function container(state: ContainerState, lastState?: ContainerState): ContainerStatus {
  const common = { name: "main", state, ready: false, restartCount: 0, image: "", imageID: "" };
  return lastState === undefined ? common : { ...common, lastState };
}

const rows: readonly { name: string; status: PodStatus; want: readonly [reason: string, message: string] }[] = [
  { name: "a pod that runs has neither reason nor message", status: { phase: "Running" }, want: ["", ""] },
  {
    name: "the pod's own reason counts before that of its containers",
    status: { ...ended("boom"), reason: "UnexpectedAdmissionError", message: "no" },
    want: ["UnexpectedAdmissionError", "no"],
  },
  { name: "the message of a container that ended badly is the pod's", status: ended("boom"), want: ["Error", "boom"] },
  {
    name: "a bad end without a message is told by its exit code",
    status: { phase: "Failed", containerStatuses: [container({ terminated: { exitCode: 7 } })] },
    want: ["Error", "exit code 7"],
  },
  {
    name: "a container that waits before its next start says how the last one ended",
    status: {
      phase: "Running",
      containerStatuses: [
        container(
          { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } },
          { terminated: { exitCode: 1, message: "boom" } },
        ),
      ],
    },
    want: ["CrashLoopBackOff", "back-off 10s; last end: boom"],
  },
  {
    name: "an init container that cannot start is told before the containers that wait for it",
    status: {
      phase: "Pending",
      initContainerStatuses: [container({ waiting: { reason: "CreateContainerError", message: "no device" } })],
      containerStatuses: [container({ waiting: { reason: "PodInitializing" } })],
    },
    want: ["CreateContainerError", "no device"],
  },
  {
    name: "a pod without a node says what the scheduler says",
    status: unscheduled("0/1 nodes are available: 1 Insufficient cpu."),
    want: ["Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."],
  },
  {
    name: "a container that ended well is no reason",
    status: {
      phase: "Succeeded",
      containerStatuses: [container({ terminated: { exitCode: 0, reason: "Completed" } })],
    },
    want: ["", ""],
  },
];
for (const { name, status, want } of rows) {
  test(name, () => {
    const { reason, message } = podMessage(podOf("ml/p", { status }));
    assert.deepEqual([reason, message], want);
  });
}

for (const [reason, want] of [
  ["Error", "exit code 137"],
  ["OOMKilled", "OOMKilled, exit code 137"],
  [undefined, "exit code 137"],
] as const) {
  test(`a bad end for ${reason ?? "no reason"} without a message is told as: ${want}`, () => {
    const terminated = { exitCode: 137, message: "", ...(reason === undefined ? {} : { reason }) };
    const pod = podOf("ml/p", { status: { phase: "Failed", containerStatuses: [container({ terminated })] } });
    assert.deepEqual(
      badEnds(pod).map(({ message }) => message),
      [want],
    );
  });
}

test("a container that went with its machine and is back has not failed; one that is not back, or failed, has", () => {
  const lost = { terminated: { exitCode: 255, reason: "Unknown" } };
  const running = { running: { startedAt: "2026-01-01T00:00:00Z" } };
  const statuses = {
    back: container(running, lost),
    gone: container(lost),
    failed: container(running, { terminated: { exitCode: 255, reason: "Error" } }),
  };
  const found = Object.entries(statuses).map(([name, one]) => {
    const pod = podOf("ml/one", { status: { phase: "Running", containerStatuses: [one] } });
    return [name, badEnds(pod).map(({ message }) => message)];
  });
  assert.deepEqual(found, [
    ["back", []],
    ["gone", ["exit code 255"]],
    ["failed", ["exit code 255"]],
  ]);
});
