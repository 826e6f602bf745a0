/**
 * Runs the commands of a hooks file around a change, as NVIDIA mig-parted does: without a shell, and with no
 * environment but what the file and the command itself give.
 */
import { errorText, type Finding, finding, type Logger } from "../../base/index.ts";
import type { Hook, HookName, HooksFile } from "../../config/index.ts";

/** How much of a failed command's output is shown. */
const SHOWN_OUTPUT = 2_000;

export interface HookRun {
  readonly hooks: HooksFile;
  /** Set for every command, over its own variables (NVIDIA mig-parted, cmd/nvidia-mig-parted/apply/hooks.go). */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Logger;
}

/** Runs the commands of one hook in order; the first that fails ends it and is the finding. */
export async function runHook({ hooks, environment, log }: HookRun, name: HookName): Promise<Finding | undefined> {
  for (const hook of hooks.get(name) ?? []) {
    log.info({ hook: name, command: hook.command }, "hook begins");
    const failure = await run(hook, environment);
    if (failure !== undefined) {
      const message = `hook ${name}: ${hook.command} ${failure.why}`;
      return finding("hook-failed", { kind: "command", name: hook.command }, message, {
        place: hook.place,
        remedy: "mend the command or remove it from the hooks file",
        evidence: { output: failure.output },
      });
    }
  }
  return undefined;
}

interface HookFailure {
  readonly why: string;
  readonly output: string;
}

async function run(hook: Hook, environment: HookRun["environment"]): Promise<HookFailure | undefined> {
  // Takes milliseconds to load, which a plan does not need.
  const { spawn } = await import("node:child_process");
  return new Promise((resolve) => {
    let output = "";
    const note = (chunk: Buffer): void => {
      output = (output + chunk.toString("utf8")).slice(-SHOWN_OUTPUT);
    };
    const child = spawn(hook.command, hook.args, {
      cwd: hook.workdir,
      env: { ...hook.envs, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    child.on("error", (error) => resolve({ why: `cannot be run: ${errorText(error)}`, output }));
    child.on("close", (code, signal) => {
      const tail = output.trimEnd() === "" ? "" : `: ${output.trimEnd().split("\n").at(-1)}`;
      if (code === 0) resolve(undefined);
      else resolve({ why: `${signal === null ? `ended with ${code}` : `was ended by ${signal}`}${tail}`, output });
    });
  });
}
