/**
 * The pods of the live view: a table of those that fit.
 */

import { clean } from "../../report/clean.ts";
import type { Style } from "../../report/paint.ts";
import { podDevices } from "../../report/text.ts";
import type { Line } from "../../terminal.ts";
import type { LivePod, LiveState, Part } from "./state.ts";
import { fitText, textWidth } from "./text.ts";
import { ageText, moreLine } from "./words.ts";

const HEADER = ["POD", "STATE", "NODE", "DEVICES", "AGE"];
const GAP = 2;
/** With fewer, a pod is worth more than the header. */
const LEAST_ROWS_WITH_HEADER = 4;
/** No column gets narrower while another is wider. */
const LEAST_COLUMN = 3;
const PHASE_STYLES: Readonly<Record<string, Style>> = {
  Running: "green",
  Pending: "yellow",
  Failed: "red",
  Succeeded: "dim",
};

/** Header and pods in at most `rows` lines; the last one says how many are missing. */
export function podLines(
  { pods, nowMs }: Pick<LiveState, "pods" | "nowMs">,
  width: number,
  rows: number,
): readonly Line[] {
  const { items, total, offset } = pods;
  if (total === 0 || rows < 1) return [];
  const isAll = items.length === total && rows > items.length;
  const hasHeader = isAll || rows >= LEAST_ROWS_WITH_HEADER;
  const shown = isAll ? items : items.slice(0, rows - (hasHeader ? 2 : 1));
  const cells = shown.map((pod) => cellsOf(pod, nowMs));
  const widths = columnWidths([HEADER, ...cells], width);
  const lines = cells.map((row, at) => rowLine(row, widths, shown[at]));
  const header: Line = [{ text: joined(HEADER, widths), style: "dim" }];
  if (isAll) return [header, ...lines];
  const more = moreLine([[total - offset - shown.length, "pod"]], offset);
  return [...(hasHeader ? [header] : []), ...lines, more];
}

/** How many lines all pods take, with the header. */
export function podLineCount({ total, offset, items }: Part<LivePod>): number {
  if (total === 0) return 0;
  return 1 + items.length + (items.length < total || offset > 0 ? 1 : 0);
}

function cellsOf(pod: LivePod, nowMs: number): readonly string[] {
  const state = pod.reason === "" || pod.reason === pod.phase ? pod.phase : `${pod.phase} ${pod.reason}`;
  const cells = [
    `${pod.namespace}/${pod.name}`,
    state,
    pod.node || "-",
    podDevices(pod),
    ageText(nowMs - pod.createdMs),
  ];
  return cells.map(clean);
}

function rowLine(cells: readonly string[], widths: readonly number[], pod: LivePod | undefined): Line {
  const [name = "", state = "", ...rest] = cells;
  const style = PHASE_STYLES[pod?.phase ?? ""];
  const stateText = fitText(state, widths[1] ?? 0) + " ".repeat(GAP);
  return [
    { text: fitText(name, widths[0] ?? 0) + " ".repeat(GAP) },
    style === undefined ? { text: stateText } : { text: stateText, style },
    { text: joined(rest, widths.slice(2)) },
  ];
}

function joined(cells: readonly string[], widths: readonly number[]): string {
  return cells.map((cell, at) => fitText(cell, widths[at] ?? 0)).join(" ".repeat(GAP));
}

/** As wide as their widest cell; when that is too much together, the widest give way first. */
function columnWidths(rows: readonly (readonly string[])[], width: number): readonly number[] {
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => textWidth(row[column] ?? ""))));
  const room = width - GAP * (HEADER.length - 1);
  let excess = widths.reduce((sum, one) => sum + one, 0) - room;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= LEAST_COLUMN) break;
    const next = Math.max(LEAST_COLUMN, ...widths.filter((one) => one < widest));
    const count = widths.filter((one) => one === widest).length;
    const step = Math.max(1, Math.min(widest - next, Math.floor(excess / count)));
    for (const [at, one] of widths.entries()) {
      if (one !== widest || excess <= 0) continue;
      widths[at] = one - step;
      excess -= step;
    }
  }
  return widths;
}
