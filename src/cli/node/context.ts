/**
 * What every command works with that looks at or changes the GPUs of this machine.
 */
import { errorText, type Finding, finding, type Logger, type Outcome } from "../../base/index.ts";
import { DriverError, type Gpu, type GpuDriver } from "../../gpu/index.ts";
import type { Holders } from "../../partition/index.ts";
import type { Output } from "../output.ts";
import { findingLines } from "../report/text.ts";
import { LocalHolders } from "./holders.ts";
import { openDriver } from "./open-driver.ts";
import type { NodeArguments } from "./options.ts";

export interface CommandContext {
  readonly output: Output;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** The driver, its GPUs, and those the command is about. */
export interface NodeGpus {
  readonly driver: GpuDriver;
  readonly all: readonly Gpu[];
  readonly chosen: readonly Gpu[];
  readonly holders: LocalHolders;
  close(): Promise<void>;
}

/** Opens the driver and reads the GPUs; `devices` picks among them. */
export async function openGpus(
  node: NodeArguments,
  devices: readonly string[],
  { log }: Pick<CommandContext, "log">,
): Promise<Outcome<NodeGpus>> {
  const opened = await openDriver(node, log).catch((error: unknown) => {
    if (error instanceof DriverError) return failedWith(driverFailed(error));
    throw error;
  });
  if (!opened.ok) return opened;
  const { driver } = opened.value;
  const holders = new LocalHolders(driver, node.root);
  const close = async (): Promise<void> => {
    holders.close();
    await opened.value.close();
  };
  const all = await driver.list().catch((error: unknown) => driverFailed(error));
  const chosen = "code" in all ? failedWith(all) : pickGpus(all, devices);
  const findings = [...opened.value.findings(), ...chosen.findings];
  if (chosen.ok && !("code" in all)) {
    return { ok: true, value: { driver, all, chosen: chosen.value, holders, close }, findings };
  }
  await close();
  return { ok: false, findings };
}

/**
 * Why a command about every GPU cannot be carried out: some cannot be read, and a config may be about them. Whoever
 * names GPUs with `--devices` has decided.
 */
export function unreadable(findings: readonly Finding[], devices: readonly string[]): readonly Finding[] {
  const gone = findings.filter(({ code }) => code === "gpu-lost" || code === "gpu-unreadable");
  if (gone.length === 0 || devices.length > 0) return [];
  const names = gone.map(({ subject }) => subject.name).join(", ");
  const message = `${names} cannot be read, so nobody can tell whether the config holds there; nothing is changed`;
  const remedy = "name the GPUs that work with --devices";
  return [...findings, finding("gpus-unreadable", { kind: "node", name: "this node" }, message, { remedy })];
}

/** Picks GPUs by index, UUID or PCI bus id; every one when `devices` is empty. */
function pickGpus(gpus: readonly Gpu[], devices: readonly string[]): Outcome<readonly Gpu[]> {
  if (devices.length === 0) return { ok: true, value: gpus, findings: [] };
  const findings: Finding[] = [];
  const picked = new Set<Gpu>();
  for (const device of devices) {
    const gpu = gpus.find(
      ({ index, uuid, pci }) => String(index) === device || uuid === device || pci.busId === device.toLowerCase(),
    );
    if (gpu === undefined) findings.push(noSuchGpu(device, gpus));
    else picked.add(gpu);
  }
  if (findings.length > 0) return { ok: false, findings };
  return { ok: true, value: gpus.filter((gpu) => picked.has(gpu)), findings };
}

function noSuchGpu(device: string, gpus: readonly Gpu[]): Finding {
  const known = gpus.map(({ index, uuid }) => `${index} (${uuid})`).join(", ");
  return finding("no-such-gpu", { kind: "command", name: `--devices ${device}` }, `there is no GPU ${device}`, {
    remedy: gpus.length === 0 ? "the driver lists no GPU at all" : `there are ${known}`,
  });
}

/** Who holds what; without an answer nothing may be taken away, so that is an error. */
export async function readHolders(holders: LocalHolders): Promise<Outcome<Holders>> {
  try {
    return { ok: true, value: await holders.all(), findings: [] };
  } catch (error) {
    const message = `who holds what on this node cannot be read: ${errorText(error)}`;
    const remedy = "check that the kubelet runs, or end it and its pods; nothing is changed";
    const subject = { kind: "node", name: "this node" } as const;
    return { ok: false, findings: [finding("holders-unknown", subject, message, { remedy })] };
  }
}

/** Prints findings and gives the exit code of a refusal. */
export function refuse({ output }: Pick<CommandContext, "output">, findings: readonly Finding[]): number {
  output.progress(findingLines(findings));
  return 1;
}

/**
 * What ended a command early: the driver or the disk did not do what was asked. Anything else is a fault of the program
 * and is thrown on.
 */
export function commandFailed(error: unknown, stateDir: string): Finding {
  if (error instanceof DriverError) return driverFailed(error);
  if (!(error instanceof Error && "syscall" in error)) throw error;
  const message = `cannot write the journal in ${stateDir}: ${errorText(error)}`;
  return finding("state-dir-unusable", { kind: "file", name: stateDir }, message, {
    remedy: "make room or choose another --state-dir; see `tranche gpus` for what stands",
  });
}

/** A call to the driver that failed outside a change. */
function driverFailed(error: unknown): Finding {
  return finding("driver-unreachable", { kind: "node", name: "this node" }, errorText(error), {
    remedy: "see nvidia-smi and the kernel log (dmesg) for NVRM messages",
  });
}

function failedWith(one: Finding): { readonly ok: false; readonly findings: readonly Finding[] } {
  return { ok: false, findings: [one] };
}
