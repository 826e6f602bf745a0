/**
 * The command line: its commands, and how what they return becomes an exit code.
 */
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { silentLogger } from "../base/index.ts";
import { jsonLogger } from "./log.ts";
import type { Output } from "./output.ts";
import { upCommand } from "./up/command.ts";
import { up } from "./up/up.ts";

export interface ProgramOptions {
  readonly output: Output;
  /** Ends whatever runs. */
  readonly signal: AbortSignal;
}

const DESCRIPTION =
  "Shares NVIDIA GPUs between Kubernetes pods: MIG slices and time slices, planned, changed safely, explained.";

/** Runs the command line; the exit code is 0 done, 1 refused or failed, 2 wrong usage. */
export async function runProgram(args: readonly string[], { output, signal }: ProgramOptions): Promise<number> {
  let exitCode = 0;
  const program = new Command("tranche").description(DESCRIPTION).version(packageJson.version);
  const run = upCommand(async ({ logLevel, ...options }) => {
    const log = logLevel === undefined ? silentLogger : jsonLogger(logLevel);
    exitCode = await up({ ...options, output, signal, log });
  });
  program.addCommand(run);
  for (const command of [program, run]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => output.answer(text.trimEnd()),
      writeErr: (text) => output.progress(text.trimEnd()),
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
}
