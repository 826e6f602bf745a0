import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { PodResourcesLister } from "../../src/kubelet/gen/podresources/v1/api_pb.js";
import { callUnary } from "../../src/kubelet/grpc.ts";
import { PodResourcesClient, type PodResourcesServerOptions, servePodResources } from "../../src/kubelet/index.ts";
import { socketClient } from "../../src/kubelet/socket.ts";
import { until } from "../support/until.ts";
import { temporaryDirectory } from "./support/fixtures.ts";

const gpu = "nvidia.com/gpu";
const slice = "nvidia.com/mig-1g.10gb";

async function socketPath(t: TestContext): Promise<string> {
  return join(await temporaryDirectory(t), "pod-resources", "kubelet.sock");
}

async function serve(t: TestContext, options: Partial<PodResourcesServerOptions> = {}): Promise<string> {
  const path = await socketPath(t);
  const none = { list: () => [], allocatable: () => [], socketPath: path };
  const server = await servePodResources({ ...none, ...options });
  t.after(() => server.close());
  return path;
}

function client(t: TestContext, path: string, clock?: VirtualClock): PodResourcesClient {
  const one = new PodResourcesClient(clock === undefined ? { socketPath: path } : { socketPath: path, clock });
  t.after(() => one.close());
  return one;
}

test("merges the kubelet's entries per device and NUMA node into one per container and resource", async (t) => {
  const path = await serve(t, {
    list: () => [
      {
        namespace: "ml",
        pod: "train-0",
        containers: [
          {
            name: "main",
            devices: [
              { resource: gpu, deviceId: "GPU-a", numaNode: 0 },
              { resource: slice, deviceId: "MIG-a", numaNode: undefined },
              { resource: gpu, deviceId: "GPU-b", numaNode: 0 },
              { resource: gpu, deviceId: "GPU-b", numaNode: 1 },
            ],
          },
          { name: "side", devices: [{ resource: gpu, deviceId: "GPU-c", numaNode: undefined }] },
        ],
      },
      { namespace: "web", pod: "front", containers: [{ name: "main", devices: [] }] },
    ],
  });
  assert.deepEqual(await client(t, path).list(), [
    { namespace: "ml", pod: "train-0", container: "main", resource: gpu, deviceIds: ["GPU-a", "GPU-b"] },
    { namespace: "ml", pod: "train-0", container: "main", resource: slice, deviceIds: ["MIG-a"] },
    { namespace: "ml", pod: "train-0", container: "side", resource: gpu, deviceIds: ["GPU-c"] },
  ]);
});

test("lists allocatable devices by resource", async (t) => {
  const path = await serve(t, {
    allocatable: () => [
      { resource: gpu, deviceId: "GPU-a", numaNode: 0 },
      { resource: slice, deviceId: "MIG-a", numaNode: 0 },
      { resource: gpu, deviceId: "GPU-b", numaNode: 1 },
    ],
  });
  assert.deepEqual(
    await client(t, path).allocatable(),
    new Map([
      [gpu, ["GPU-a", "GPU-b"]],
      [slice, ["MIG-a"]],
    ]),
  );
});

test("the server has one entry per device, as the kubelet has", async (t) => {
  const devices = [
    { resource: gpu, deviceId: "GPU-a", numaNode: 0 },
    { resource: gpu, deviceId: "GPU-b", numaNode: undefined },
  ];
  const path = await serve(t, {
    list: () => [{ namespace: "ml", pod: "train-0", containers: [{ name: "main", devices }] }],
  });
  const raw = socketClient(path);
  t.after(() => raw.close());
  const { podResources } = await callUnary(raw, PodResourcesLister.method.get, {
    podName: "train-0",
    podNamespace: "ml",
  });
  assert.deepEqual(
    podResources?.containers[0]?.devices.map((one) => [one.resourceName, one.deviceIds, one.topology?.nodes[0]?.ID]),
    [
      [gpu, ["GPU-a"], 0n],
      [gpu, ["GPU-b"], undefined],
    ],
  );
  await assert.rejects(callUnary(raw, PodResourcesLister.method.get, { podName: "x", podNamespace: "ml" }), {
    message: "rpc error: code = Unknown desc = pod x in namespace ml not found",
  });
});

