/**
 * The command line: its commands, and how what they return becomes an exit code.
 */
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { agentCommand } from "./agent/command.ts";
import { faultCommand } from "./fault/command.ts";
import { gpusCommand } from "./gpus/command.ts";
import { loggerFor } from "./log.ts";
import { migCommand } from "./mig/command.ts";
import type { RunNodeCommand } from "./node/options.ts";
import type { Output } from "./output.ts";
import { upCommand } from "./up/command.ts";

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
  program.enablePositionalOptions();
  const run = upCommand(async ({ logLevel, ...options }) => {
    const log = await loggerFor(logLevel);
    // Loaded only when it is asked for: the node's own commands shall start at once.
    const { up } = await import("./up/up.ts");
    exitCode = await up({ ...options, output, signal, log });
  });
  const runNode: RunNodeCommand = async ({ logLevel }, action) => {
    const log = await loggerFor(logLevel);
    exitCode = await action({ output, signal, log });
  };
  const agent = agentCommand(runNode, async (args, context) => {
    const { runAgent } = await import("./agent/agent.ts");
    return runAgent({ ...args, version: packageJson.version }, context);
  });
  const fault = faultCommand(async (args) => {
    const { causeFault } = await import("./fault/fault.ts");
    exitCode = await causeFault({ ...args, env: process.env, output, signal });
  });
  for (const command of [run, agent, fault, gpusCommand(runNode), migCommand(runNode)]) program.addCommand(command);
  for (const command of everyCommand(program)) {
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

/** The command and all below it. */
function everyCommand(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}
