/**
 * The options of `tranche mig` and their help.
 */
import { Command, Option } from "commander";
import {
  addNodeOptions,
  devicesOption,
  nodeArguments,
  type RawNodeOptions,
  type RunNodeCommand,
} from "../node/options.ts";
import { type ApplyArguments, migApply } from "./apply.ts";
import { migAssert, migExport, migPlan } from "./look.ts";
import { type PlanFormat, planFormats } from "./plans.ts";
import { migRollback } from "./rollback.ts";

const DESCRIPTION = [
  "Cuts the GPUs of this machine as a mig-parted file says: with a plan first, by the smallest change, never taking",
  "what a pod or process holds, and with a way back.",
].join(" ");

const HELP = `
Without -f the configs are those that the GPUs themselves suggest, as NVIDIA's MIG manager makes them: all-disabled,
all-enabled, all-balanced, all-1g.10gb and so on.

Examples:
  tranche mig plan -f mig.yaml -c all-1g.10gb
  tranche mig apply -f mig.yaml -c all-1g.10gb --devices 0,2
  tranche mig rollback
  tranche mig export > mig.yaml

Exit codes: 0 done, 1 refused, failed or not applied, 2 wrong usage.`;

interface RawOptions extends RawNodeOptions {
  readonly configFile?: string;
  readonly selectedConfig?: string;
  readonly devices: readonly string[];
  readonly modeOnly?: true;
  readonly hooksFile?: string;
  readonly skipReset?: true;
  readonly forceDestroyInUse?: true;
  readonly dryRun?: true;
  readonly exitCode?: true;
  readonly validConfig?: true;
  readonly output: string;
  readonly configLabel: string;
}

/** The command with its subcommands; `run` gets what each returns, the exit code. */
export function migCommand(run: RunNodeCommand): Command {
  const command = new Command("mig").summary("plan, apply, check, save and take back MIG layouts of this machine");
  command.description(DESCRIPTION).addHelpText("after", HELP);
  const sub = (name: string, summary: string): Command => new Command(name).summary(summary).description(summary);

  const plan = targetOptions(
    sub("plan", "print what apply would keep, create and destroy, for whom it waits, what it resets"),
  );
  changeOptions(plan).addOption(outputOption(planFormats, "text"));
  plan.option("--exit-code", "end with 1 when there is something to do, 2 for errors");
  addNodeOptions(plan).action((raw: RawOptions) => run(raw, (context) => migPlan(planArguments(raw), context)));

  const apply = targetOptions(
    sub("apply", "carry out exactly the plan, verify it with the driver, go back if it fails"),
  );
  changeOptions(apply).addOption(outputOption(planFormats, "text"));
  apply
    .option("-k, --hooks-file <file>", "commands to run around the change, as nvidia-mig-parted has them")
    .option("--dry-run", "print the plan and change nothing");
  addNodeOptions(apply).action((raw: RawOptions) =>
    run(raw, (context) =>
      raw.dryRun === true ? migPlan(planArguments(raw), context) : migApply(applyArguments(raw), context),
    ),
  );

  const check = targetOptions(sub("assert", "tell by the exit code whether a config is applied"));
  check.option("-a, --valid-config", "only whether the file can be read and has the config");
  addNodeOptions(check).action((raw: RawOptions) =>
    run(raw, (context) => migAssert({ ...planArguments(raw), validConfig: raw.validConfig === true }, context)),
  );

  const save = sub("export", "write what stands as a mig-parted file");
  save
    .addOption(outputOption(["yaml", "json"], "yaml"))
    .option("-l, --config-label <name>", "name of the config in the file", "current")
    .addOption(devicesOption());
  addNodeOptions(save).action((raw: RawOptions) =>
    run(raw, (context) => {
      const format = raw.output === "json" ? "json" : "yaml";
      return migExport({ node: nodeArguments(raw), devices: raw.devices, label: raw.configLabel, format }, context);
    }),
  );

  const back = sub("rollback", "return to the layout before the last change");
  back
    .option("--dry-run", "print the plan and change nothing")
    .option("-s, --skip-reset", "set MIG modes, but do not reset GPUs")
    .addOption(outputOption(planFormats, "text"));
  addNodeOptions(back).action((raw: RawOptions) =>
    run(raw, (context) => {
      const { node, skipReset, format } = planArguments(raw);
      return migRollback({ node, skipReset, format, dryRun: raw.dryRun === true }, context);
    }),
  );
  for (const one of [plan, apply, check, save, back]) command.addCommand(one);
  return command;
}

/** Names and short forms are those of nvidia-mig-parted. */
function targetOptions(command: Command): Command {
  return command
    .option("-f, --config-file <file>", "mig-parted file; - is standard input (default: made from the GPUs)")
    .option("-c, --selected-config <name>", "config of the file; may be left out when there is only one")
    .option("-m, --mode-only", "MIG mode alone, without what is cut")
    .addOption(devicesOption());
}

function changeOptions(command: Command): Command {
  return command
    .option("-s, --skip-reset", "set MIG modes, but do not reset GPUs")
    .option(
      "--force-destroy-in-use",
      "take slices that pods hold as if they were free; the driver still keeps what a process uses",
    );
}

function outputOption(formats: readonly string[], preset: string): Option {
  return new Option("-o, --output <format>", "form of the output").choices(formats).default(preset);
}

function planArguments(raw: RawOptions): ApplyArguments & { readonly exitCode: boolean } {
  return { ...applyArguments(raw), exitCode: raw.exitCode === true };
}

function applyArguments(raw: RawOptions): ApplyArguments {
  const format: PlanFormat = raw.output === "json" ? "json" : "text";
  return {
    node: nodeArguments(raw),
    file: raw.configFile,
    config: raw.selectedConfig,
    modeOnly: raw.modeOnly === true,
    devices: raw.devices ?? [],
    hooksFile: raw.hooksFile,
    skipReset: raw.skipReset === true,
    forceDestroyInUse: raw.forceDestroyInUse === true,
    format,
  };
}
