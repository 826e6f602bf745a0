/**
 * What the bundle costs: built once into a directory of its own, as it would be released, and run from there.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { withMockNode } from "./nvml.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const LIMIT_MS = 50;

/** Runs `body` with the bundle's entry, in a directory that is removed afterwards. */
export async function withBundle<T>(body: (entry: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "bundle-"));
  try {
    await promisify(execFile)(process.execPath, [join(root, "scripts/build.ts"), directory]);
    await mkdir(join(directory, "node_modules"));
    for (const name of ["koffi", "@koromix"]) {
      await symlink(join(root, "node_modules", name), join(directory, "node_modules", name));
    }
    return await body(join(directory, "tranche.js"));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export const rows: readonly BenchRow[] = [
  { name: "bundle: plan for 8 H100 over NVML, process time beyond Node's start", aim: "under 50 ms", run: planTime },
];

async function planTime(mode: "small" | "full"): Promise<BenchResult> {
  return withBundle((entry) =>
    withMockNode(async ({ libraryPath, root: host, nvidiaSmi, directory }) => {
      const [empty, file] = [join(directory, "empty.js"), join(directory, "mig.yaml")];
      await writeFile(empty, "");
      await writeFile(file, config);
      const places = ["--nvml-library", libraryPath, "--root", host, "--nvidia-smi", nvidiaSmi];
      const plan = [entry, "mig", "plan", "-f", file, "-c", "all", "--state-dir", join(directory, "own"), ...places];
      // Compiled code is kept there, as a user has it from the second run on.
      const env = { ...process.env, XDG_CACHE_HOME: directory };
      await processMs(plan, env);
      const plans: number[] = [];
      const starts: number[] = [];
      for (let count = 0; count < (mode === "small" ? 9 : 61); count += 1) {
        starts.push(await processMs([empty], env));
        plans.push(await processMs(plan, env));
      }
      const beyondMs = median(plans) - median(starts);
      const note = `${median(plans).toFixed(0)} ms, an empty script ${median(starts).toFixed(0)} ms, medians of ${plans.length}, not the first run`;
      return { figure: `${beyondMs.toFixed(0)} ms`, met: beyondMs < LIMIT_MS, note };
    }),
  );
}

const config = `version: v1
mig-configs:
  all:
    - {devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}
`;

/** Time on processors, user and system together, of all threads of a Node process; bash has it from the kernel. */
async function processMs(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const script = 'TIMEFORMAT="%U %S"; time "$@" > /dev/null';
  const { stderr } = await promisify(execFile)("bash", ["-c", script, "bash", process.execPath, ...args], { env });
  const [user = Number.NaN, system = Number.NaN] = stderr.trim().split(" ").map(Number);
  return (user + system) * 1_000;
}

/** The middle one of some samples. */
export function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}