test("the socket's directory is closed to others", async (t) => {
  const path = await serve(t);
  assert.equal((await stat(dirname(path))).mode & 0o777, 0o750);
});

test("ten calls pass at once, the eleventh is refused, and each 10 ms let one more pass", async (t) => {
  const clock = new VirtualClock();
  const path = await serve(t, { clock });
  const raw = socketClient(path);
  t.after(() => raw.close());
  const call = (): Promise<string> =>
    callUnary(raw, PodResourcesLister.method.list, {}).then(
      () => "ok",
      (error: Error) => error.message,
    );
  const refused = "rpc error: code = ResourceExhausted desc = rejected by rate limit";
  for (let count = 0; count < 10; count += 1) assert.equal(await call(), "ok", `call ${count}`);
  assert.equal(await call(), refused);
  await clock.advance(9);
  assert.equal(await call(), refused);
  await clock.advance(1);
  assert.equal(await call(), "ok");
  assert.equal(await call(), refused);
  await clock.advance(60_000);
  for (let count = 0; count < 10; count += 1) assert.equal(await call(), "ok", `call ${count} after a minute`);
  assert.equal(await call(), refused);
});

test("the client waits when the rate limit refuses it, and gives up in the end", async (t) => {
  const still = new VirtualClock();
  const path = await serve(t, { clock: still });
  const clock = new VirtualClock();
  const one = client(t, path, clock);
  for (let count = 0; count < 10; count += 1) await one.list();
  const patient = one.list();
  await until("the client waits", () => clock.waiting === 1);
  await still.advance(10);
  await clock.advance(100);
  assert.deepEqual(await patient, []);

  const refused = assert.rejects(one.list(), { code: "pod-resources", retryable: true });
  let waitedMs = 0;
  for (const waitMs of [100, 200, 400, 800]) {
    await until("the client waits", () => clock.waiting === 1);
    await clock.advance(waitMs - 1);
    assert.equal(clock.waiting, 1, `it waits ${waitMs} ms`);
    await clock.advance(1);
    waitedMs += waitMs;
  }
  await refused;
  assert.equal(clock.now(), 100 + waitedMs);
});

test("a kubelet that is away is a retryable error, and the same client works when it is back", async (t) => {
  const path = await socketPath(t);
  const one = client(t, path);
  await assert.rejects(one.list(), { code: "pod-resources", retryable: true });
  const server = await servePodResources({ socketPath: path, list: () => [], allocatable: () => [] });
  t.after(() => server.close());
  await until("the client has dialled again", () =>
    one.list().then(
      () => true,
      () => false,
    ),
  );
});

test("a list of more than 4 MiB arrives", async (t) => {
  const devices = Array.from({ length: 60_000 }, (_, index) => ({
    resource: gpu,
    deviceId: `GPU-00000000-0000-0000-0000-000000000000::${index}`,
    numaNode: undefined,
  }));
  const path = await serve(t, {
    list: () => [{ namespace: "ml", pod: "p", containers: [{ name: "main", devices }] }],
  });
  const [all] = await client(t, path).list();
  assert.equal(all?.deviceIds.length, 60_000);
});

test("an aborted signal ends a wait", async (t) => {
  const path = await serve(t, { clock: new VirtualClock() });
  const clock = new VirtualClock();
  const ending = new AbortController();
  const one = new PodResourcesClient({ socketPath: path, clock, signal: ending.signal });
  t.after(() => one.close());
  for (let count = 0; count < 10; count += 1) await one.list();
  const refused = assert.rejects(one.list(), { name: "AbortError" });
  await until("the client waits", () => clock.waiting === 1);
  ending.abort();
  await refused;
});
