/**
 * The command line: its commands, and how what they return becomes an exit code.
 */
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { loggerFor } from "./log.ts";
import type { RunNodeCommand } from "./node/options.ts";
import type { Output } from "./output.ts";

export interface ProgramOptions {
  readonly output: Output;
  /** Ends whatever runs. */
  readonly signal: AbortSignal;
}

const DESCRIPTION =
  "Shares NVIDIA GPUs between Kubernetes pods: MIG slices and time slices, planned, changed safely, explained.";

/** Runs the command line; the exit code is 0 done, 1 refused or failed, 2 wrong usage. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<number> {
  const { output } = options;
  let exitCode = 0;
  const program = new Command("tranche").description(DESCRIPTION).version(packageJson.version);
  program.enablePositionalOptions();
  const commands = commandsOf(options, (code) => {
    exitCode = code;
  });
  // Who names a command first does not pay for the others; help and advice need all of them.
  const load = commands.get(args[0] ?? "");
  for (const one of load === undefined ? commands.values() : [load]) program.addCommand(await one());
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

/** How to load each command, in the order of the help; `ended` gets the exit code of the one that runs. */
function commandsOf(
  { output, signal }: ProgramOptions,
  ended: (exitCode: number) => void,
): ReadonlyMap<string, () => Promise<Command>> {
  const runNode: RunNodeCommand = async ({ logLevel }, action) => {
    const log = await loggerFor(logLevel);
    ended(await action({ output, signal, log }));
  };
  const up = async (): Promise<Command> => {
    const { upCommand } = await import("./up/command.ts");
    return upCommand(async ({ logLevel, ...options }) => {
      const log = await loggerFor(logLevel);
      const { up } = await import("./up/up.ts");
      ended(await up({ ...options, output, signal, log }));
    });
  };
  const agent = async (): Promise<Command> => {
    const { agentCommand } = await import("./agent/command.ts");
    return agentCommand(runNode, async (args, context) => {
      const { keepYoungHeapSmall } = await import("./up/lean-heap.ts");
      keepYoungHeapSmall();
      const { runAgent } = await import("./agent/agent.ts");
      return runAgent({ ...args, version: packageJson.version }, context);
    });
  };
  const fault = async (): Promise<Command> => {
    const { faultCommand } = await import("./fault/command.ts");
    return faultCommand(async (args) => {
      const { causeFault } = await import("./fault/fault.ts");
      ended(await causeFault({ ...args, env: process.env, output, signal }));
    });
  };
  const gpus = async (): Promise<Command> => (await import("./gpus/command.ts")).gpusCommand(runNode);
  const mig = async (): Promise<Command> => (await import("./mig/command.ts")).migCommand(runNode);
  return new Map(Object.entries({ up, agent, fault, gpus, mig }));
}

/** The command and all below it. */
function everyCommand(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}
