import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir, writeFile } from "node:fs/promises";
import http2, { type OutgoingHttpHeaders } from "node:http2";
import net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type DevicePluginBackend,
  DevicePluginConnection,
  DevicePluginServer,
  type PluginDevice,
  pluginSocketName,
} from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { devicesOf, plainBackend, temporaryDirectory } from "./support/fixtures.ts";

async function serve(t: TestContext, backend: Partial<DevicePluginBackend> = {}): Promise<DevicePluginServer> {
  const directory = await temporaryDirectory(t);
  const server = new DevicePluginServer({
    resource: "nvidia.com/gpu",
    directory,
    backend: { ...plainBackend, ...backend },
  });
  t.after(() => server.stop());
  await server.start();
  return server;
}

async function connect(t: TestContext, server: DevicePluginServer): Promise<DevicePluginConnection> {
  const connection = await DevicePluginConnection.connect(server.socketPath, { timeoutMs: 10_000 });
  t.after(() => connection.close());
  return connection;
}

const sockets = [
  { resource: "nvidia.com/gpu", name: "nvidia-gpu.sock" },
  { resource: "nvidia.com/gpu.shared", name: "nvidia-gpu.shared.sock" },
  { resource: "nvidia.com/mig-1g.10gb.me", name: "nvidia-mig-1g.10gb.me.sock" },
  { resource: "example.com/gpu", name: "example.com-gpu.sock" },
];
for (const { resource, name } of sockets) {
  test(`${resource} is served on ${name}`, () => assert.equal(pluginSocketName(resource), name));
}

test("tells the kubelet to ask for preferred allocations and not to call before a start", async (t) => {
  const connection = await connect(t, await serve(t));
  assert.deepEqual(await connection.options(), { preStartRequired: false, getPreferredAllocationAvailable: true });
  await connection.preStartContainer(["GPU-a"]);
});

test("carries every field of an allocation", async (t) => {
  const answer = {
    envs: { NVIDIA_VISIBLE_DEVICES: "GPU-a", EMPTY: "" },
    mounts: [{ containerPath: "/c", hostPath: "/h", readOnly: true }],
    devices: [{ containerPath: "/dev/nvidia0", hostPath: "/host/dev/nvidia0", permissions: "rw" }],
    annotations: { "cdi.k8s.io/x": "nvidia.com/gpu=0" },
    cdiDevices: ["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
  };
  const asked: (readonly string[])[] = [];
  const server = await serve(t, {
    allocate: async (ids) => {
      asked.push(ids);
      return answer;
    },
  });
  const connection = await connect(t, server);
  assert.deepEqual(await connection.allocate(["GPU-a", "GPU-b"]), answer);
  assert.deepEqual(asked, [["GPU-a", "GPU-b"]]);
});

test("carries a preferred allocation both ways", async (t) => {
  const asked: unknown[] = [];
  const server = await serve(t, {
    preferredAllocation: (request) => {
      asked.push(request);
      return ["c", "a"];
    },
  });
  const connection = await connect(t, server);
  const request = { available: ["a", "b", "c"], mustInclude: ["a"], size: 2 };
  assert.deepEqual(await connection.preferredAllocation(request), ["c", "a"]);
  assert.deepEqual(asked, [request]);
});

test("what the backend throws is the status text, with code UNKNOWN", async (t) => {
  const text = 'request for "nvidia.com/gpu": invalid request: 2 > 1 – 100%';
  const refuse = (): never => {
    throw new Error(text);
  };
  const connection = await connect(t, await serve(t, { allocate: refuse, preferredAllocation: refuse }));
  const want = { name: "RpcError", rpcCode: "Unknown", details: text, retryable: false };
  await assert.rejects(connection.allocate(["GPU-a"]), want);
  await assert.rejects(connection.allocate(["GPU-a"]), { message: `rpc error: code = Unknown desc = ${text}` });
  await assert.rejects(connection.preferredAllocation({ available: [], mustInclude: [], size: 1 }), want);
});

test("a stream gets the list there is at once, then each change, and nothing when nothing changed", async (t) => {
  const server = await serve(t);
  server.update(devicesOf("GPU-a GPU-b"));
  const connection = await connect(t, server);
  const lists: (readonly PluginDevice[])[] = [];
  const ended = connection.listAndWatch((devices) => lists.push(devices));
  await until("the first list", () => lists.length === 1);
  server.update(devicesOf("GPU-a !GPU-b"));
  await until("the second list", () => lists.length === 2);
  server.update(devicesOf("!GPU-b GPU-a"));
  server.update([{ id: "GPU-c", healthy: true, numaNode: 1 }]);
  await until("the last list", () => lists.at(-1)?.[0]?.id === "GPU-c");
  assert.deepEqual(lists, [
    devicesOf("GPU-a GPU-b"),
    devicesOf("GPU-a !GPU-b"),
    [{ id: "GPU-c", healthy: true, numaNode: 1 }],
  ]);
  await server.stop();
  await ended;
});

test("an empty list is sent, too", async (t) => {
  const server = await serve(t);
  const connection = await connect(t, server);
  const lists: (readonly PluginDevice[])[] = [];
  const ended = connection.listAndWatch((devices) => lists.push(devices));
  await until("the list", () => lists.length === 1);
  assert.deepEqual(lists, [[]]);
  connection.close();
  await ended;
  await until("the server sees it", () => server.openStreams === 0);
});

test("a reader that is behind gets the newest list and not every list before it", async (t) => {
  const server = await serve(t);
  const connection = await connect(t, server);
  const list = (round: number): readonly PluginDevice[] =>
    Array.from({ length: 5_000 }, (_, index) => ({
      id: `GPU-00000000-0000-0000-0000-000000000000::${index}-${round}`,
      healthy: true,
      numaNode: undefined,
    }));
  const seen: string[] = [];
  const ended = connection.listAndWatch((devices) => seen.push(devices[0]?.id.split("-").at(-1) ?? "none"));
  await until("the stream", () => seen.length === 1);
  for (let round = 0; round < 20; round += 1) server.update(list(round));
  await until("the newest list", () => seen.at(-1) === "19");
  assert.ok(seen.length <= 3, `${seen.length} lists came`);
  connection.close();
  await ended;
});

test("takes the place of a socket file that a dead process left", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "nvidia-gpu.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  await access(path);
  const server = new DevicePluginServer({ resource: "nvidia.com/gpu", directory, backend: plainBackend });
  await server.start();
  t.after(() => server.stop());
  const connection = await connect(t, server);
  await connection.options();
});

