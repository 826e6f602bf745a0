/**
 * The quick start as a whole process: from start to settled, and what it takes of memory.
 */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { BenchRow } from "./row.ts";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const quickStart = fileURLToPath(new URL("../examples/quick-start.yaml", import.meta.url));
const LIMIT_MS = 3_000;
const LIMIT_MIB = 300;

interface Run {
  readonly elapsedMs: number;
  readonly peakMiB: number;
}

/** Runs `up --once`; the process's own high-water mark is read while it runs. */
async function quickStartRun(): Promise<Run> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [main, "up", "-f", quickStart, "--once", "-o", "json"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  let peakMiB = 0;
  const timer = setInterval(async () => {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    peakMiB = Math.max(peakMiB, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
  }, 20);
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`up ended with exit code ${code}`);
  return { elapsedMs: performance.now() - startMs, peakMiB };
}

async function runs(mode: "small" | "full"): Promise<readonly Run[]> {
  await quickStartRun();
  const all: Run[] = [];
  for (let count = 0; count < (mode === "full" ? 9 : 3); count += 1) all.push(await quickStartRun());
  return all;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  return `${values.length} runs, ${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
}

export const rows: readonly BenchRow[] = [
  {
    name: "quick start, process start to end",
    aim: "settled within 3 s",
    run: async (mode) => {
      const times = (await runs(mode)).map((run) => run.elapsedMs);
      const figure = median(times);
      return { figure: `${figure.toFixed(0)} ms`, met: figure <= LIMIT_MS, note: spread(times) };
    },
  },
  {
    name: "quick start, peak memory",
    aim: "at most 300 MiB",
    run: async (mode) => {
      const peaks = (await runs(mode)).map((run) => run.peakMiB);
      const figure = median(peaks);
      return { figure: `${figure.toFixed(0)} MiB`, met: figure <= LIMIT_MIB, note: spread(peaks) };
    },
  },
];
