/**
 * The report as people read it: first the answer, then every GPU and what it is cut into, pods, and why.
 */
import { type Finding, placeText } from "../../base/index.ts";
import type { Report, ReportGpu, ReportPod, ReportShare } from "../../insight/index.ts";
import { table } from "../table.ts";
import { clean } from "./clean.ts";
import { type Paint, paintFor, type Style } from "./paint.ts";

export interface TextOptions {
  /** Device ids instead of their number. */
  readonly wide: boolean;
  readonly paint: Paint;
}

/** The whole report as text, without a trailing line feed. */
export function reportText(report: Report, options: TextOptions): string {
  const findings = findingLines(report.findings, options.paint);
  const blocks = [summary(report), gpuTable(report, options), podTable(report, options.wide), findings];
  return blocks.filter((block) => block !== "").join("\n\n");
}

function summary({ nodes, pods, simulated }: Report): string {
  const gpus = nodes.flatMap((node) => node.gpus).length;
  return summaryLine({ nodes: nodes.length, gpus, simulated, phases: pods.map((pod) => pod.phase) });
}

export interface SummaryInput {
  readonly nodes: number;
  readonly gpus: number;
  readonly simulated: boolean;
  /** The phase of each pod. */
  readonly phases: readonly string[];
}

/** `2 nodes, 2 GPUs (simulated); 3 of 4 pods running, 1 pending.` */
export function summaryLine({ nodes, gpus, simulated, phases }: SummaryInput): string {
  const number = (phase: string): number => phases.filter((one) => one === phase).length;
  const others = ["Pending", "Succeeded", "Failed", "Unknown"].filter((phase) => number(phase) > 0);
  const parts = others.map((phase) => `${number(phase)} ${phase.toLowerCase()}`);
  const pods = [`${number("Running")} of ${plural(phases.length, "pod")} running`, ...parts].join(", ");
  return `${plural(nodes, "node")}, ${plural(gpus, "GPU")}${simulated ? " (simulated)" : ""}; ${pods}.`;
}

function gpuTable(report: Report, options: TextOptions): string {
  const { wide } = options;
  const rows = report.nodes.flatMap((node) => node.gpus.flatMap((gpu) => gpuRows(node.name, gpu, options)));
  const header = ["NODE", "GPU", "MODEL", "SLICE", "MEMORY", "ISOLATION", "POD"];
  return rows.length === 0 ? "" : table(wide ? [...header.slice(0, -1), "DEVICE", "POD"] : header, rows);
}

function gpuRows(node: string, gpu: ReportGpu, { wide, paint }: TextOptions): string[][] {
  const slices = [...gpu.instances.flatMap((instance) => instanceSlices(instance, gpu)), ...wholeShares(gpu)];
  if (slices.length === 0) slices.push(emptySlice(gpu));
  return slices.map((slice, at) => {
    const first = at === 0;
    const start = [first ? node : "", first ? String(gpu.index) : "", first ? gpu.model : ""];
    const memory = `${slice.limitMiB === null ? "" : `${slice.limitMiB} of `}${mib(slice.memoryMiB)}`;
    const cells = [...start, slice.name, memory, slice.isolation];
    return [...cells, ...(wide ? [slice.device] : []), slice.pod ?? paint("dim", "-")];
  });
}

interface Slice {
  readonly name: string;
  readonly memoryMiB: number;
  /** Of the memory; `null` without one. */
  readonly limitMiB: number | null;
  readonly isolation: string;
  readonly device: string;
  readonly pod: string | null;
}

function instanceSlices(instance: ReportGpu["instances"][number], gpu: ReportGpu): Slice[] {
  const { start, size } = instance.placement;
  const name = `${instance.profile}@${start}:${size}`;
  const common = { memoryMiB: instance.memoryMiB, limitMiB: null, isolation: instance.isolation };
  const shares = gpu.shares.filter((share) => share.id.startsWith(`${instance.uuid}::`));
  if (shares.length === 0) return [{ name, ...common, device: instance.uuid ?? "", pod: instance.pod }];
  const ordinals = ordinalsOf(shares);
  return shares.map((share) => ({
    name: `${name} share ${ordinals.get(share)}`,
    memoryMiB: instance.memoryMiB,
    limitMiB: share.memoryLimitMiB,
    isolation: share.isolation,
    device: share.id,
    pod: share.pod,
  }));
}

