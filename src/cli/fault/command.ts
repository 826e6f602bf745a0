/**
 * The faults of `tranche fault`, their options and their help.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { type Fault, LONGEST_FAULT_MS } from "../up/control-protocol.ts";
import { durationText, parseDuration } from "../up/duration.ts";

export interface FaultArguments {
  readonly fault: Fault;
  readonly stateDir: string | undefined;
}

interface RawOptions {
  readonly stateDir?: string;
  readonly xid: number;
  readonly for?: number;
  readonly end?: true;
}

interface GpuPlace {
  readonly node: string;
  readonly index: number;
}

const DESCRIPTION = [
  "Makes something go wrong in a cluster that tranche up runs in another terminal, so that you can see what Kubernetes,",
  "the agents and your pods make of it. Prints what was done and what to look at.",
].join(" ");

const HELP = `
The cluster is the one of --state-dir, else the one whose kubeconfig KUBECONFIG names, else the only one you run.
Durations are written as 10s, 1m30s or 500ms.

Examples:
  tranche fault gpu node-a/0 --xid 79        GPU 0 of node-a falls off the bus
  tranche fault driver node-a --for 30s      its driver is not loaded for 30 s
  tranche fault driver node-a                until tranche fault driver node-a --end
  tranche fault kubelet-restart node-a       its kubelet goes and comes back
  tranche fault node-reboot node-a           a power cut
  tranche fault api-outage 10s               the API server refuses connections for 10 s

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.`;

/** The command with one subcommand for each fault; `action` gets what is asked for once it can be read. */
export function faultCommand(action: (args: FaultArguments) => Promise<void>): Command {
  const command = new Command("fault").summary("make something go wrong in a running cluster");
  command.description(DESCRIPTION).addHelpText("after", HELP);
  const add = (one: Command): void => {
    one.option("--state-dir <dir>", "state directory of the cluster (default: KUBECONFIG's, or the only one you run)");
    command.addCommand(one);
  };
  const run = (fault: Fault, { stateDir }: RawOptions): Promise<void> => action({ fault, stateDir });

  const gpu = subcommand("gpu", "a GPU raises an XID error; with XID 79 it falls off the bus");
  gpu.argument("<node/index>", "the GPU, for example node-a/0", gpuPlaceOf);
  gpu.addOption(new Option("--xid <n>", "number of the error").argParser(xidOf).makeOptionMandatory());
  gpu.action((place: GpuPlace, raw: RawOptions) => run({ kind: "gpu", ...place, xid: raw.xid }, raw));

  const driver = subcommand("driver", "the GPU driver of a node is not loaded");
  driver.argument("<node>", "name of the node");
  driver.addOption(new Option("--for <duration>", "end it after this time").argParser(durationOf).conflicts("end"));
  driver.addOption(new Option("--end", "load the driver again"));
  driver.action((node: string, raw: RawOptions) => run(driverFault(node, raw), raw));

  const kubelet = subcommand("kubelet-restart", "the kubelet of a node goes away and comes back");
  kubelet.argument("<node>", "name of the node");
  kubelet.action((node: string, raw: RawOptions) => run({ kind: "kubelet-restart", node }, raw));

  const reboot = subcommand("node-reboot", "a node reboots as after a power cut");
  reboot.argument("<node>", "name of the node");
  reboot.action((node: string, raw: RawOptions) => run({ kind: "node-reboot", node }, raw));

  const outage = subcommand("api-outage", "the API server refuses connections");
  outage.argument("<duration>", "how long, for example 10s", durationOf);
  outage.action((forMs: number, raw: RawOptions) => run({ kind: "api-outage", forMs }, raw));

  for (const one of [gpu, driver, kubelet, reboot, outage]) add(one);
  return command;
}

function subcommand(name: string, summary: string): Command {
  return new Command(name).summary(summary).description(`${summary}.`);
}

function driverFault(node: string, raw: RawOptions): Fault {
  if (raw.end === true) return { kind: "driver-end", node };
  return raw.for === undefined ? { kind: "driver", node } : { kind: "driver", node, forMs: raw.for };
}

function gpuPlaceOf(text: string): GpuPlace {
  const [, node, index] = /^(.+)\/(\d{1,4})$/.exec(text) ?? [];
  if (node === undefined) throw new InvalidArgumentError("a GPU is written as NODE/INDEX, for example node-a/0");
  return { node, index: Number(index) };
}

function xidOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("an XID is a number, for example 79");
  return Number(text);
}

function durationOf(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === undefined || durationMs <= 0 || durationMs > LONGEST_FAULT_MS) {
    const longest = durationText(LONGEST_FAULT_MS);
    throw new InvalidArgumentError(`a duration is written as 10s, 1m30s or 500ms, above 0 and at most ${longest}`);
  }
  return durationMs;
}
