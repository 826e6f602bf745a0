/**
 * One picture of the live view: state and size in, lines out, none wider than the terminal and no more than it has.
 */

import type { Finding } from "../../../base/index.ts";
import { clean } from "../../report/clean.ts";
import { SEVERITY_STYLES } from "../../report/text.ts";
import type { Line } from "../../terminal.ts";
import { findingProgress } from "../progress.ts";
import { shellWord } from "../shell-word.ts";
import { cutNodes, nodeGroups } from "./node-lines.ts";
import { podLineCount, podLines } from "./pod-lines.ts";
import type { LiveState, LogEntry, Size } from "./state.ts";
import { cutLine, fitText, lineWidth, textWidth, wrapText } from "./text.ts";
import { ageText } from "./words.ts";

/** From here on there is room for blank lines between the parts, and for the server's address. */
const ROOMY_ROWS = 16;
/** With fewer, there is none of what happened. */
const LEAST_ROWS_WITH_LOG = 12;
/** No more of what happened, however large the terminal is. */
const MOST_LOG = 12;
const MOST_FINDINGS = 6;
/** Who gets how much where not everything fits: nodes, pods, findings, log. */
const WEIGHTS = [4, 4, 1, 1];

/** The lines of one picture. */
export function frame(state: LiveState, { columns, rows }: Size): readonly Line[] {
  const roomy = rows >= ROOMY_ROWS;
  const head = headLines(state, columns, roomy);
  const groups = nodeGroups(state.nodes, columns);
  const nodeCount = groups.reduce((sum, { gpus }) => sum + 1 + gpus.flat().length, 0);
  const isCut = state.nodes.items.length < state.nodes.total;
  const findings = state.findings.slice(0, MOST_FINDINGS).flatMap(findingPair);
  const entries = rows < LEAST_ROWS_WITH_LOG ? [] : state.log.slice(-MOST_LOG);
  const log = entries.map((entry) => logLine(entry, state.nowMs));
  const wants = [nodeCount + (isCut ? 1 : 0), podLineCount(state.pods), findings.length, log.length];
  const blanks = roomy ? wants.filter((one) => one > 0).length : 0;
  const [nodeRows = 0, podRows = 0, findingRows = 0, logRows = 0] = deal(rows - head.length - blanks, wants, WEIGHTS);
  const blocks = [
    cutNodes(groups, state.nodes, nodeRows),
    podLines(state, columns, podRows),
    findings.slice(0, findingRows),
    logRows === 0 ? [] : log.slice(-logRows),
  ];
  const body = blocks.flatMap((block) => (block.length === 0 ? [] : [...(roomy ? [[]] : []), ...block]));
  return [...head, ...body].slice(0, rows).map((line) => cutLine(line, columns));
}

/** The answer, how to get out, and how to get in. */
function headLines(
  { summary, server, kubeconfigPath, focus }: LiveState,
  width: number,
  roomy: boolean,
): readonly Line[] {
  const title: Line = [{ text: "tranche up  ", style: "bold" }, { text: clean(summary) }];
  const keys = focus === undefined ? "Ctrl-C quits" : roomy ? `↑↓ ${focus}  Tab  q quits` : "q quits";
  const gap = width - lineWidth(title) - textWidth(keys);
  const first: Line = gap >= 2 ? [...title, { text: " ".repeat(gap) }, { text: keys, style: "dim" }] : title;
  const kubeconfig = `export KUBECONFIG=${clean(shellWord(kubeconfigPath))}`;
  const both = `${kubeconfig}   ${clean(server)}`;
  const ways = textWidth(both) <= width ? [both] : [...wrapText(kubeconfig, width), ...(roomy ? [clean(server)] : [])];
  return [first, ...ways.map((text) => [{ text }])];
}

function findingPair(one: Finding): readonly Line[] {
  const [severity = "", ...rest] = findingProgress(one).split(" ");
  const head: Line = [{ text: severity, style: SEVERITY_STYLES[one.severity] }, { text: ` ${rest.join(" ")}` }];
  return one.remedy === "" ? [head] : [head, [{ text: `  → ${clean(one.remedy)}` }]];
}

function logLine({ atMs, text }: LogEntry, nowMs: number): Line {
  return [{ text: `${fitText(ageText(nowMs - atMs), 6)} `, style: "dim" }, { text: clean(text) }];
}

/**
 * Deals out `rows`: everyone gets what it wants or, where that is too much, its part by weight; what one does not need
 * goes to the others.
 */
export function deal(rows: number, wants: readonly number[], weights: readonly number[]): readonly number[] {
  const got = wants.map(() => 0);
  let left = Math.max(0, rows);
  for (;;) {
    const open = wants.flatMap((want, at) => ((got[at] ?? 0) < want ? [at] : []));
    const weight = open.reduce((sum, at) => sum + (weights[at] ?? 1), 0);
    if (left === 0 || open.length === 0) return got;
    const round = left;
    for (const at of open) {
      const share = Math.max(1, Math.floor((round * (weights[at] ?? 1)) / weight));
      const given = Math.min(share, left, (wants[at] ?? 0) - (got[at] ?? 0));
      got[at] = (got[at] ?? 0) + given;
      left -= given;
    }
  }
}