function wholeShares(gpu: ReportGpu): Slice[] {
  const shares = gpu.shares.filter((share) => share.id === gpu.uuid || share.id.startsWith(`${gpu.uuid}::`));
  const ordinals = ordinalsOf(shares);
  return shares.map((share) => ({
    name: share.sharing === "none" ? "whole GPU" : `${sharingWord(share.sharing)} ${ordinals.get(share)}`,
    memoryMiB: gpu.memoryMiB,
    limitMiB: share.memoryLimitMiB,
    isolation: share.isolation,
    device: share.id,
    pod: share.pod,
  }));
}

/** `2/4`: which of the shares under its resource name. There can be tens of thousands of a device. */
function ordinalsOf(shares: readonly ReportShare[]): ReadonlyMap<ReportShare, string> {
  const groups = [...Map.groupBy(shares, (share) => share.resource).values()];
  return new Map(groups.flatMap((same) => same.map((share, at) => [share, `${at + 1}/${same.length}`] as const)));
}

function emptySlice(gpu: ReportGpu): Slice {
  const name = gpu.mig?.enabled === true ? "MIG, no slices" : "not offered";
  return { name, memoryMiB: gpu.memoryMiB, limitMiB: null, isolation: "-", device: gpu.uuid, pod: null };
}

function sharingWord(sharing: string): string {
  return sharing === "time-slicing" ? "time slice" : "MPS share";
}

function podTable(report: Report, wide: boolean): string {
  const rows = report.pods.map((pod) => {
    const cells = [`${pod.namespace}/${pod.name}`, pod.phase, pod.reason === "" ? "-" : pod.reason, pod.node || "-"];
    return [...cells, devices(pod, wide)].map(clean);
  });
  return rows.length === 0 ? "" : table(["POD", "PHASE", "REASON", "NODE", "DEVICES"], rows);
}

function devices(pod: ReportPod, wide: boolean): string {
  if (!wide) return podDevices(pod);
  const texts = devicesOf(pod).map((device) => `${device.resource}=${device.id}`);
  return texts.length === 0 ? "-" : texts.join(", ");
}

/** What a pod holds: `2 nvidia.com/mig-1g.10gb`, `-` for nothing. */
export function podDevices(pod: ReportPod): string {
  const groups = Map.groupBy(devicesOf(pod), (device) => device.resource);
  return groups.size === 0 ? "-" : [...groups].map(([resource, some]) => `${some.length} ${resource}`).join(", ");
}

function devicesOf(pod: ReportPod): ReportPod["containers"][number]["devices"] {
  return pod.containers.flatMap((container) => container.devices);
}

/** The colour of each severity. */
export const SEVERITY_STYLES: Readonly<Record<Finding["severity"], Style>> = {
  error: "red",
  warning: "yellow",
  info: "cyan",
};

/** Findings for people, three lines each: where and what, the message, the remedy. Colours default to standard error's. */
export function findingLines(findings: readonly Finding[], paint: Paint = paintFor(process.stderr)): string {
  return findings
    .map((one) => {
      const where = one.place === undefined ? one.subject.name : placeText(one.place);
      const head = `${paint(SEVERITY_STYLES[one.severity], one.severity)} ${one.code}: ${clean(where)}`;
      const remedy = one.remedy === "" ? [] : [`  → ${clean(one.remedy)}`];
      return [head, `  ${clean(one.message)}`, ...remedy].join("\n");
    })
    .join("\n");
}

/** `1 slice`, `2 slices`. */
export function plural(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function mib(memoryMiB: number): string {
  return `${memoryMiB} MiB`;
}
