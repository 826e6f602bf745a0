/**
 * The nodes of the live view: a line for each node, a line or two for each of its GPUs.
 */

import type { ReportShare } from "../../../insight/index.ts";
import { clean } from "../../report/clean.ts";
import { plural } from "../../report/text.ts";
import type { Line, Span } from "../../terminal.ts";
import { memoryBar, sliceBar } from "./bars.ts";
import type { LiveGpu, LiveNode, Part } from "./state.ts";
import { fitText, lineWidth, textWidth } from "./text.ts";
import { type Missing, moreLine } from "./words.ts";

/** With less room beside a GPU's line, what it is cut into goes on a line of its own. */
const LEAST_BESIDE = 34;
const INDENT: Span = { text: "  " };
const GAP: Span = { text: " " };

/** A node's own line and, for each of its GPUs, one line or two. */
export interface NodeGroup {
  readonly head: Line;
  readonly gpus: readonly (readonly Line[])[];
}

/** The lines of all nodes in the part. */
export function nodeGroups({ items }: Part<LiveNode>, width: number): readonly NodeGroup[] {
  const columns = gpuColumns(
    items.flatMap((node) => node.gpus ?? []),
    width,
  );
  return items.map((node) => ({
    head: headLine(node),
    gpus: (node.gpus ?? []).map((gpu) => gpuLines(gpu, columns, width).map((line) => [INDENT, ...line])),
  }));
}

function headLine({ name, notes, migConfig, gpus }: LiveNode): Line {
  const line: Span[] = [{ text: clean(name), style: "bold" }];
  for (const note of notes) line.push({ text: "  " }, { text: clean(note), style: "yellow" });
  if (migConfig !== undefined) line.push({ text: "  mig.config ", style: "dim" }, { text: clean(migConfig) });
  if (gpus === undefined) line.push({ text: "  its agent has not told yet", style: "dim" });
  else if (gpus.length === 0) line.push({ text: "  no GPU", style: "dim" });
  return line;
}

interface GpuColumns {
  readonly index: number;
  readonly model: number;
  readonly bar: number;
  readonly memory: number;
  readonly health: number;
}

/** Equal for all GPUs in view, so that their bars stand below each other. */
function gpuColumns(gpus: readonly LiveGpu[], width: number): GpuColumns {
  const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map(textWidth));
  const index = widest(gpus.map((gpu) => String(gpu.index)));
  const memory = widest(gpus.map(memoryText));
  const health = Math.min(20, widest(gpus.map((gpu) => healthSpan(gpu).text)));
  const bar = Math.max(4, Math.min(12, Math.floor(width / 10)));
  const rest = width - (2 + index + 1 + 1 + bar + 1 + memory + 1 + health);
  return { index, model: Math.max(4, Math.min(rest, widest(gpus.map(modelText)))), bar, memory, health };
}

function gpuLines(gpu: LiveGpu, columns: GpuColumns, width: number): readonly Line[] {
  const health = healthSpan(gpu);
  const first: Line = [
    { text: String(gpu.index).padStart(columns.index) },
    GAP,
    { text: fitText(modelText(gpu), columns.model) },
    GAP,
    ...memoryBar(gpu.usedMiB, gpu.memoryMiB, columns.bar),
    GAP,
    { text: memoryText(gpu).padStart(columns.memory) },
    GAP,
    { ...health, text: fitText(health.text, columns.health) },
  ];
  const beside = width - 2 - lineWidth(first) - 1;
  if (beside >= LEAST_BESIDE) return [[...first, GAP, ...useLine(gpu, beside)]];
  return [first, [INDENT, ...useLine(gpu, width - 4)]];
}

/** What the GPU is cut into or shared by, and who holds it. */
function useLine(gpu: LiveGpu, width: number): Line {
  if (gpu.mig.enabled) return sliceBar(gpu, Math.max(1, gpu.memorySlices), width);
  const groups = [...Map.groupBy(gpu.shares, (share) => share.resource).values()];
  if (groups.length === 0) return [{ text: "not offered", style: "dim" }];
  return groups.flatMap((shares, at) => [...(at === 0 ? [] : [{ text: "; " }]), ...shareSpans(shares)]);
}

/** `whole GPU ml/train`, or `3 of 4 time slices ml/a ml/b`. */
function shareSpans(shares: readonly ReportShare[]): readonly Span[] {
  const holders = [...new Set(shares.flatMap(({ pod }) => (pod === null ? [] : [pod])))];
  const held = shares.filter(({ pod }) => pod !== null).length;
  const sharing = shares[0]?.sharing ?? "none";
  const word = sharing === "mps" ? "MPS share" : "time slice";
  const text = sharing === "none" ? "whole GPU" : `${held} of ${plural(shares.length, word)}`;
  const dot = held > 0 ? "●" : "○";
  const names = holders.length === 0 ? "free" : holders.join(" ");
  return [
    { text: `${dot} ${text} `, style: held > 0 ? "cyan" : "dim" },
    { text: clean(names), style: held > 0 ? "cyan" : "dim" },
  ];
}

function modelText(gpu: LiveGpu): string {
  return clean(gpu.model).replace(/^NVIDIA /, "");
}

function memoryText(gpu: LiveGpu): string {
  return `${gib(gpu.usedMiB)}/${gib(gpu.memoryMiB)} GiB`;
}

function gib(memoryMiB: number): string {
  const value = memoryMiB / 1024;
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function healthSpan({ troubles, mig }: LiveGpu): Span {
  const [first] = troubles;
  if (first !== undefined) return { text: first.code, style: first.severity === "error" ? "red" : "yellow" };
  return mig.pending ? { text: "mode pending", style: "yellow" } : { text: "ok", style: "green" };
}

/** As many of the nodes' lines as `rows` allow; the last one then says what is missing. */
export function cutNodes(
  groups: readonly NodeGroup[],
  { total, offset, items }: Part<LiveNode>,
  rows: number,
): readonly Line[] {
  const all = groups.flatMap(({ head, gpus }) => [head, ...gpus.flat()]);
  if (all.length <= rows && items.length === total) return all;
  if (rows < 1) return [];
  const lines: Line[] = [];
  let left = rows - 1;
  let begun = 0;
  let hidden = 0;
  for (const { head, gpus } of groups) {
    if (left <= 0) break;
    begun += 1;
    lines.push(head);
    left -= 1;
    for (const gpu of gpus) {
      const shown = gpu.slice(0, Math.max(0, left));
      lines.push(...shown);
      left -= shown.length;
      if (shown.length === 0) hidden += 1;
    }
  }
  const missing: readonly Missing[] = [
    [hidden, "GPU"],
    [total - offset - begun, "node"],
  ];
  return [...lines, moreLine(missing, offset)];
}
