/**
 * The options of `tranche up` and their help.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { type LogLevel, logLevels } from "../log.ts";
import { type ReportFormat, reportFormats } from "../report/format.ts";

export interface UpArguments {
  readonly files: readonly string[];
  readonly nodes: readonly string[];
  readonly once: boolean;
  readonly format: ReportFormat;
  readonly port: number | undefined;
  readonly stateDir: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly timeoutMs: number;
  readonly live: boolean;
  readonly logLevel: LogLevel | undefined;
}

interface RawOptions {
  readonly file: readonly string[];
  readonly node: readonly string[];
  readonly once?: true;
  readonly output: ReportFormat;
  readonly port?: number;
  readonly stateDir?: string;
  readonly kubeconfig?: string;
  readonly timeout: number;
  readonly plain?: true;
  readonly logLevel?: LogLevel;
}

const DESCRIPTION = [
  "Runs a whole cluster in one process, with simulated GPUs and real protocols, applies manifests to it, lets it settle",
  "and reports who holds what and why. Without --once it stays and follows changes made with kubectl.",
].join(" ");

const HELP = `
Nodes come from --node, from Node manifests with the annotation tranche.dev/simulated-gpus: MODEL[:COUNT][,…],
or, without any, are an A100-80GB, an H100-80GB and a T4.

A simulated workload is described by annotations of its pod:
  tranche.dev/gpu-memory: 12Gi   GPU memory its first container with a GPU allocates
  tranche.dev/run-for: 30s       how long it runs; without it until the pod is deleted
  tranche.dev/exit-code: "1"     how it ends then

With --state-dir everything outlives the process: objects, node names, GPU layouts, the port and the kubeconfig. The next
up on that directory goes on as after a reboot of every machine; -f and --node then add and change, and without them
all comes from the directory. kubectl delete node takes a node away for good.

Examples:
  tranche up -f examples/quick-start.yaml
  tranche up --state-dir ~/.local/state/my-cluster
  tranche up -f my-manifests/ --node node-a=A100-80GB:4 --node node-b=T4,pool=small --once -o json

Exit codes: 0 done, 1 a finding is an error, 2 wrong usage.`;

/** The command; `action` gets the options once they are checked. */
export function upCommand(action: (args: UpArguments) => Promise<void>): Command {
  return new Command("up")
    .summary("run a cluster with simulated GPUs and report who holds what")
    .description(DESCRIPTION)
    .addOption(
      new Option("-f, --file <file|dir>", "manifests to apply; - is standard input; can be repeated")
        .argParser(collect)
        .default([], "none"),
    )
    .addOption(
      new Option("--node <name=model[:count][,label=value…]>", "a node to simulate; can be repeated")
        .argParser(collect)
        .default([], "the default fleet"),
    )
    .option("--once", "end when the cluster has settled, after the report")
    .addOption(new Option("-o, --output <format>", "form of the report").choices(reportFormats).default("table"))
    .addOption(new Option("--port <n>", "port of the API server on 127.0.0.1 (default: a free one)").argParser(portOf))
    .addOption(
      new Option(
        "--state-dir <dir>",
        "keep the cluster there and go on where it was (default: a temporary directory)",
      ).argParser(pathOf),
    )
    .option("--kubeconfig <file>", "write the kubeconfig there as well; removed at the end")
    .addOption(
      new Option("--timeout <seconds>", "how long the cluster may take to settle").argParser(secondsOf).default(60),
    )
    .option("--plain", "lines instead of the view that a terminal gets; so too with --log-level")
    .addOption(new Option("--log-level <level>", "write the program's own log to standard error").choices(logLevels))
    .addHelpText("after", HELP)
    .action((raw: RawOptions) =>
      action({
        files: raw.file,
        nodes: raw.node,
        once: raw.once === true,
        format: raw.output,
        port: raw.port,
        stateDir: raw.stateDir,
        kubeconfig: raw.kubeconfig,
        timeoutMs: raw.timeout * 1000,
        // Log lines would be written across the view.
        live: raw.plain !== true && raw.logLevel === undefined,
        logLevel: raw.logLevel,
      }),
    );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** An empty path would mean the working directory, which nobody means who leaves a variable unset. */
function pathOf(text: string): string {
  if (text === "") throw new InvalidArgumentError("a path is not empty");
  return text;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
    throw new InvalidArgumentError("a port is a number from 1 to 65535");
  return port;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new InvalidArgumentError("a timeout is a number of seconds above 0");
  return seconds;
}
