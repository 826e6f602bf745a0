/**
 * What a command wants of the GPUs: a config of a mig-parted file, or one made from what the GPUs can be cut into.
 */
import { readFile } from "node:fs/promises";
import { errorText, type Finding, finding, type Outcome } from "../../base/index.ts";
import {
  generatedMigConfigs,
  type MigConfig,
  type MigPartedFile,
  parseMigParted,
  selectMigConfig,
  type WantedMig,
  wantedMig,
} from "../../config/index.ts";
import type { Gpu } from "../../gpu/index.ts";

/** The options that name a target. */
export interface TargetArguments {
  /** `-` is standard input; `undefined` makes configs from the GPUs. */
  readonly file: string | undefined;
  readonly config: string | undefined;
  readonly modeOnly: boolean;
}

/** What each GPU shall become; GPUs that no entry reaches have none. */
export interface Target {
  readonly name: string;
  readonly wanted: readonly WantedMig[];
}

/** Reads the file, if one is named, and picks the config. */
export async function readConfig(args: TargetArguments, gpus: readonly Gpu[]): Promise<Outcome<MigConfig>> {
  const file = args.file === undefined ? made(gpus) : await readMigFile(args.file);
  if (!file.ok) return file;
  const config = selectMigConfig(file.value, args.config);
  return { ...config, findings: [...file.findings, ...config.findings] };
}

/** The wanted state of `gpus`; a config that cannot be had on a GPU it reaches is refused as a whole. */
export async function readTarget(
  args: TargetArguments,
  all: readonly Gpu[],
  chosen: readonly Gpu[],
): Promise<Outcome<Target>> {
  const config = await readConfig(args, all);
  if (!config.ok) return config;
  const decided = wantedMig(config.value, all);
  const indexes = new Set(chosen.map(({ index }) => index));
  const findings = [...config.findings, ...decided.findings];
  if (findings.some(({ severity }) => severity === "error")) return { ok: false, findings };
  const reached = decided.wanted.filter(({ gpuIndex }) => indexes.has(gpuIndex));
  const wanted = args.modeOnly ? reached.flatMap((one) => modeOnly(one, all)) : reached;
  return { ok: true, value: { name: config.value.name, wanted }, findings };
}

/** The mode alone: a GPU that has it stays as it is, one that gets it is empty. */
function modeOnly(wanted: WantedMig, gpus: readonly Gpu[]): readonly WantedMig[] {
  const gpu = gpus.find(({ uuid }) => uuid === wanted.gpuUuid);
  const { current, pending } = gpu?.mig ?? {};
  return current === wanted.migEnabled && pending === current ? [] : [{ ...wanted, counts: new Map() }];
}

/** Picks GPUs by index, UUID or PCI bus id; every one when `devices` is empty. */
export function pickGpus(gpus: readonly Gpu[], devices: readonly string[]): Outcome<readonly Gpu[]> {
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

function made(gpus: readonly Gpu[]): Outcome<MigPartedFile> {
  return { ok: true, value: generatedMigConfigs(gpus), findings: [] };
}

async function readMigFile(path: string): Promise<Outcome<MigPartedFile>> {
  const text = await textOf(path);
  return text.ok ? parseMigParted(text.value, path === "-" ? "standard input" : path) : text;
}

/** The text of a file named on the command line; `-` is standard input. */
export async function textOf(path: string): Promise<Outcome<string>> {
  try {
    return { ok: true, value: path === "-" ? await standardInput() : await readFile(path, "utf8"), findings: [] };
  } catch (error) {
    const message = `cannot read ${path}: ${errorText(error)}`;
    const remedy = "check the path";
    return { ok: false, findings: [finding("file-not-found", { kind: "file", name: path }, message, { remedy })] };
  }
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
