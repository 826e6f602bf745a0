/** What the device plugin server's cached lists save. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { ListAndWatchResponseSchema } from "../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { DevicePluginConnection, DevicePluginServer, type PluginDevice } from "../src/kubelet/index.ts";
import { deviceMessage } from "../src/kubelet/messages.ts";
import type { BenchResult, BenchRow } from "./row.ts";
import { percentile } from "./samples.ts";

const replicaIds = Array.from({ length: 8_000 }, (_, index) => {
  const gpu = String(Math.floor(index / 1_000)).padStart(12, "0");
  return `GPU-8f6c2d0e-5b1a-4c3d-9e7f-${gpu}::${index % 1_000}`;
});

async function resendOverEncode(directory: string, rounds: number): Promise<BenchResult> {
  const backend = { preferredAllocation: () => [], allocate: () => assert.fail("nothing is allocated") };
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
  const [resendMs, encodeMs] = [percentile(resends, 0.5), percentile(encodings, 0.5)];
  const ratio = resendMs / encodeMs;
  const note = `update and write ${resendMs.toFixed(2)} ms, encoding alone ${encodeMs.toFixed(2)} ms, medians of ${rounds}`;
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
    name: "list of 8,000 replicas sent again after one change, beside encoding it anew",
    aim: "at most 0.5 times",
    run: (mode) => inDirectory((directory) => resendOverEncode(directory, mode === "small" ? 20 : 200)),
  },
];
