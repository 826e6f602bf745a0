/** Which pods of its node must hold devices, as the agent reads them of the Kubernetes API. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { AgentInputs } from "../../src/agent/inputs.ts";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { type Container, type Pod, resources } from "../../src/kube/index.ts";
import { MemoryApi } from "../embedded/support/memory-api.ts";

const plain: Container = { name: "main", image: "busybox" };
const gpu: Container = { ...plain, resources: { limits: { "nvidia.com/gpu": "1" } } };
const sidecar: Container = { ...gpu, restartPolicy: "Always" };
const initContainer = { name: "main", state: { running: {} }, ready: false, restartCount: 0, image: "", imageID: "" };
const begun = { initContainerStatuses: [initContainer] };

/** Whether the one pod of a node counts as one that must hold something. */
async function isAdmitted(t: TestContext, { spec, status }: Pick<Pod, "spec" | "status">): Promise<boolean> {
  const api = new MemoryApi();
  const metadata = { name: "one", namespace: "default" };
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { ...spec, nodeName: "n" },
    ...(status && { status }),
  };
  await api.create(resources.pods, pod);
  const inputs = new AgentInputs({ node: "n", api, clock: systemClock, log: silentLogger, onChange: () => {} });
  const ending = new AbortController();
  const running = inputs.run(ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
  });
  await inputs.synced;
  return inputs.admittedPods().length === 1;
}

const rows: readonly (Pick<Pod, "spec" | "status"> & { readonly name: string; readonly want: boolean })[] = [
  { name: "that runs on a GPU", spec: { containers: [gpu] }, status: { phase: "Running" }, want: true },
  { name: "that runs without a GPU", spec: { containers: [plain] }, status: { phase: "Running" }, want: false },
  { name: "that the kubelet has not admitted", spec: { containers: [gpu] }, want: false },
  { name: "that has ended", spec: { containers: [gpu] }, status: { phase: "Succeeded" }, want: false },
  {
    name: "whose init container uses a GPU now",
    spec: { initContainers: [gpu], containers: [plain] },
    status: { phase: "Pending", ...begun },
    want: true,
  },
  {
    name: "whose node is silent, with an init container on a GPU",
    spec: { initContainers: [gpu], containers: [plain] },
    status: { phase: "Unknown", ...begun },
    want: true,
  },
  {
    name: "whose init container has used a GPU",
    spec: { initContainers: [gpu], containers: [plain] },
    status: { phase: "Running", ...begun },
    want: false,
  },
  {
    name: "whose sidecar runs on a GPU",
    spec: { initContainers: [sidecar], containers: [plain] },
    status: { phase: "Running", ...begun },
    want: true,
  },
];
for (const { name, want, ...pod } of rows) {
  test(`a pod ${name} ${want ? "must hold something" : "need not hold anything"}`, async (t) => {
    assert.equal(await isAdmitted(t, pod), want);
  });
}
