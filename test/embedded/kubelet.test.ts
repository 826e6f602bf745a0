/** The kubelet stand-in with a device plugin on real sockets; the API is in memory. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { type Pod, resources } from "../../src/kube/index.ts";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { gpuResource, TestNode, type TestNodeOptions } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

let nodes: TestNode[] = [];
afterEach(async () => {
  for (const node of nodes) await node.stop();
  nodes = [];
});

async function nodeWith(options: Omit<TestNodeOptions, "api">): Promise<{ node: TestNode; api: MemoryApi }> {
  const api = new MemoryApi();
  const node = await TestNode.start({ ...options, api });
  nodes.push(node);
  return { node, api };
}

function counts(api: MemoryApi): string {
  const status = api.node("node-a")?.status;
  return `${status?.capacity?.[gpuResource]}/${status?.allocatable?.[gpuResource]}`;
}

function main(pod: Pod | undefined) {
  return pod?.status?.containerStatuses?.[0];
}

test("registers a node that is ready and offers what the plugin lists", async () => {
  const { node, api } = await nodeWith({ shares: 4 });
  const object = api.node("node-a");
  const ready = object?.status?.conditions?.find((one) => one.type === "Ready");
  assert.deepEqual(
    [ready?.status, ready?.reason, ready?.message],
    ["True", "KubeletReady", "kubelet is posting ready status"],
  );
  assert.equal(object?.metadata.labels?.["kubernetes.io/hostname"], "node-a");
  assert.equal(counts(api), "4/4");
  node.plugin.ill.add(node.plugin.ids[0] ?? "");
  node.plugin.report();
  await until("an unhealthy device is taken off", () => counts(api) === "4/3");
});

test("runs a pod on its device and lets it go when it is deleted", async () => {
  const { node, api } = await nodeWith({ shares: 4 });
  await node.create("train", { annotations: { "tranche.dev/gpu-memory": "4Gi" } });
  await node.settled();
  const pod = api.pod("train");
  assert.equal(pod?.status?.phase, "Running");
  assert.equal(pod?.status?.conditions?.find((one) => one.type === "Ready")?.status, "True");
  assert.match(pod?.status?.podIP ?? "", /^10\.64\.0\.\d+$/);
  assert.deepEqual(main(pod)?.allocatedResourcesStatus, [
    { name: gpuResource, resources: [{ resourceID: node.plugin.ids[0], health: "Healthy" }] },
  ]);
  assert.deepEqual(api.events("train"), [
    'Pulled: Container image "cuda" already present on machine and can be accessed by the pod',
    "Created: Container created",
    "Started: Container started",
  ]);
  const [gpu] = await node.driver.list();
  assert.equal((await node.driver.processes(gpu?.uuid ?? ""))[0]?.memoryMiB, 4096);

  await api.delete(resources.pods, { namespace: "default", name: "train" });
  await until("the pod is gone", () => api.pod("train") === undefined);
  await node.settled();
  assert.deepEqual(await node.driver.processes(gpu?.uuid ?? ""), []);
  assert.deepEqual(node.kubelet.pods(), []);
  assert.ok(api.events("train").includes("Killing: Stopping container main"));
  assert.equal(api.statusWrites.at(-1), "default/train Succeeded");
});

test("refuses a fifth pod on four replicas in the device manager's words", async () => {
  const { node, api } = await nodeWith({ shares: 4 });
  for (const name of ["a", "b", "c", "d"]) await node.create(name);
  await node.settled();
  await node.create("e");
  await until("the pod is refused", () => api.pod("e")?.status?.phase === "Failed");
  const status = api.pod("e")?.status;
  const text =
    "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0, which is unexpected";
  assert.deepEqual([status?.reason, status?.message], ["UnexpectedAdmissionError", `Pod was rejected: ${text}`]);
  await node.settled();
  assert.deepEqual(api.events("e"), [`UnexpectedAdmissionError: ${text}`]);
});

test("a plugin's refusal reaches the pod word for word", async () => {
  const { node, api } = await nodeWith({ shares: 4 });
  node.plugin.refusal = "maximum request size for shared resources is 1; found 2";
  await node.create("greedy", { shares: 2 });
  await until("the pod is refused", () => api.pod("greedy")?.status?.phase === "Failed");
  assert.equal(
    api.pod("greedy")?.status?.message,
    "Pod was rejected: Allocate failed due to rpc error: code = Unknown desc = maximum request size for shared resources is 1; found 2, which is unexpected",
  );
  node.plugin.refusal = undefined;
  await node.create("next", { shares: 4 });
  await until("its devices are free", () => api.pod("next")?.status?.phase === "Running");
});

test("of four pods that want 12 GiB of one T4, one runs and three say who holds the memory", async () => {
  const { node, api } = await nodeWith({ shares: 4 });
  for (const name of ["a", "b", "c", "d"])
    await node.create(name, { annotations: { "tranche.dev/gpu-memory": "12Gi" } });
  await until("all have run", () => api.pods().every((pod) => main(pod)?.containerID !== undefined));
  await node.settled();
  assert.deepEqual(
    api.pods().map((pod) => pod.status?.phase),
    ["Running", "Failed", "Failed", "Failed"],
  );
  for (const name of ["b", "c", "d"]) {
    const ended = main(api.pod(name))?.state.terminated;
    assert.deepEqual(
      [ended?.exitCode, ended?.reason, ended?.message],
      [
        1,
        "Error",
        "CUDA out of memory: tried to allocate 12288 MiB on GPU 0 (15360 MiB), 3072 MiB free; held by default/a (12288 MiB)",
      ],
    );
  }
  const lines = node.kubelet.logs({ namespace: "default", pod: "b", container: "main" })?.map((one) => one.text);
  assert.deepEqual(lines, [
    "sees GPU 0 (15360 MiB)",
    "asks for 12288 MiB of GPU memory",
    "ends with exit code 1: CUDA out of memory: tried to allocate 12288 MiB on GPU 0 (15360 MiB), 3072 MiB free; held by default/a (12288 MiB)",
  ]);
});

test("a bad annotation ends the container with its remedy", async () => {
  const { node, api } = await nodeWith({ shares: 1 });
  await node.create("typo", { annotations: { "tranche.dev/gpu-memory": "12Gx" } });
  await until("it has failed", () => api.pod("typo")?.status?.phase === "Failed");
  assert.equal(
    main(api.pod("typo"))?.state.terminated?.message,
    'annotation tranche.dev/gpu-memory: "12Gx" is not a quantity; write it as in tranche.dev/gpu-memory: "12Gi"',
  );
});

test("init containers lend their devices to the app containers of their pod", async () => {
  const { node, api } = await nodeWith({ shares: 2 });
  await node.create("staged", { initShares: 2, shares: 2 });
  await until("it runs", () => api.pod("staged")?.status?.phase === "Running");
  assert.deepEqual(
    node.plugin.allocated.map((ids) => ids.length),
    [2, 2],
  );
  assert.deepEqual(node.plugin.allocated[0]?.toSorted(), node.plugin.allocated[1]?.toSorted());
  assert.equal(api.pod("staged")?.status?.initContainerStatuses?.[0]?.state.terminated?.reason, "Completed");
});

test("a pod that runs out its time succeeds and its device is free", async () => {
  const clock = new VirtualClock(1_700_000_000_000);
  const { node, api } = await nodeWith({ shares: 1, clock });
  await node.create("short", { annotations: { "tranche.dev/run-for": "30s" } });
  await until("it runs", () => api.pod("short")?.status?.phase === "Running");
  await clock.advance(30_000);
  await until("it has succeeded", () => api.pod("short")?.status?.phase === "Succeeded");
  const ended = main(api.pod("short"))?.state.terminated;
  assert.deepEqual(
    [ended?.reason, ended?.startedAt, ended?.finishedAt],
    ["Completed", "2023-11-14T22:13:20Z", "2023-11-14T22:13:50Z"],
  );
  await node.create("next");
  await until("the next one runs", () => api.pod("next")?.status?.phase === "Running");
});

test("a container that keeps failing is started again after growing waits", async () => {
  const clock = new VirtualClock();
  const { node, api } = await nodeWith({ shares: 1, clock });
  const annotations = { "tranche.dev/run-for": "0s", "tranche.dev/exit-code": "3" };
  await node.create("flaky", { annotations, restartPolicy: "Always" });
  const waiting = (text: string) => () => main(api.pod("flaky"))?.state.waiting?.message?.startsWith(text) === true;
  await until("it backs off", waiting("back-off 10s restarting failed container=main pod=flaky_default("));
  await node.settled();
  assert.equal(main(api.pod("flaky"))?.restartCount, 1);
  assert.equal(api.pod("flaky")?.status?.phase, "Running");
  await clock.advance(9_000);
  await node.settled();
  assert.equal(main(api.pod("flaky"))?.restartCount, 1);
  await clock.advance(1_000);
  await until("it backs off longer", waiting("back-off 20s "));
  assert.deepEqual(
    [main(api.pod("flaky"))?.restartCount, main(api.pod("flaky"))?.lastState?.terminated?.exitCode],
    [2, 3],
  );
  assert.equal(node.plugin.allocated.length, 1, "a restart uses the first answer again");
  assert.ok(
    api
      .events("flaky")
      .some((text) => text.startsWith("BackOff: Back-off restarting failed container main in pod flaky_default(")),
  );
});

test("a container whose GPU falls off the bus ends and says so", async () => {
  const { node, api } = await nodeWith({ shares: 1 });
  await node.create("unlucky", { annotations: { "tranche.dev/gpu-memory": "1Gi" } });
  await until("it runs", () => api.pod("unlucky")?.status?.phase === "Running");
  const [gpu] = await node.driver.list();
  node.driver.raiseXid({ gpuUuid: gpu?.uuid ?? "", xid: 79 });
  await until("it has failed", () => api.pod("unlucky")?.status?.phase === "Failed");
  const ended = main(api.pod("unlucky"))?.state.terminated;
  assert.deepEqual(
    [ended?.exitCode, ended?.message],
    [1, `CUDA error: device lost: GPU 0 fell off the bus (${gpu?.uuid})`],
  );
});

test("allocations survive a restart of the plugin", async () => {
  const { node, api } = await nodeWith({ shares: 2 });
  await node.create("a");
  await until("it runs", () => api.pod("a")?.status?.phase === "Running");
  const held = node.kubelet.pods();
  await node.plugin.stop();
  await until("nothing is allocatable", () => counts(api) === "2/0");
  assert.equal(main(api.pod("a"))?.state.running === undefined, false);
  await until("the pod's device shows as ill", () => {
    return main(api.pod("a"))?.allocatedResourcesStatus?.[0]?.resources[0]?.health === "Unhealthy";
  });
  await node.plugin.start();
  await until("the devices are back", () => counts(api) === "2/2");
  assert.deepEqual(node.kubelet.pods(), held);
  await node.create("b", { shares: 2 });
  await until("the held device is not given away", () => api.pod("b")?.status?.phase === "Failed");
  assert.match(api.pod("b")?.status?.message ?? "", /Requested: 2, Available: 1/);
});

test("a resource whose plugin stays away for five minutes is given up, its key stays", async () => {
  const clock = new VirtualClock();
  const { node, api } = await nodeWith({ shares: 2, clock });
  await node.plugin.stop();
  await until("nothing is allocatable", () => counts(api) === "2/0");
  await clock.advance(300_000);
  await until("nothing is left", () => counts(api) === "0/0");
  await node.create("late");
  await until("it is out of luck", () => api.pod("late")?.status?.phase === "Failed");
  assert.equal(api.pod("late")?.status?.reason, "OutOfnvidia.com/gpu");
});

test("allocations and running pods survive a restart of the kubelet", async () => {
  const { node, api } = await nodeWith({ shares: 2 });
  await node.create("a", { annotations: { "tranche.dev/gpu-memory": "1Gi" } });
  await until("it runs", () => api.pod("a")?.status?.phase === "Running");
  const held = node.kubelet.pods();
  const [before] = node.kubelet.gpuUse();
  await node.kubelet.restart();
  await until("nothing is there before the plugin registers", () => counts(api) === "0/0");
  await node.settled();
  assert.deepEqual(node.kubelet.pods(), held);
  await node.plugin.stop();
  await node.plugin.start();
  await until("the devices are back", () => counts(api) === "2/2");
  assert.deepEqual(node.kubelet.pods(), held);
  assert.deepEqual(node.kubelet.gpuUse(), [before]);
  assert.equal(main(api.pod("a"))?.restartCount, 0);
  await node.create("b", { shares: 2 });
  await until("the held device is not given away", () => api.pod("b")?.status?.phase === "Failed");
  await api.delete(resources.pods, { namespace: "default", name: "a" });
  await until("the pod is gone", () => api.pod("a") === undefined);
  assert.deepEqual(node.kubelet.gpuUse(), []);
});

test("a pod deleted while the kubelet was away leaves nothing behind", async () => {
  const { node, api } = await nodeWith({ shares: 1 });
  await node.create("a", { annotations: { "tranche.dev/gpu-memory": "1Gi" } });
  await until("it runs", () => api.pod("a")?.status?.phase === "Running");
  const restarted = node.kubelet.restart();
  await api.delete(resources.pods, { namespace: "default", name: "a" }, { gracePeriodSeconds: 0 });
  await restarted;
  await until("its process has ended", () => node.kubelet.gpuUse().length === 0);
  await node.plugin.stop();
  await node.plugin.start();
  await until("the devices are back", () => counts(api) === "1/1");
  await node.create("b");
  await until("its device is free", () => api.pod("b")?.status?.phase === "Running");
});

test("a kubelet that is stopped while it writes ends when the writes do", async () => {
  const { node, api } = await nodeWith({ shares: 1 });
  const gate = Promise.withResolvers<void>();
  api.gate = gate.promise;
  await node.create("a");
  await node.plugin.stop();
  await until("node and pod are being written", () => api.held === 2);
  const restarted = node.kubelet.restart();
  api.gate = undefined;
  gate.resolve();
  await restarted;
});

test("the status is written when the API server is back", async () => {
  const { node, api } = await nodeWith({ shares: 1 });
  await node.create("a", { annotations: { "tranche.dev/run-for": "60ms" } });
  await until("it runs", () => api.pod("a")?.status?.phase === "Running");
  api.down = true;
  await until("its log says it has ended", () => {
    const lines = node.kubelet.logs({ namespace: "default", pod: "a", container: "main" });
    return lines?.at(-1)?.text === "ends with exit code 0";
  });
  await until("the kubelet has something to tell", () => !node.kubelet.idle());
  assert.equal(api.pod("a")?.status?.phase, "Running");
  api.down = false;
  await until("it is told", () => api.pod("a")?.status?.phase === "Succeeded");
});

test("the pod resources API tells of active pods and healthy devices", async () => {
  const { node, api } = await nodeWith({ shares: 2 });
  await node.create("a");
  await node.create("done", { annotations: { "tranche.dev/run-for": "0s" } });
  await until("one runs, one is done", () => {
    return api.pod("a")?.status?.phase === "Running" && api.pod("done")?.status?.phase === "Succeeded";
  });
  const client = new PodResourcesClient({ socketPath: join(node.root, "pod-resources", "kubelet.sock") });
  try {
    const [held] = node.kubelet.pods();
    assert.deepEqual(await client.list(), [held]);
  } finally {
    client.close();
  }
  const text = await readFile(join(node.root, "device-plugins", "kubelet_internal_checkpoint"), "utf8");
  assert.equal(JSON.parse(text).Data.RegisteredDevices[gpuResource].length, 2);
});
