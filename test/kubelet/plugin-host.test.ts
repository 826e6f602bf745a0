import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { DevicePluginHost, DevicePluginServer } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { offersOf, temporaryDirectory } from "./support/fixtures.ts";
import { KubeletStandIn } from "./support/stand-in.ts";

const gpu = "nvidia.com/gpu";
const slice = "nvidia.com/mig-1g.10gb";

interface Node {
  readonly directory: string;
  readonly kubelet: KubeletStandIn;
  readonly host: DevicePluginHost;
}

async function node(t: TestContext): Promise<Node> {
  const directory = await temporaryDirectory(t);
  const kubelet = new KubeletStandIn(directory);
  const host = new DevicePluginHost({ directory });
  t.after(() => host.stop());
  t.after(() => kubelet.stop());
  host.start();
  return { directory, kubelet, host };
}

function knows(kubelet: KubeletStandIn, resource: string, ids: string): Promise<unknown> {
  return until(`the kubelet knows ${resource} as ${ids}`, () => kubelet.healthy(resource)?.join(" ") === ids);
}

test("registers each resource with its version, socket name and options", async (t) => {
  const { kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "MIG-a MIG-b" }));
  await knows(kubelet, gpu, "GPU-a");
  await knows(kubelet, slice, "MIG-a MIG-b");
  const options = { preStartRequired: false, getPreferredAllocationAvailable: true };
  assert.deepEqual(
    kubelet.registrations.toSorted((a, b) => a.resourceName.localeCompare(b.resourceName)),
    [
      { version: "v1beta1", endpoint: "nvidia-gpu.sock", resourceName: gpu, options },
      { version: "v1beta1", endpoint: "nvidia-mig-1g.10gb.sock", resourceName: slice, options },
    ],
  );
});

test("registers as soon as a kubelet appears", async (t) => {
  const { kubelet, host } = await node(t);
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  assert.equal(host.status()[0]?.registeredSinceMs, undefined);
  assert.match(host.status()[0]?.lastError ?? "", /^there is no .*kubelet\.sock$/);
  assert.deepEqual(
    host.findings().map(({ code }) => code),
    ["kubelet-not-registered"],
  );
  await kubelet.start();
  await knows(kubelet, gpu, "GPU-a");
  await until("the host says so", () => host.status()[0]?.registeredSinceMs !== undefined);
  assert.equal(host.status()[0]?.lastError, undefined);
  assert.deepEqual(host.findings(), []);
});

test("registers again after the kubelet restarts", async (t) => {
  const { kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "MIG-a" }));
  await knows(kubelet, gpu, "GPU-a");
  await kubelet.restart();
  await knows(kubelet, gpu, "GPU-a");
  await knows(kubelet, slice, "MIG-a");
  await kubelet.restart();
  await knows(kubelet, slice, "MIG-a");
});

test("makes its socket anew when somebody deletes it, without a second registration", async (t) => {
  const { directory, kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  await rm(join(directory, "nvidia-gpu.sock"));
  await until("the socket is back", async () => (await readdir(directory)).includes("nvidia-gpu.sock"));
  await host.offer(offersOf({ [gpu]: "GPU-b" }));
  await knows(kubelet, gpu, "GPU-b");
  await until("it can be called", () =>
    kubelet
      .connection(gpu)
      .allocate(["GPU-b"])
      .then(
        () => true,
        () => false,
      ),
  );
  assert.equal(kubelet.registrations.length, 1);
});

test("stays registered when only the kubelet's socket file is deleted", async (t) => {
  const { kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  await rm(kubelet.socketPath);
  await host.offer(offersOf({ [gpu]: "GPU-b" }));
  await knows(kubelet, gpu, "GPU-b");
  assert.equal(host.status()[0]?.lastError, undefined);
});

test("registers again when the kubelet drops the stream without a restart", async (t) => {
  const { kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  kubelet.drop(gpu);
  await knows(kubelet, gpu, "GPU-a");
});

test("empties a resource that is no longer offered and gives it back without a registration", async (t) => {
  const { kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "MIG-a" }));
  await knows(kubelet, slice, "MIG-a");
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, slice, "");
  assert.deepEqual(
    host.status().map(({ resource, withdrawn }) => ({ resource, withdrawn })),
    [
      { resource: gpu, withdrawn: false },
      { resource: slice, withdrawn: true },
    ],
  );
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "MIG-a" }));
  await knows(kubelet, slice, "MIG-a");
  assert.equal(kubelet.registrations.length, 2);
});

test("does not register a withdrawn resource with the next kubelet", async (t) => {
  const { directory, kubelet, host } = await node(t);
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "MIG-a" }));
  await knows(kubelet, slice, "MIG-a");
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await kubelet.restart();
  await knows(kubelet, gpu, "GPU-a");
  await until("the withdrawn server is gone", () => host.status().length === 1);
  assert.equal(kubelet.devices(slice), undefined);
  assert.deepEqual((await readdir(directory)).sort(), ["kubelet.sock", "nvidia-gpu.sock"]);
});

