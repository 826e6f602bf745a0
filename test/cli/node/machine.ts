/** A machine with GPUs for the node's own commands, whatever driver stands behind it. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Run, runTranche } from "../../support/run-up.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** What `tranche gpus -o json` says of a GPU, as far as tests look. */
export interface SeenGpu {
  readonly index: number;
  readonly uuid: string;
  readonly mig: { readonly current: boolean; readonly pending: boolean } | null;
  readonly instances: readonly {
    readonly id: number;
    readonly profile: string;
    readonly placement: string;
    readonly computeInstances: readonly {
      readonly profile: string;
      readonly placement: string;
      readonly uuid: string;
    }[];
  }[];
}

export interface Machine {
  readonly directory: string;
  /** Where the host's file system is. */
  readonly root: string;
  /** Options that make a command work on this machine. */
  readonly options: readonly string[];
  /** Runs `tranche WORDS OPTIONS`. */
  run(...words: readonly string[]): Promise<Run>;
  gpus(): Promise<readonly SeenGpu[]>;
  /** `0 on 3g.40gb@4 1g.10gb@0` for each GPU. */
  state(): Promise<readonly string[]>;
}

/** A machine whose simulated GPUs are kept in a directory of the test's own. */
export async function simulatedMachine(t: TestContext, gpus: string): Promise<Machine> {
  const directory = await temporaryDirectory(t);
  const machine = machineOf(directory, join(directory, "host"), ["--driver", "simulated"]);
  const { code, progress } = await machine.run("gpus", "--simulated-gpus", gpus);
  assert.equal(code, 0, progress);
  return machine;
}

/** A machine whose files are in `directory` and whose GPUs the options name. */
export function machineOf(directory: string, root: string, driver: readonly string[]): Machine {
  const options = [...driver, "--root", root, "--state-dir", join(directory, "state")];
  const run = (...words: readonly string[]): Promise<Run> => runTranche([...words, ...options]);
  const gpus = async (): Promise<readonly SeenGpu[]> => {
    const { code, answer, progress } = await run("gpus", "-o", "json");
    assert.equal(code, 0, progress);
    const seen: { readonly gpus: readonly SeenGpu[] } = JSON.parse(answer);
    return seen.gpus;
  };
  return { directory, root, options, run, gpus, state: async () => (await gpus()).map(stateText) };
}

export function stateText({ index, mig, instances }: SeenGpu): string {
  const mode = mig === null ? "-" : `${mig.current ? "on" : "off"}${mig.current === mig.pending ? "" : "(pending)"}`;
  const names = instances.map(({ profile, placement, computeInstances }) => {
    const name = `${profile}@${placement.split(":", 1)[0]}`;
    const inner = computeInstances.map((one) => `${one.profile}/${one.placement.split(":", 1)[0]}`).join();
    return computeInstances.length === 1 && computeInstances[0]?.profile === profile ? name : `${name}(${inner})`;
  });
  return [index, mode, ...names].join(" ");
}

/** Writes a mig-parted file of configs, `name: "0,1 7x1g.10gb; 2 off"`, and returns its path. */
export async function migFile(directory: string, configs: Readonly<Record<string, string>>): Promise<string> {
  const path = join(directory, "mig.yaml");
  const lines = Object.entries(configs).flatMap(([name, text]) => [
    `  ${name}:`,
    ...text.split("; ").flatMap((entry) => {
      const [devices = "", ...words] = entry.split(" ");
      const head = `  - devices: ${devices === "all" ? "all" : `[${devices}]`}`;
      if (words[0] === "off") return [head, "    mig-enabled: false"];
      const counts = words.map((word) => {
        const [, count = "1", profile = ""] = /^(?:(\d+)x)?(.+)$/.exec(word) ?? [];
        return `"${profile}": ${count}`;
      });
      return [head, "    mig-enabled: true", `    mig-devices: {${counts.join(", ")}}`];
    }),
  ]);
  await writeFile(path, `version: v1\nmig-configs:\n${lines.join("\n")}\n`);
  return path;
}
