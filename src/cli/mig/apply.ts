/**
 * `tranche mig apply`: plans, executes exactly that, verifies with the driver, and goes back when something fails.
 */
import { type Finding, finding, type Outcome } from "../../base/index.ts";
import { type HooksFile, parseHooksFile } from "../../config/index.ts";
import type { Holders, PartitionPlan } from "../../partition/index.ts";
import { inputText } from "../input-text.ts";
import {
  type CommandContext,
  commandFailed,
  type NodeGpus,
  openGpus,
  readHolders,
  refuse,
  unreadable,
} from "../node/context.ts";
import type { NodeArguments } from "../node/options.ts";
import { findingLines } from "../report/text.ts";
import { carryOut } from "./change.ts";
import { type HookRun, runHook } from "./hooks.ts";
import { brokenOff, type MigJournal, openJournal } from "./journal.ts";
import { isRefused, type PlanFormat, planAll, planFindings, plansText } from "./plans.ts";
import { readTarget, type Target, type TargetArguments } from "./target.ts";

export interface ApplyArguments extends TargetArguments {
  readonly node: NodeArguments;
  readonly devices: readonly string[];
  readonly hooksFile: string | undefined;
  /** Sets modes without resetting GPUs; they take effect at the next reset or reboot. */
  readonly skipReset: boolean;
  /** Slices that pods hold count as free; what a process uses the driver still refuses to destroy. */
  readonly forceDestroyInUse: boolean;
  readonly format: PlanFormat;
}

/** Runs `apply`; 0 applied or nothing to do, 1 refused or failed. */
export async function migApply(args: ApplyArguments, context: CommandContext): Promise<number> {
  const hooks = await readHooks(args.hooksFile);
  if (!hooks.ok) return refuse(context, hooks.findings);
  const journal = await openJournal(args.node.stateDir);
  if (!journal.ok) return refuse(context, journal.findings);
  try {
    const node = await openGpus(args.node, args.devices, context);
    if (!node.ok) return refuse(context, node.findings);
    try {
      const gone = unreadable(node.findings, args.devices);
      if (gone.length > 0) return refuse(context, gone);
      const findings = [...hooks.findings, ...node.findings];
      if (findings.length > 0) context.output.progress(findingLines(findings));
      const apply = new Apply(args, context, { node: node.value, journal: journal.value.journal, hooks: hooks.value });
      return await apply.run();
    } finally {
      await node.value.close();
    }
  } finally {
    await journal.value.release();
  }
}

async function readHooks(path: string | undefined): Promise<Outcome<HooksFile>> {
  if (path === undefined) return { ok: true, value: new Map(), findings: [] };
  const text = await inputText(path);
  return text.ok ? parseHooksFile(text.value, path) : text;
}

interface ApplyParts {
  readonly node: NodeGpus;
  readonly journal: MigJournal;
  readonly hooks: HooksFile;
}

class Apply {
  readonly #args: ApplyArguments;
  readonly #context: CommandContext;
  readonly #node: NodeGpus;
  readonly #journal: MigJournal;
  readonly #hooks: HookRun;

  constructor(args: ApplyArguments, context: CommandContext, { node, journal, hooks }: ApplyParts) {
    this.#args = args;
    this.#context = context;
    this.#node = node;
    this.#journal = journal;
    this.#hooks = { hooks, environment: hookEnvironment(args), log: context.log };
  }

