/**
 * `tranche mig plan`, `assert` and `export`: they look and change nothing.
 */
import { type Finding, finding } from "../../base/index.ts";
import { exportedMigFile, type WantedMig, yamlText } from "../../config/index.ts";
import type { Gpu } from "../../gpu/index.ts";
import { type CommandContext, openGpus, readHolders, refuse, unreadable } from "../node/context.ts";
import type { NodeArguments } from "../node/options.ts";
import { findingLines } from "../report/text.ts";
import { journalFindings, readJournal } from "./journal.ts";
import { hasChanges, type PlanFormat, planAll, planFindings, plansText } from "./plans.ts";
import { readConfig, readTarget, type TargetArguments } from "./target.ts";

export interface PlanArguments extends TargetArguments {
  readonly node: NodeArguments;
  readonly devices: readonly string[];
  readonly skipReset: boolean;
  readonly forceDestroyInUse: boolean;
  readonly format: PlanFormat;
  /** 1 when there is something to do, 2 for errors. */
  readonly exitCode: boolean;
}

/** Runs `plan`; 0, or with `exitCode` 1 when there is something to do. Errors are 1, with `exitCode` 2. */
export async function migPlan(args: PlanArguments, context: CommandContext): Promise<number> {
  const failed = (findings: readonly Finding[]): number => refuse(context, findings) + (args.exitCode ? 1 : 0);
  const node = await openGpus(args.node, args.devices, context);
  if (!node.ok) return failed(node.findings);
  const { all, chosen, close } = node.value;
  try {
    const gone = unreadable(node.findings, args.devices);
    if (gone.length > 0) return failed(gone);
    const target = await readTarget(args, all, chosen);
    if (!target.ok) return failed(target.findings);
    const journal = await readJournal(args.node.stateDir);
    if (!journal.ok) return failed(journal.findings);
    const held = args.forceDestroyInUse ? undefined : await readHolders(node.value.holders);
    if (held?.ok === false) return failed(held.findings);
    const plans = planAll({
      gpus: all,
      wanted: target.value.wanted,
      unfinished: journal.value.unfinished?.before ?? [],
      holders: held?.value ?? new Map(),
      resettable: !args.skipReset,
      journal: { file: args.node.stateDir, line: 1, column: 1 },
    });
    const broken = await journalFindings(args.node.stateDir);
    context.output.answer(plansText(plans, args.format));
    const findings = [...node.findings, ...target.findings, ...broken, ...planFindings(plans)];
    if (findings.length > 0) context.output.progress(findingLines(findings));
    return args.exitCode && plans.some(hasChanges) ? 1 : 0;
  } finally {
    await close();
  }
}

export interface AssertArguments extends TargetArguments {
  readonly node: NodeArguments;
  readonly devices: readonly string[];
  /** Only whether the file can be read and has the config; no GPU is asked. */
  readonly validConfig: boolean;
}

/** Runs `assert`, in the words of nvidia-mig-parted; 0 when it holds, else 1. */
export async function migAssert(args: AssertArguments, context: CommandContext): Promise<number> {
  if (args.validConfig && args.file !== undefined) {
    const config = await readConfig(args, []);
    if (!config.ok) return refuse(context, config.findings);
    context.output.answer("Selected MIG configuration is valid");
    return 0;
  }
  const node = await openGpus(args.node, args.devices, context);
  if (!node.ok) return refuse(context, node.findings);
  try {
    const target = await readTarget({ ...args, modeOnly: false }, node.value.all, node.value.chosen);
    if (!target.ok) return refuse(context, target.findings);
    const gone = args.validConfig ? [] : unreadable(node.findings, args.devices);
    if (gone.length > 0) return refuse(context, gone);
    if (args.validConfig) {
      context.output.answer("Selected MIG configuration is valid");
      return 0;
    }
    const broken = await journalFindings(args.node.stateDir);
    if (broken.length > 0) context.output.progress(findingLines(broken));
    const differences = target.value.wanted.flatMap((wanted) => difference(wanted, node.value.all, args.modeOnly));
    if (differences.length > 0) return refuse(context, [notApplied(target.value.name, differences)]);
    const what = args.modeOnly ? "mode settings from configuration" : "configuration";
    context.output.answer(`Selected MIG ${what} currently applied`);
    return 0;
  } finally {
    await node.value.close();
  }
}

/** In what a GPU differs from what is wanted: its mode, or which devices of which name it has. */
function difference(wanted: WantedMig, gpus: readonly Gpu[], modeOnly: boolean): readonly string[] {
  const gpu = gpus.find(({ uuid }) => uuid === wanted.gpuUuid);
  if (gpu?.mig === undefined) return [];
  const { current, pending } = gpu.mig;
  const onOff = (enabled: boolean): string => (enabled ? "on" : "off");
  if (current !== wanted.migEnabled) return [`GPU ${gpu.index} has MIG ${onOff(current)}, not ${onOff(!current)}`];
  if (pending !== current) return [`GPU ${gpu.index} has MIG ${onOff(pending)} pending`];
  if (modeOnly || !wanted.migEnabled) return [];
  const names = gpu.instances.flatMap(({ computeInstances }) => computeInstances.map(({ profile }) => profile));
  const counts = new Map([...Map.groupBy(names, (name) => name)].map(([name, some]) => [name, some.length]));
  const same = counts.size === wanted.counts.size && [...counts].every(([name, n]) => wanted.counts.get(name) === n);
  return same ? [] : [`GPU ${gpu.index} has ${countsText(counts)}, not ${countsText(wanted.counts)}`];
}

function countsText(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return "no MIG device";
  return [...counts].map(([name, count]) => `${count} x ${name}`).join(", ");
}

function notApplied(config: string, differences: readonly string[]): Finding {
  const message = `assertion failure: selected configuration not currently applied: ${differences.join("; ")}`;
  return finding("mig-config-not-applied", { kind: "config", name: config }, message, {
    remedy: "see `tranche mig plan` for what it takes",
  });
}

export interface ExportArguments {
  readonly node: NodeArguments;
  readonly devices: readonly string[];
  /** Name of the config in the file. */
  readonly label: string;
  readonly format: "yaml" | "json";
}

/** Runs `export`: what stands, as a mig-parted file. */
export async function migExport(args: ExportArguments, context: CommandContext): Promise<number> {
  const node = await openGpus(args.node, args.devices, context);
  if (!node.ok) return refuse(context, node.findings);
  await node.value.close();
  const findings = [...node.findings, ...(await journalFindings(args.node.stateDir))];
  if (findings.length > 0) context.output.progress(findingLines(findings));
  const file = exportedMigFile(node.value.chosen, args.label);
  context.output.answer(args.format === "json" ? JSON.stringify(file, undefined, 2) : yamlText(file).trimEnd());
  return 0;
}
