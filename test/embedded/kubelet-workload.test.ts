/** What annotations tell about a simulated container. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWorkload, strayAnnotations } from "../../src/embedded/kubelet/workload.ts";
import type { Container, Pod } from "../../src/kube/index.ts";

function podWith(annotations: Record<string, string>, containers = ["main"], inits: Container[] = []): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "train", namespace: "ml", annotations },
    spec: { containers: containers.map((name) => ({ name })), initContainers: inits },
  };
}

const rows = [
  { name: "without annotations it runs until it is stopped", annotations: {}, want: { exitCode: 0 } },
  { name: "memory is counted in MiB", annotations: { "tranche.dev/gpu-memory": "12Gi" }, want: { memoryMiB: 12288 } },
  { name: "decimal memory is rounded up", annotations: { "tranche.dev/gpu-memory": "10G" }, want: { memoryMiB: 9537 } },
  {
    name: "compute may carry a percent sign",
    annotations: { "tranche.dev/gpu-compute": "40%" },
    want: { computePercent: 40 },
  },
  { name: "durations may be composed", annotations: { "tranche.dev/run-for": "1m30s" }, want: { runForMs: 90_000 } },
  { name: "durations may be broken", annotations: { "tranche.dev/run-for": "1.5h" }, want: { runForMs: 5_400_000 } },
  { name: "milliseconds are not minutes", annotations: { "tranche.dev/run-for": "250ms" }, want: { runForMs: 250 } },
  { name: "a zero needs no unit", annotations: { "tranche.dev/run-for": "0" }, want: { runForMs: 0 } },
  { name: "an exit code is taken", annotations: { "tranche.dev/exit-code": "3" }, want: { exitCode: 3 } },
  {
    name: "a container's own form wins",
    annotations: { "tranche.dev/gpu-memory": "1Gi", "tranche.dev/gpu-memory.main": "2Gi" },
    want: { memoryMiB: 2048 },
  },
];
for (const { name, annotations, want } of rows) {
  test(name, () => {
    const pod = podWith(annotations);
    const outcome = parseWorkload(pod, { name: "main" });
    assert.ok(outcome.ok);
    const nothing = {
      memoryMiB: undefined,
      memoryIfVisible: false,
      computePercent: undefined,
      runForMs: undefined,
      exitCode: 0,
    };
    assert.deepEqual(outcome.value, { ...nothing, ...want });
  });
}

const bad = [
  { key: "tranche.dev/gpu-memory", text: "12Gx", want: "is not a quantity" },
  {
    key: "tranche.dev/gpu-memory",
    text: "12288",
    want: "is less than 1 MiB, since a quantity without suffix counts bytes",
  },
  { key: "tranche.dev/gpu-memory", text: "-1Gi", want: "is negative" },
  { key: "tranche.dev/gpu-compute", text: "140", want: "is not a percentage between 0 and 100" },
  { key: "tranche.dev/run-for", text: "30", want: "is not a duration" },
  { key: "tranche.dev/run-for", text: "30s later", want: "is not a duration" },
  { key: "tranche.dev/exit-code", text: "256", want: "is not a number between 0 and 255" },
  { key: "tranche.dev/exit-code", text: "", want: "is not a number between 0 and 255" },
];
for (const { key, text, want } of bad) {
  test(`${key}: "${text}" ${want}`, () => {
    const outcome = parseWorkload(podWith({ [key]: text }), { name: "main" });
    assert.equal(outcome.ok, false);
    assert.deepEqual(
      outcome.findings.map((one) => [one.code, one.subject.name, one.message]),
      [["bad-workload-annotation", "ml/train", `annotation ${key}: "${text}" ${want}`]],
    );
  });
}

test("an init container ends at once, whatever the pod-wide forms say", () => {
  const init = { name: "prepare" };
  const pod = podWith({ "tranche.dev/run-for": "5m", "tranche.dev/gpu-memory": "1Gi" }, ["main"], [init]);
  const outcome = parseWorkload(pod, init);
  assert.ok(outcome.ok);
  assert.deepEqual([outcome.value.runForMs, outcome.value.memoryMiB], [0, undefined]);
});

test("a sidecar runs until it is stopped", () => {
  const sidecar = { name: "proxy", restartPolicy: "Always" };
  const outcome = parseWorkload(podWith({}, ["main"], [sidecar]), sidecar);
  assert.ok(outcome.ok);
  assert.equal(outcome.value.runForMs, undefined);
});

test("with several containers the pod-wide memory is for those that see a GPU", () => {
  const outcome = parseWorkload(podWith({ "tranche.dev/gpu-memory": "1Gi" }, ["main", "logs"]), { name: "logs" });
  assert.ok(outcome.ok);
  assert.equal(outcome.value.memoryIfVisible, true);
});

test("an annotation for a container the pod does not have is told", () => {
  const findings = strayAnnotations(podWith({ "tranche.dev/run-for.mian": "1s", "tranche.dev/run-for.main": "1s" }));
  assert.deepEqual(
    findings.map((one) => one.message),
    ["annotation tranche.dev/run-for.mian names no container of the pod"],
  );
});
