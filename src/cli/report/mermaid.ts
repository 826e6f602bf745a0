/**
 * The live topology as a Mermaid flow chart: node, GPU, instance or time slice, pod.
 */
import type { Report, ReportGpu, ReportNode } from "../../insight/index.ts";

/** A `flowchart LR`; ids are positions, so any name is safe in a label. */
export function reportMermaid(report: Report): string {
  const lines = ["flowchart LR"];
  const pods = new Map(
    report.pods.map((pod, at) => [`${pod.namespace}/${pod.name}`, { id: `p${at}`, phase: pod.phase }]),
  );
  for (const [at, node] of report.nodes.entries()) drawNode(lines, node, `n${at}`, pods);
  for (const [name, { id, phase }] of pods) lines.push(`  ${id}(["${label(name)}<br/>${label(phase)}"])`);
  if (report.simulated) lines.push('  simulated["simulated GPUs"]:::note', "  classDef note stroke-dasharray: 4");
  return lines.join("\n");
}

type PodIds = ReadonlyMap<string, { readonly id: string; readonly phase: string }>;

function drawNode(lines: string[], node: ReportNode, id: string, pods: PodIds): void {
  lines.push(`  subgraph ${id}["${label(node.name)}"]`);
  const edges: string[] = [];
  for (const gpu of node.gpus) drawGpu(lines, edges, gpu, `${id}g${gpu.index}`, pods);
  lines.push("  end", ...edges);
}

function drawGpu(lines: string[], edges: string[], gpu: ReportGpu, id: string, pods: PodIds): void {
  lines.push(`    ${id}["GPU ${gpu.index}<br/>${label(gpu.model)}"]`);
  const siblings = Map.groupBy(gpu.shares, ({ id }) => deviceOf(id));
  const slices = [
    ...gpu.instances.map((one) => ({
      device: one.uuid ?? "",
      text: `${one.profile}@${one.placement.start}:${one.placement.size}`,
      pod: one.pod,
    })),
    ...gpu.shares.map((one) => ({ device: one.id, text: shareText(one, siblings), pod: one.pod })),
  ];
  const numbers = new Map(slices.map(({ device }, at) => [device, at]));
  for (const [at, slice] of slices.entries()) {
    const sliceId = `${id}s${at}`;
    const parent = slice.device.includes("::") ? numbers.get(deviceOf(slice.device)) : undefined;
    lines.push(
      `    ${sliceId}["${label(slice.text)}"]`,
      `    ${parent === undefined ? id : `${id}s${parent}`} --> ${sliceId}`,
    );
    const pod = slice.pod === null ? undefined : pods.get(slice.pod);
    if (pod !== undefined) edges.push(`  ${sliceId} --> ${pod.id}`);
  }
}

type Share = ReportGpu["shares"][number];

function shareText({ sharing, id }: Share, siblings: ReadonlyMap<string, readonly Share[]>): string {
  if (sharing === "none") return "whole GPU";
  const word = sharing === "mps" ? "MPS share" : "time slice";
  return `${word} ${Number(id.slice(id.lastIndexOf("::") + 2)) + 1}/${siblings.get(deviceOf(id))?.length}`;
}

/** The device that a share is of, from its id, `GPU-…::3`; a whole device is of itself. */
function deviceOf(id: string): string {
  const at = id.lastIndexOf("::");
  return at < 0 ? id : id.slice(0, at);
}

/** Mermaid reads `"` and HTML in labels. */
function label(text: string): string {
  return text.replaceAll("&", "#amp;").replaceAll('"', "#quot;").replaceAll("<", "#lt;").replaceAll(">", "#gt;");
}
