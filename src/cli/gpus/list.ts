/**
 * `tranche gpus`: the GPUs of this machine, what they are cut into and who uses it.
 */
import { type Finding, finding } from "../../base/index.ts";
import { yamlText } from "../../config/index.ts";
import type { Gpu, GpuInstance } from "../../gpu/index.ts";
import type { Holders } from "../../partition/index.ts";
import { journalFindings } from "../mig/journal.ts";
import { type CommandContext, openGpus, readHolders, refuse } from "../node/context.ts";
import type { NodeArguments } from "../node/options.ts";
import { findingLines } from "../report/text.ts";
import { table } from "../table.ts";

export const gpuFormats = ["table", "wide", "json", "yaml"] as const;
export type GpuFormat = (typeof gpuFormats)[number];

export interface GpusArguments {
  readonly node: NodeArguments;
  readonly devices: readonly string[];
  readonly format: GpuFormat;
}

/** Prints the GPUs; 1 when they cannot be read. */
export async function listGpus(args: GpusArguments, context: CommandContext): Promise<number> {
  const node = await openGpus(args.node, args.devices, context);
  if (!node.ok) return refuse(context, node.findings);
  const { driver, all, chosen, close } = node.value;
  try {
    const held = await readHolders(node.value.holders);
    const holders = held.ok ? held.value : new Map();
    context.output.answer(gpusText(chosen, { holders, format: args.format, simulated: driver.simulated }));
    const findings: Finding[] = [...node.findings, ...(await journalFindings(args.node.stateDir))];
    // Looking does not need the holders: what cannot be told is told as such.
    if (!held.ok) findings.push(...held.findings.map((one) => ({ ...one, severity: "warning" as const })));
    if (all.length === 0) findings.push(noGpus());
    if (findings.length > 0) context.output.progress(findingLines(findings));
    return 0;
  } finally {
    await close();
  }
}

interface GpusView {
  readonly holders: Holders;
  readonly format: GpuFormat;
  readonly simulated: boolean;
}

/** The GPUs in the form asked for, without a trailing line feed. */
function gpusText(gpus: readonly Gpu[], { holders, format, simulated }: GpusView): string {
  if (format === "json")
    return JSON.stringify({ simulated, gpus: gpus.map((gpu) => gpuJson(gpu, holders)) }, undefined, 2);
  if (format === "yaml") return yamlText({ simulated, gpus: gpus.map((gpu) => gpuJson(gpu, holders)) }).trimEnd();
  const wide = format === "wide";
  const header = ["GPU", "MODEL", "MIG", "SLICE", "MEMORY", ...(wide ? ["GI", "CI", "DEVICE"] : []), "HELD BY"];
  const rows = gpus.flatMap((gpu) => gpuRows(gpu, { holders, wide, simulated }));
  return table(header, rows);
}

interface RowsView {
  readonly holders: Holders;
  readonly wide: boolean;
  readonly simulated: boolean;
}

function gpuRows(gpu: Gpu, { holders, wide, simulated }: RowsView): readonly (readonly string[])[] {
  const name = simulated ? `${gpu.name} (simulated)` : gpu.name;
  const first = [String(gpu.index), name, modeText(gpu)];
  const whole = {
    name: gpu.mig?.current === true && gpu.instances.length === 0 ? "nothing cut" : "-",
    memoryMiB: gpu.memoryMiB,
    ids: ["-", "-", gpu.uuid],
    uuid: gpu.uuid,
  };
  const slices = gpu.instances.length === 0 ? [whole] : gpu.instances.flatMap(slicesOf);
  const heldWhole = gpu.instances.length > 0 && holders.has(gpu.uuid) ? [{ ...whole, name: "the whole GPU" }] : [];
  return [...heldWhole, ...slices].map((slice, at) => [
    ...(at === 0 ? first : ["", "", ""]),
    slice.name,
    `${slice.memoryMiB} MiB`,
    ...(wide ? slice.ids : []),
    holders.get(slice.uuid)?.join(", ") ?? "-",
  ]);
}

interface Slice {
  readonly name: string;
  readonly memoryMiB: number;
  readonly ids: readonly string[];
  readonly uuid: string;
}

/** Placements as `nvidia-smi mig -lgi` writes them, start and size; narrower devices stand behind their instance. */
function slicesOf({ id, profile, placement, memoryMiB, computeInstances }: GpuInstance): readonly Slice[] {
  const name = `${profile.name}@${placement.start}:${placement.size}`;
  if (computeInstances.length === 0) {
    return [{ name: `${name} (no compute instance)`, memoryMiB, ids: [String(id), "-", "-"], uuid: "" }];
  }
  return computeInstances.map((one) => ({
    name: one.profile === profile.name ? name : `${name} ${one.profile}/${one.placement.start}`,
    memoryMiB,
    ids: [String(id), String(one.id), one.uuid],
    uuid: one.uuid,
  }));
}

function modeText({ mig }: Gpu): string {
  if (mig === undefined) return "-";
  const current = mig.current ? "on" : "off";
  return mig.current === mig.pending ? current : `${current}, ${mig.pending ? "on" : "off"} pending`;
}

function gpuJson(gpu: Gpu, holders: Holders): unknown {
  const { index, uuid, name, modelId, minor, pci, numaNode, memoryMiB, computeCapability, mig } = gpu;
  const heldBy = (device: string): readonly string[] => holders.get(device) ?? [];
  return {
    index,
    uuid,
    name,
    model: modelId ?? null,
    minor,
    busId: pci.busId,
    numaNode: numaNode ?? null,
    memoryMiB,
    computeCapability,
    mig: mig ?? null,
    heldBy: heldBy(uuid),
    instances: gpu.instances.map((instance) => ({
      id: instance.id,
      profile: instance.profile.name,
      placement: `${instance.placement.start}:${instance.placement.size}`,
      memoryMiB: instance.memoryMiB,
      computeInstances: instance.computeInstances.map((one) => ({
        id: one.id,
        profile: one.profile,
        placement: `${one.placement.start}:${one.placement.size}`,
        uuid: one.uuid,
        heldBy: heldBy(one.uuid),
      })),
    })),
  };
}

function noGpus(): Finding {
  return finding("no-gpus", { kind: "node", name: "this node" }, "the driver lists no GPU", {
    remedy: "check with lspci and nvidia-smi whether the machine has one",
  });
}
