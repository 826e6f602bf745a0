/**
 * What the device plugin server adds to gRPC, and what its cached lists save.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import {
  AllocateRequestSchema,
  AllocateResponseSchema,
  ListAndWatchResponseSchema,
} from "../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { encode } from "../src/kubelet/grpc.ts";
import { DevicePluginConnection, DevicePluginServer, type PluginDevice } from "../src/kubelet/index.ts";
import { answerMessage, deviceMessage } from "../src/kubelet/messages.ts";
import { socketClient } from "../src/kubelet/socket.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const allocatePath = "/v1beta1.DevicePlugin/Allocate";
const deviceId = "MIG-4f1c7b1e-2b0a-5c6e-9d57-0b9a8f6f2c11";

const replicaIds = Array.from({ length: 8_000 }, (_, index) => {
  const gpu = String(Math.floor(index / 1_000)).padStart(12, "0");
  return `GPU-8f6c2d0e-5b1a-4c3d-9e7f-${gpu}::${index % 1_000}`;
});

/** What a container gets for one MIG device, with device nodes and CDI names. */
const answer = {
  envs: { NVIDIA_VISIBLE_DEVICES: deviceId },
  mounts: [],
  devices: ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia0"].map((path) => ({
    containerPath: path,
    hostPath: path,
    permissions: "rw",
  })),
  annotations: {},
  cdiDevices: [`nvidia.com/gpu=${deviceId}`],
};

const backend = { preferredAllocation: () => [], allocate: () => answer };

/** The smallest server gRPC allows: same path, same bytes, nothing read and nothing made. */
async function echoServer(path: string, response: Buffer): Promise<Server> {
  // Alike on both sides: the plugin server does without it too.
  const server = new Server({ "grpc.enable_channelz": 0 });
  const through = (bytes: Buffer): Buffer => bytes;
  const allocate = {
    path: allocatePath,
    requestStream: false,
    responseStream: false,
    requestSerialize: through,
    requestDeserialize: through,
    responseSerialize: through,
    responseDeserialize: through,
  };
  server.addService({ allocate }, { allocate: (_call: unknown, done: sendUnaryData<Buffer>) => done(null, response) });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return server;
}

/** Milliseconds of one call; the client passes bytes through, so that all the difference is the server's. */
function timeCall(client: Client, request: Buffer): Promise<number> {
  const through = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve, reject) => {
    const beganMs = performance.now();
    client.makeUnaryRequest(allocatePath, through, through, request, (error) => {
      if (error === null) resolve(performance.now() - beganMs);
      else reject(error);
    });
  });
}

async function allocateOverEcho(directory: string, calls: number): Promise<BenchResult> {
  const request = encode(AllocateRequestSchema, { containerRequests: [{ devicesIds: [deviceId] }] });
  const response = encode(AllocateResponseSchema, { containerResponses: [answerMessage(answer)] });
  const server = new DevicePluginServer({ resource: "nvidia.com/gpu", directory, backend });
  await server.start();
  const echo = await echoServer(join(directory, "echo.sock"), response);
  const clients = [socketClient(server.socketPath), socketClient(join(directory, "echo.sock"))] as const;
  const ours: number[] = [];
  const bare: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    // The order alternates, so that neither always runs in the other's wake.
    if (call % 2 === 0) ours.push(await timeCall(clients[0], request));
    bare.push(await timeCall(clients[1], request));
    if (call % 2 === 1) ours.push(await timeCall(clients[0], request));
  }
  for (const client of clients) client.close();
  echo.forceShutdown();
  await server.stop();
  const warm = Math.floor(calls / 5);
  const [ourMs, bareMs] = [median(ours.slice(warm)), median(bare.slice(warm))];
  const ratio = ourMs / bareMs;
  const note = `Allocate ${micro(ourMs)}, echo ${micro(bareMs)}, medians of ${calls - warm} calls each`;
  return { figure: `${ratio.toFixed(2)} times`, met: ratio <= 1.2, note };
}

async function resendOverEncode(directory: string, rounds: number): Promise<BenchResult> {
  const server = new DevicePluginServer({ resource: "nvidia.com/gpu", directory, backend });
  await server.start();
  const connection = await DevicePluginConnection.connect(server.socketPath, { timeoutMs: 10_000 });
  let arrived = Promise.withResolvers<void>();
  const ended = connection.listAndWatch(() => arrived.resolve());
  server.update(replicas(replicaIds.length));
  await arrived.promise;
  const resends: number[] = [];
  const encodings: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const devices = replicas(round);
    arrived = Promise.withResolvers();
    resends.push(timed(() => server.update(devices)));
    await arrived.promise;
    const message = create(ListAndWatchResponseSchema, { devices: devices.map(deviceMessage) });
    encodings.push(timed(() => toBinary(ListAndWatchResponseSchema, message)));
  }
  connection.close();
  await ended;
  await server.stop();
  const warm = Math.floor(rounds / 5);
  const [resendMs, encodeMs] = [median(resends.slice(warm)), median(encodings.slice(warm))];
  const ratio = resendMs / encodeMs;
  const note = `update and write ${resendMs.toFixed(2)} ms, encoding alone ${encodeMs.toFixed(2)} ms, medians of ${rounds - warm}`;
  return { figure: `${ratio.toFixed(2)} times`, met: ratio <= 0.5, note };
}

/** 8,000 replicas, new objects each time, of which one is unhealthy. */
function replicas(unhealthy: number): readonly PluginDevice[] {
  return replicaIds.map((id, index) => ({ id, healthy: index !== unhealthy, numaNode: index % 2 }));
}

function timed(work: () => unknown): number {
  const beganMs = performance.now();
  work();
  return performance.now() - beganMs;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function micro(ms: number): string {
  return `${(ms * 1_000).toFixed(0)} µs`;
}

async function inDirectory(run: (directory: string) => Promise<BenchResult>): Promise<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), "tranche-bench-"));
  try {
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export const rows: readonly BenchRow[] = [
  {
    name: "Allocate over the socket, beside a bare gRPC echo of the same bytes",
    aim: "at most 1.2 times",
    run: (mode) => inDirectory((directory) => allocateOverEcho(directory, mode === "small" ? 500 : 5_000)),
  },
  {
    name: "list of 8,000 replicas sent again after one change, beside encoding it anew",
    aim: "at most 0.5 times",
    run: (mode) => inDirectory((directory) => resendOverEncode(directory, mode === "small" ? 20 : 200)),
  },
];
