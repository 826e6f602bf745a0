/**
 * Options of every command that works on the GPUs of this machine.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type LogLevel, logLevels } from "../log.ts";
import type { CommandContext } from "./context.ts";

export const driverNames = ["nvml", "simulated"] as const;
export type DriverName = (typeof driverNames)[number];

/** Which GPUs a command works on, and where what it must remember is kept. */
export interface NodeArguments {
  readonly driver: DriverName;
  /** Path of libnvidia-ml.so.1; `undefined` lets the dynamic linker find it. */
  readonly nvmlLibrary: string | undefined;
  /** nvidia-smi, which resets GPUs; `undefined` takes the one on the PATH. */
  readonly nvidiaSmi: string | undefined;
  /** Where the host's file system is mounted; `/` on the host itself. */
  readonly root: string;
  readonly stateDir: string;
  /** `MODEL[:COUNT][,…]`; `undefined` takes the GPUs that the state directory remembers. */
  readonly simulatedGpus: string | undefined;
}

/** The options as commander gives them. */
export interface RawNodeOptions {
  readonly driver: DriverName;
  readonly nvmlLibrary?: string;
  readonly nvidiaSmi?: string;
  readonly root: string;
  readonly stateDir: string;
  readonly simulatedGpus?: string;
  readonly logLevel?: LogLevel;
}

/** Runs what a command line asks for and keeps its exit code. */
export type RunNodeCommand = (
  raw: Pick<RawNodeOptions, "logLevel">,
  action: (context: CommandContext) => Promise<number>,
) => Promise<void>;

/** Adds the options to a command, under a heading of their own. */
export function addNodeOptions(command: Command): Command {
  return command
    .optionsGroup("GPUs of this machine:")
    .addOption(
      new Option("--driver <name>", "real GPUs through NVML, or simulated ones that are kept in the state directory")
        .choices(driverNames)
        .default("nvml"),
    )
    .option("--nvml-library <path>", "libnvidia-ml.so.1 to load (default: the one the dynamic linker finds)")
    .option("--nvidia-smi <path>", "nvidia-smi, which resets GPUs (default: the one on the PATH)")
    .option("--root <dir>", "where the host's file system is, for a container that has it mounted", "/")
    .option("--state-dir <dir>", "where the journal of changes is kept", defaultStateDir())
    .option("--simulated-gpus <model[:count],…>", "GPUs to simulate; without it those simulated before")
    .addOption(new Option("--log-level <level>", "write the program's own log to standard error").choices(logLevels));
}

/** Picks among the GPUs. */
export function devicesOption(): Option {
  return new Option("--devices <gpu,…>", "only these GPUs: index, UUID or PCI bus id")
    .argParser((text: string) => text.split(",").filter((one) => one !== ""))
    .default([], "all");
}

/** The options in the form that the commands take. */
export function nodeArguments(raw: RawNodeOptions): NodeArguments {
  const { driver, nvmlLibrary, nvidiaSmi, root, stateDir, simulatedGpus } = raw;
  return { driver, nvmlLibrary, nvidiaSmi, root, stateDir, simulatedGpus };
}

/** The system's place for root, the user's own otherwise (XDG Base Directory Specification). */
function defaultStateDir(): string {
  if (process.getuid?.() === 0) return "/var/lib/tranche";
  return join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "tranche");
}