test("does not delete a file that is not a socket", async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, "nvidia-gpu.sock"), "mine");
  const server = new DevicePluginServer({ resource: "nvidia.com/gpu", directory, backend: plainBackend });
  await assert.rejects(server.start(), { code: "state-dir-unusable" });
  await server.stop();
  assert.deepEqual(await readdir(directory), ["nvidia-gpu.sock"]);
});

test("an allocation that has begun is answered although the server stops", async (t) => {
  const begun = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const server = await serve(t, {
    allocate: async (ids) => {
      begun.resolve();
      await released.promise;
      return plainBackend.allocate(ids);
    },
  });
  const connection = await connect(t, server);
  const answer = connection.allocate(["GPU-a"]);
  await begun.promise;
  const stopped = server.stop();
  released.resolve();
  assert.deepEqual((await answer).envs, { NVIDIA_VISIBLE_DEVICES: "GPU-a" });
  await stopped;
});

test("listening anew leaves running calls and streams alone", async (t) => {
  const server = await serve(t);
  const connection = await connect(t, server);
  const lists: (readonly PluginDevice[])[] = [];
  const ended = connection.listAndWatch((devices) => lists.push(devices));
  await until("the stream", () => lists.length === 1);
  await server.start();
  assert.equal(await server.socketFile(), "own");
  server.update(devicesOf("GPU-a"));
  await until("the list", () => lists.length === 2);
  await (await connect(t, server)).options();
  connection.close();
  await ended;
});

test("registration without a kubelet is a retryable error", async (t) => {
  const server = await serve(t);
  await assert.rejects(server.register(join(await temporaryDirectory(t), "kubelet.sock")), {
    code: "kubelet-registration",
    retryable: true,
  });
});

/** Calls GetDevicePluginOptions over bare HTTP/2 with exactly these headers; resolves with the status and the message. */
async function rawCall(path: string, headers: OutgoingHttpHeaders): Promise<{ status: unknown; message: Buffer }> {
  const session = http2.connect("http://localhost", { createConnection: () => net.connect(path) });
  try {
    const call = session.request({
      ":method": "POST",
      ":path": "/v1beta1.DevicePlugin/GetDevicePluginOptions",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const trailers = once(call, "trailers");
    call.end(Buffer.alloc(5));
    const chunks: Buffer[] = [];
    for await (const chunk of call) chunks.push(chunk);
    const [{ "grpc-status": status }] = await trailers;
    return { status, message: Buffer.concat(chunks).subarray(5) };
  } finally {
    session.destroy();
  }
}

const authorities = ["localhost", "%2Fvar%2Flib%2Fkubelet%2Fdevice-plugins%2Fnvidia-gpu.sock", "node-a:1234"];
for (const authority of authorities) {
  test(`answers clients whose authority is "${authority}"`, async (t) => {
    const server = await serve(t);
    const { status, message } = await rawCall(server.socketPath, { ":authority": authority });
    assert.equal(status, "0");
    assert.deepEqual([...message], [2 << 3, 1]);
  });
}
