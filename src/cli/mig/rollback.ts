/**
 * `tranche mig rollback`: back to the layout before the last change, or before one that was broken off.
 */
import { type Finding, finding } from "../../base/index.ts";
import { type RecordedLayout, recordedText } from "../../partition/index.ts";
import { type CommandContext, commandFailed, type NodeGpus, openGpus, readHolders, refuse } from "../node/context.ts";
import type { NodeArguments } from "../node/options.ts";
import { carryOut } from "./change.ts";
import { type MigJournal, openJournal } from "./journal.ts";
import { isRefused, type PlanFormat, planAll, planFindings, plansText } from "./plans.ts";

export interface RollbackArguments {
  readonly node: NodeArguments;
  readonly dryRun: boolean;
  readonly skipReset: boolean;
  readonly format: PlanFormat;
}

/** Runs `rollback`; 0 when the layout of before stands, 1 refused or failed. */
export async function migRollback(args: RollbackArguments, context: CommandContext): Promise<number> {
  const opened = await openJournal(args.node.stateDir);
  if (!opened.ok) return refuse(context, opened.findings);
  const { journal, release } = opened.value;
  try {
    const record = journal.content.unfinished ?? journal.content.last;
    if (record === undefined) return refuse(context, [nothingBefore(args.node.stateDir)]);
    const node = await openGpus(args.node, [], context);
    if (!node.ok) return refuse(context, node.findings);
    try {
      const way = { node: node.value, journal, before: record.before };
      const findings = await goBack(args, context, way).catch((error: unknown) => [
        commandFailed(error, args.node.stateDir),
      ]);
      if (findings.length > 0) return refuse(context, findings);
      const texts = record.before.map((one) => `GPU ${one.gpuIndex}: ${recordedText(one)}`);
      if (!args.dryRun && args.format === "text") {
        context.output.answer(`MIG layout is as before (${record.what}): ${texts.join("; ")}`);
      }
      return 0;
    } finally {
      await node.value.close();
    }
  } finally {
    await release();
  }
}

interface WayBack {
  readonly node: NodeGpus;
  readonly journal: MigJournal;
  readonly before: readonly RecordedLayout[];
}

async function goBack(
  { dryRun, skipReset, format }: RollbackArguments,
  { output, log, signal }: CommandContext,
  { node, journal, before }: WayBack,
): Promise<readonly Finding[]> {
  const gone = before.filter(({ gpuUuid }) => node.all.every(({ uuid }) => uuid !== gpuUuid));
  if (gone.length > 0) return gone.map(gpuGone);
  const held = await readHolders(node.holders);
  if (!held.ok) return held.findings;
  const plans = planAll({
    gpus: node.all,
    wanted: [],
    unfinished: before,
    holders: held.value,
    resettable: !skipReset,
    journal: journal.place,
  });
  const write = dryRun || format === "json" ? output.answer : output.progress;
  write(plansText(plans, format));
  if (plans.some(isRefused)) return planFindings(plans);
  if (dryRun) return [];
  return carryOut({
    driver: node.driver,
    plans,
    what: "rollback",
    journal,
    holders: () => node.holders.all(),
    agent: () => node.holders.agent(),
    resettable: !skipReset,
    log,
    signal,
    onStep: (gpuIndex, step) => output.progress(`GPU ${gpuIndex}: ${step}`),
  });
}

function nothingBefore(stateDir: string): Finding {
  const message = `the journal in ${stateDir} knows no change to go back from`;
  return finding("mig-nothing-to-roll-back", { kind: "file", name: stateDir }, message, {
    remedy: "apply a config instead, or name the --state-dir that `tranche mig apply` used",
  });
}

function gpuGone({ gpuIndex, gpuUuid }: RecordedLayout): Finding {
  const message = `the driver no longer lists GPU ${gpuIndex} (${gpuUuid})`;
  return finding("gpu-gone", { kind: "gpu", name: `GPU ${gpuIndex}` }, message, {
    remedy: "check the GPU with nvidia-smi; a reboot of the node may bring it back",
  });
}
