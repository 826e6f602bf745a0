/**
 * What the agent adds to gRPC when the kubelet calls it.
 *
 * Requests go through what they go through on a node: the device plugin server, decoding, the agent's offering, the
 * answer, encoding. Beside it a bare gRPC server takes the same bytes and answers the same bytes from a constant. The
 * client is the same for both, passes bytes through, and runs in this process; calls to the two take turns.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { HolderBook } from "../src/agent/holders.ts";
import { Offering } from "../src/agent/offering.ts";
import { systemClock } from "../src/base/index.ts";
import {
  AllocateRequestSchema,
  PreferredAllocationRequestSchema,
} from "../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { encode } from "../src/kubelet/grpc.ts";
import { DevicePluginHost, pluginSocketName } from "../src/kubelet/index.ts";
import { socketClient } from "../src/kubelet/socket.ts";
import { controlNodes, type Offer } from "../src/sharing/index.ts";
import { settings } from "../test/sharing/fixtures.ts";
import { offerOf } from "./offer.ts";
import type { BenchResult, BenchRow } from "./row.ts";
import { micro, percentile, ratio } from "./samples.ts";

const service = "/v1beta1.DevicePlugin";

/** The two servers and how to call them. */
interface Pair {
  callOurs(): Promise<number>;
  callBare(): Promise<number>;
}

/** Serves `offer` as the agent does and beside it the bare server, while `measure` runs. */
async function withPair(
  offer: Offer,
  { method, request }: { readonly method: string; readonly request: Buffer },
  measure: (pair: Pair) => Promise<BenchResult>,
): Promise<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), "tranche-bench-"));
  const host = new DevicePluginHost({ directory });
  const noPods = { list: async () => [] };
  const offering = new Offering({
    host,
    podResources: { allocatable: async () => new Map() },
    holders: new HolderBook(noPods, systemClock),
    clock: systemClock,
    isHealthy: () => true,
    randomUuid: () => crypto.randomUUID(),
  });
  host.start();
  await offering.publish({
    offers: [offer],
    settings: { ...settings, passDeviceSpecs: true },
    pairScore: () => 10,
    facts: { presentControlNodes: new Set(controlNodes) },
    withheld: [],
    unusable: [],
    taken: new Set(),
  });
  const ours = socketClient(join(directory, pluginSocketName(offer.resource)));
  const path = `${service}/${method}`;
  const { answer } = await call(ours, path, request);
  const server = await bareServer(join(directory, "bare.sock"), path, answer);
  const bare = socketClient(join(directory, "bare.sock"));
  try {
    return await measure({
      callOurs: async () => (await call(ours, path, request)).elapsedMs,
      callBare: async () => (await call(bare, path, request)).elapsedMs,
    });
  } finally {
    for (const client of [ours, bare]) client.close();
    server.forceShutdown();
    await host.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const through = (bytes: Buffer): Buffer => bytes;

/** The smallest server gRPC allows: same path, same bytes, nothing read and nothing made. */
async function bareServer(socket: string, path: string, answer: Buffer): Promise<Server> {
  // Alike on both sides: the plugin server does without channelz and without limits too.
  const server = new Server({ "grpc.enable_channelz": 0, "grpc.max_receive_message_length": -1 });
  const definition = {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: through,
    requestDeserialize: through,
    responseSerialize: through,
    responseDeserialize: through,
  };
  server.addService(
    { method: definition },
    { method: (_call: unknown, done: sendUnaryData<Buffer>) => done(null, answer) },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return server;
}

function call(
  client: Client,
  path: string,
  request: Buffer,
): Promise<{ readonly elapsedMs: number; readonly answer: Buffer }> {
  return new Promise((resolve, reject) => {
    const beganMs = performance.now();
    client.makeUnaryRequest(path, through, through, request, (error, answer) => {
      if (error !== null) reject(error);
      else resolve({ elapsedMs: performance.now() - beganMs, answer: answer ?? Buffer.alloc(0) });
    });
  });
}

interface Times {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

/** Milliseconds of `rounds` times `callers` calls to each server, with so many on their way at a time. */
async function takeTurns({ callOurs, callBare }: Pair, rounds: number, callers: number): Promise<Times> {
  const ours: number[] = [];
  const bare: number[] = [];
  const together = (one: () => Promise<number>): Promise<number[]> => Promise.all(Array.from({ length: callers }, one));
  for (let round = 0; round < rounds; round += 1) {
    // The order alternates, so that neither always runs in the other's wake.
    if (round % 2 === 0) ours.push(...(await together(callOurs)));
    bare.push(...(await together(callBare)));
    if (round % 2 === 1) ours.push(...(await together(callOurs)));
  }
  return { ours, bare };
}

function allocateRow(callers: number): BenchRow {
  const limit = 1.2;
  return {
    name: `Allocate p50 and p99, ${callers} ${callers === 1 ? "caller" : "callers"}, beside a bare gRPC server`,
    aim: `at most ${limit} times`,
    run: (mode) => {
      const offer = offerOf(8, 7);
      const devicesIds = offer.devices.slice(0, 1).map(({ id }) => id);
      const request = encode(AllocateRequestSchema, { containerRequests: [{ devicesIds }] });
      return withPair(offer, { method: "Allocate", request }, async (pair) => {
        const rounds = Math.ceil((mode === "small" ? 1_000 : 20_000) / callers);
        const { ours, bare } = await takeTurns(pair, rounds, callers);
        const times = [0.5, 0.99].map((share) => ratio(ours, bare, share));
        const figures = [0.5, 0.99].map((share) =>
          [ours, bare].map((one) => micro(percentile(one, share))).join(" to "),
        );
        return {
          figure: `${times.map((one) => one.toFixed(2)).join(" and ")} times`,
          met: times.every((one) => one <= limit),
          note: `${figures.join(", ")}; ${ours.length} calls each`,
        };
      });
    },
  };
}

function preferredRow(deviceCount: number): BenchRow {
  const limitMs = 1;
  return {
    name: `GetPreferredAllocation, 2 of ${deviceCount} devices, what it adds to a bare gRPC server`,
    aim: `at most ${limitMs} ms`,
    run: (mode) => {
      const offer = offerOf(8, deviceCount / 8);
      const { devices } = offer;
      // In no order, as the kubelet sends them.
      const availableDeviceIDs = devices.map(({ id }, n) => devices[(n * 7919) % devices.length]?.id ?? id);
      const one = { availableDeviceIDs, mustIncludeDeviceIDs: [], allocationSize: 2 };
      const request = encode(PreferredAllocationRequestSchema, { containerRequests: [one] });
      return withPair(offer, { method: "GetPreferredAllocation", request }, async (pair) => {
        const { ours, bare } = await takeTurns(pair, mode === "small" ? 100 : 1_000, 1);
        const [ourMs, bareMs] = [percentile(ours, 0.5), percentile(bare, 0.5)];
        return {
          figure: `${(ourMs - bareMs).toFixed(3)} ms`,
          met: ourMs - bareMs <= limitMs,
          note: `with decoding ${request.length} bytes: ${ourMs.toFixed(2)} ms, bare ${bareMs.toFixed(2)} ms, medians of ${ours.length}`,
        };
      });
    },
  };
}

export const rows: readonly BenchRow[] = [...[1, 32].map(allocateRow), ...[8, 800, 8000].map(preferredRow)];