  async run(): Promise<number> {
    const { all, chosen } = this.#node;
    const target = await readTarget(this.#args, all, chosen);
    if (!target.ok) return refuse(this.#context, target.findings);
    if (target.findings.length > 0) this.#context.output.progress(findingLines(target.findings));
    const { unfinished } = this.#journal.content;
    if (unfinished !== undefined) this.#context.output.progress(findingLines([brokenOff(unfinished)]));
    const started = await runHook(this.#hooks, "apply-start");
    if (started !== undefined) return refuse(this.#context, [started]);
    const findings = await this.#changeAndExit(target.value);
    if (findings.length > 0) return refuse(this.#context, findings);
    const done = "MIG configuration applied successfully";
    if (this.#args.format === "json") this.#context.output.progress(done);
    else this.#context.output.answer(done);
    return 0;
  }

  /** The change and the last hook, which runs whatever comes: it starts again what the first ones stopped. */
  async #changeAndExit(target: Target): Promise<readonly Finding[]> {
    const stateDir = this.#args.node.stateDir;
    let ended: Finding | undefined;
    const change = this.#change(target).finally(async () => {
      ended = await runHook(this.#hooks, "apply-exit");
    });
    const findings = await change.catch((error: unknown) => [commandFailed(error, stateDir)]);
    return ended === undefined ? findings : [...findings, ended];
  }

  /** The change between the first hook and the last; findings say why it was not made. */
  async #change(target: Target): Promise<readonly Finding[]> {
    const held = await this.#holders();
    if (!held.ok) return held.findings;
    let plans = await this.#plans(target, held.value);
    const changed = plans.filter((plan) => plan.steps.length > 0 || isRefused(plan));
    for (const name of neededHooks(changed)) {
      const failed = await runHook(this.#hooks, name);
      if (failed !== undefined) return [failed];
    }
    if (this.#hooks.hooks.size > 0) {
      // The hooks may have ended what was in the way.
      const after = await this.#holders();
      if (!after.ok) return after.findings;
      plans = await this.#plans(target, after.value);
    }
    const { format, skipReset } = this.#args;
    const write = format === "json" ? this.#context.output.answer : this.#context.output.progress;
    write(plansText(plans, format));
    const found = planFindings(plans);
    if (plans.some(isRefused)) return [...found, refused()];
    if (found.length > 0) this.#context.output.progress(findingLines(found));
    return carryOut({
      driver: this.#node.driver,
      plans,
      what: `config ${target.name}`,
      journal: this.#journal,
      holders: () => this.#holdersOrThrow(),
      agent: () => this.#node.holders.agent(),
      resettable: !skipReset,
      log: this.#context.log,
      signal: this.#context.signal,
      onStep: (gpuIndex, step) => this.#context.output.progress(`GPU ${gpuIndex}: ${step}`),
    });
  }

  async #plans({ wanted }: Target, holders: Holders): Promise<readonly PartitionPlan[]> {
    return planAll({
      gpus: await this.#node.driver.list(),
      wanted,
      unfinished: this.#journal.content.unfinished?.before ?? [],
      holders,
      resettable: !this.#args.skipReset,
      journal: this.#journal.place,
    });
  }

  /** Everybody who holds something; with force nobody, and the driver alone protects what processes use. */
  async #holders(): Promise<Outcome<Holders>> {
    if (this.#args.forceDestroyInUse) return { ok: true, value: new Map(), findings: [] };
    return readHolders(this.#node.holders);
  }

  async #holdersOrThrow(): Promise<Holders> {
    const held = await this.#holders();
    if (held.ok) return held.value;
    throw new Error(held.findings.map(({ message }) => message).join("; "));
  }
}

/** Which hooks run before the change, by what the GPUs differ in. */
function neededHooks(plans: readonly PartitionPlan[]): readonly ("pre-apply-mode" | "pre-apply-config")[] {
  if (plans.length === 0) return [];
  const modes = plans.some(({ steps, blockers, gpuUuid }) => {
    const set = steps.some(({ kind }) => kind === "set-mig-mode" || kind === "reset-gpu");
    return set || blockers.some(({ deviceUuid }) => deviceUuid === gpuUuid);
  });
  return modes ? ["pre-apply-mode", "pre-apply-config"] : ["pre-apply-config"];
}

function hookEnvironment(args: ApplyArguments): Readonly<Record<string, string>> {
  return {
    MIG_PARTED_CONFIG_FILE: args.file ?? "",
    MIG_PARTED_SELECTED_CONFIG: args.config ?? "",
    MIG_PARTED_HOOKS_FILE: args.hooksFile ?? "",
    MIG_PARTED_SKIP_RESET: String(args.skipReset),
    MIG_PARTED_MODE_CHANGE_ONLY: String(args.modeOnly),
  };
}

function refused(): Finding {
  return finding("mig-change-refused", { kind: "node", name: "this node" }, "nothing was changed", {
    remedy: "see the findings above",
  });
}