test("a registration that is refused is tried again with growing waits", async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = new VirtualClock(1_000_000);
  const kubelet = new KubeletStandIn(directory, clock);
  const host = new DevicePluginHost({ directory, clock });
  t.after(() => host.stop());
  t.after(() => kubelet.stop());
  kubelet.refusal = 'the ResourceName "nvidia.com/gpu" is invalid';
  await kubelet.start();
  host.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await until("five tries", async () => {
    await clock.advance(250);
    return kubelet.registrations.length >= 5;
  });
  assert.match(
    host.status()[0]?.lastError ?? "",
    /^cannot register nvidia\.com\/gpu at .*: rpc error: code = Unknown desc = the ResourceName "nvidia\.com\/gpu" is invalid$/,
  );
  const waits = kubelet.registeredAtMs.slice(1, 5).map((at, index) => at - (kubelet.registeredAtMs[index] ?? 0));
  for (const [index, wait] of waits.entries()) assert.ok(wait >= 500 * 2 ** index, `wait ${index} is ${wait} ms`);
  kubelet.refusal = undefined;
  await until("it is registered", async () => {
    await clock.advance(1_000);
    return kubelet.healthy(gpu)?.join() === "GPU-a";
  });
});

test("steps back from a socket that another plugin took, names it, and takes it over when that one is dead", async (t) => {
  const { directory, kubelet, host } = await node(t);
  const { backend, devices } = offersOf({ [gpu]: "GPU-b" }).get(gpu) ?? assert.fail();
  // NVIDIA's plugin removes whatever socket it finds, as this server does.
  const other = new DevicePluginServer({ resource: gpu, directory, backend });
  t.after(() => other.stop());
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  other.update(devices);
  await other.start();
  await other.register(kubelet.socketPath);
  const [found] = await until("the first one steps back", () =>
    host.findings().some(({ code }) => code === "second-device-plugin") ? host.findings() : undefined,
  );
  assert.equal(
    found?.message,
    `another device plugin serves ${other.socketPath}, process ${process.pid} (${basename(process.argv0)})`,
  );
  await knows(kubelet, gpu, "GPU-b");
  await other.stop();
  await knows(kubelet, gpu, "GPU-a");
  assert.deepEqual(host.findings(), []);
});

test("does not take the socket of a plugin that serves when it starts", async (t) => {
  const { directory, kubelet, host } = await node(t);
  const other = new DevicePluginHost({ directory });
  t.after(() => other.stop());
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  other.start();
  await other.offer(offersOf({ [gpu]: "GPU-b", [slice]: "MIG-b" }));
  await knows(kubelet, slice, "MIG-b");
  assert.deepEqual(
    other.findings().map(({ code, subject }) => `${code} ${subject.name}`),
    [`second-device-plugin ${gpu}`],
  );
  await knows(kubelet, gpu, "GPU-a");
  await host.stop();
  await knows(kubelet, gpu, "GPU-b");
});

test("tells of a plugin on another socket that took the resource, and takes it back", async (t) => {
  const { directory, kubelet, host } = await node(t);
  const { backend } = offersOf({ [slice]: "MIG-b" }).get(slice) ?? assert.fail();
  const other = new DevicePluginServer({ resource: "nvidia.com/other", directory, backend });
  t.after(() => other.stop());
  await kubelet.start();
  await host.offer(offersOf({ [gpu]: "GPU-a" }));
  await knows(kubelet, gpu, "GPU-a");
  await other.start();
  kubelet.drop(gpu);
  const found = await until("it is told", () => host.findings().find(({ code }) => code === "second-device-plugin"));
  assert.match(found.message, /nvidia-other\.sock, process \d+/);
  await knows(kubelet, gpu, "GPU-a");
});

test("says which path is too long and goes on with what fits", async (t) => {
  const directory = join(await temporaryDirectory(t), "d".repeat(70));
  const kubelet = new KubeletStandIn(directory);
  const host = new DevicePluginHost({ directory });
  t.after(() => host.stop());
  t.after(() => kubelet.stop());
  host.start();
  const long = `nvidia.com/${"x".repeat(40)}`;
  await host.offer(offersOf({ [long]: "GPU-a", [gpu]: "GPU-b" }));
  await kubelet.start();
  await knows(kubelet, gpu, "GPU-b");
  const findings = host.findings();
  assert.deepEqual(
    findings.map(({ code, subject }) => `${code} ${subject.name}`),
    [`state-dir-unusable ${long}`],
  );
  assert.match(findings[0]?.message ?? "", /bytes, a unix socket takes at most 107/);
});

test("ends with the signal and leaves no socket behind", async (t) => {
  const { directory, kubelet } = await node(t);
  const host = new DevicePluginHost({ directory });
  const ending = new AbortController();
  await kubelet.start();
  host.start(ending.signal);
  await host.offer(offersOf({ [gpu]: "GPU-a", [slice]: "" }));
  await knows(kubelet, gpu, "GPU-a");
  ending.abort();
  await host.stop();
  assert.deepEqual(await readdir(directory), ["kubelet.sock"]);
});
