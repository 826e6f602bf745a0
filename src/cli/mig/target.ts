/**
 * What a command wants of the GPUs: a config of a mig-parted file, or one made from what the GPUs can be cut into.
 */
import type { Outcome } from "../../base/index.ts";
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
import { inputText } from "../input-text.ts";

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

function made(gpus: readonly Gpu[]): Outcome<MigPartedFile> {
  return { ok: true, value: generatedMigConfigs(gpus), findings: [] };
}

async function readMigFile(path: string): Promise<Outcome<MigPartedFile>> {
  const text = await inputText(path);
  return text.ok ? parseMigParted(text.value, path === "-" ? "standard input" : path) : text;
}
