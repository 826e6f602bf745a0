/**
 * The NVML driver over the C double: what the driver itself costs, since the double answers at once.
 *
 * How long a real GPU takes for a change is not known here; the second row lets each take a while, to show what runs
 * side by side.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { silentLogger, systemClock } from "../src/base/index.ts";
import { modelById, type NvmlDriver, openNvmlDriver } from "../src/gpu/index.ts";
import { executePlan, planGpu } from "../src/partition/index.ts";
import { MockNode } from "../test/fixtures/mocknvml/mock-node.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const gpus = 8;
const slices = 7;
/** MIG mode once, then a GPU instance and a compute instance for each slice. */
const changesPerGpu = 1 + 2 * slices;

export const rows: readonly BenchRow[] = [
  { name: "NVML: cut 8 H100 into seven 1g each", aim: "under 1 s", run: cutAtOnce },
  { name: "NVML: the same, each change taking its time", aim: "under half of one by one", run: cutSlowly },
  { name: "NVML: memory of a process that lists 8 GPUs", aim: "under 150 MiB", run: memory },
];

async function cutAtOnce(): Promise<BenchResult> {
  const { wallMs, calls, changes } = await cut(0);
  return {
    figure: `${wallMs.toFixed(0)} ms`,
    met: wallMs < 1_000,
    note: `${calls} NVML calls, ${changes} of them changes`,
  };
}

async function cutSlowly(mode: "small" | "full"): Promise<BenchResult> {
  const delayMs = mode === "small" ? 10 : 100;
  const { wallMs } = await cut(delayMs);
  const oneByOneMs = gpus * changesPerGpu * delayMs;
  return {
    figure: `${wallMs.toFixed(0)} ms`,
    met: wallMs < oneByOneMs / 2,
    note: `${delayMs} ms for each change, one by one ${oneByOneMs} ms; libuv has four threads`,
  };
}

/** A process of its own, with what Node needs anyway told beside it. */
async function memory(): Promise<BenchResult> {
  return withMockNode(async (node) => {
    const { libraryPath, root, nvidiaSmi } = node;
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      const { openNvmlDriver } = await import(${url("../src/gpu/index.ts")});
      const { silentLogger, systemClock } = await import(${url("../src/base/index.ts")});
      const before = process.memoryUsage.rss();
      const { value } = await openNvmlDriver({ ...JSON.parse(process.argv[1]), log: silentLogger, clock: systemClock });
      await value.list();
      console.log(before, process.memoryUsage.rss());
      await value.close();`;
    const paths = JSON.stringify({ libraryPath, root, nvidiaSmi });
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, paths]);
    const [before = 0, after = 0] = stdout.split(" ").map((bytes) => Number(bytes) / 2 ** 20);
    return {
      figure: `${after.toFixed(0)} MiB`,
      met: after < 150,
      note: `${before.toFixed(0)} MiB before the library was opened`,
    };
  });
}

async function cut(delayMs: number): Promise<{ wallMs: number; calls: number; changes: number }> {
  return withMockNode(async (node) => {
    const { libraryPath, root, nvidiaSmi } = node;
    const options = { libraryPath, root, nvidiaSmi, log: silentLogger, clock: systemClock };
    const opened = await openNvmlDriver(options);
    if (!opened.ok) throw new Error(opened.findings[0]?.message);
    if (delayMs > 0) await node.delay(delayMs);
    const startMs = performance.now();
    const results = await Promise.all((await opened.value.list()).map((gpu) => apply(opened.value, gpu)));
    const wallMs = performance.now() - startMs;
    await opened.value.close();
    const failed = results.find(({ result }) => result !== "done");
    if (failed !== undefined) throw new Error(`a plan was ${failed.result}`);
    return { wallMs, calls: (await node.calls()).length, changes: (await node.changes()).length };
  });
}

function apply(driver: NvmlDriver, gpu: Awaited<ReturnType<NvmlDriver["list"]>>[number]) {
  const place = { file: "bench.yaml", line: 1, column: 1 };
  const counts = new Map([["1g.10gb", slices]]);
  const wanted = { gpuUuid: gpu.uuid, gpuIndex: gpu.index, migEnabled: true, counts, place };
  return executePlan(driver, planGpu({ gpu, wanted, holders: new Map() }));
}

/** Runs `body` with eight H100 behind the C double. */
export async function withMockNode<T>(body: (node: MockNode) => Promise<T>): Promise<T> {
  const model = modelById("h100-sxm5-80gb");
  if (model === undefined) throw new Error("the catalogue has no H100");
  const directory = await mkdtemp(join(tmpdir(), "nvml-"));
  try {
    return await body(await MockNode.create(directory, { models: Array.from({ length: gpus }, () => model) }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
