/**
 * The options of `tranche gpus` and their help.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { yamlText } from "../../config/index.ts";
import { findModel, type ProfileCounts } from "../../gpu/index.ts";
import { type CommandContext, openGpus, refuse } from "../node/context.ts";
import {
  addNodeOptions,
  devicesOption,
  nodeArguments,
  type RawNodeOptions,
  type RunNodeCommand,
} from "../node/options.ts";
import { findingLines } from "../report/text.ts";
import { type LayoutSubject, layoutRows, layoutsText, subjectOfGpu, subjectOfModel } from "./layouts.ts";
import { type GpuFormat, gpuFormats, listGpus } from "./list.ts";
import { profileRows, profilesText } from "./profiles.ts";

const HELP = `
Examples:
  tranche gpus -o wide
  tranche gpus profiles --devices 0
  tranche gpus layouts --holding 3g.40gb,1g.10gb:2
  tranche gpus layouts --model H100-80GB --full

Exit codes: 0 done, 1 the GPUs cannot be read, 2 wrong usage.`;

interface RawOptions extends RawNodeOptions {
  readonly devices: readonly string[];
  readonly output: GpuFormat;
  readonly holding: ProfileCounts;
  readonly full?: true;
  readonly keep?: true;
  readonly model?: string;
}

/** The command with its subcommands; `run` gets what each returns, the exit code. */
export function gpusCommand(run: RunNodeCommand): Command {
  const command = lookOptions(
    new Command("gpus")
      .summary("show the GPUs of this machine, their slices and who holds them")
      .description("Shows the GPUs of this machine, what they are cut into, and which pods and processes hold what.")
      .addHelpText("after", HELP),
  ).action((raw: RawOptions) =>
    run(raw, (context) => listGpus({ node: nodeArguments(raw), devices: raw.devices, format: raw.output }, context)),
  );

  const profiles = new Command("profiles").summary("what each GPU can be cut into, and what still fits now");
  profiles.description("Shows the MIG profiles of each GPU, how many more of each fit beside what stands, and where.");
  lookOptions(profiles).action((raw: RawOptions) => run(raw, (context) => showProfiles(raw, context)));

  const layouts = new Command("layouts").summary("the mixes of slices a GPU can have");
  layouts
    .description("Lists the different mixes of slices that a GPU, or a model of the catalogue, can be cut into.")
    .addOption(
      new Option("--holding <profile[:count],…>", "only mixes with at least these")
        .argParser(countsOf)
        .default(new Map(), "any"),
    )
    .option("--full", "only mixes to which nothing can be added")
    .option("--keep", "only mixes that leave everything in place that stands")
    .option("--model <model>", "a model of the catalogue instead of this machine's GPUs");
  lookOptions(layouts).action((raw: RawOptions) => run(raw, (context) => showLayouts(raw, context)));
  // What stands behind `profiles` is its own, though `gpus` has options of the same names.
  return command.enablePositionalOptions().addCommand(profiles).addCommand(layouts);
}

function lookOptions(command: Command): Command {
  command
    .addOption(devicesOption())
    .addOption(new Option("-o, --output <format>", "form of the output").choices(gpuFormats).default("table"));
  return addNodeOptions(command);
}

async function showProfiles(raw: RawOptions, context: CommandContext): Promise<number> {
  const node = await openGpus(nodeArguments(raw), raw.devices, context);
  if (!node.ok) return refuse(context, node.findings);
  await node.value.close();
  if (node.findings.length > 0) context.output.progress(findingLines(node.findings));
  const rows = profileRows(node.value.chosen);
  context.output.answer(formatted(raw.output, { profiles: rows }, (wide) => profilesText(rows, wide)));
  return 0;
}

async function showLayouts(raw: RawOptions, context: CommandContext): Promise<number> {
  const subjects = await layoutSubjects(raw, context);
  if (subjects === undefined) return 1;
  const question = { holding: raw.holding, full: raw.full === true, keep: raw.keep === true };
  const answers = subjects.map((subject) => ({ subject, layouts: layoutRows(subject, question) }));
  const value = answers.map(({ subject, layouts }) => ({ of: subject.name, layouts }));
  const text = (): string => answers.map(({ subject, layouts }) => layoutsText(subject, layouts)).join("\n\n");
  context.output.answer(formatted(raw.output, value, text));
  return 0;
}

async function layoutSubjects(raw: RawOptions, context: CommandContext): Promise<readonly LayoutSubject[] | undefined> {
  if (raw.model !== undefined) {
    const found = findModel(raw.model, { subject: { kind: "command", name: "--model" } });
    if (found.ok) return [subjectOfModel(found.value.model)];
    refuse(context, found.findings);
    return undefined;
  }
  const node = await openGpus(nodeArguments(raw), raw.devices, context);
  if (!node.ok) {
    refuse(context, node.findings);
    return undefined;
  }
  await node.value.close();
  if (node.findings.length > 0) context.output.progress(findingLines(node.findings));
  return node.value.chosen.map(subjectOfGpu);
}

function formatted(format: GpuFormat, value: unknown, text: (wide: boolean) => string): string {
  if (format === "json") return JSON.stringify(value, undefined, 2);
  return format === "yaml" ? yamlText(value).trimEnd() : text(format === "wide");
}

/** `3g.40gb,1g.10gb:2`. */
function countsOf(text: string): ProfileCounts {
  const counts = new Map<string, number>();
  for (const part of text.split(",").filter((one) => one !== "")) {
    const [, name = "", count = "1"] = /^([^:]+)(?::([1-9]\d?))?$/.exec(part) ?? [];
    if (name === "") throw new InvalidArgumentError("write profiles as NAME[:COUNT], joined by commas");
    counts.set(name, (counts.get(name) ?? 0) + Number(count));
  }
  return counts;
}
