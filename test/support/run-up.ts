/** Runs the command line in this process and captures what it prints. */

import { runProgram } from "../../src/cli/index.ts";
import type { Report } from "../../src/insight/index.ts";

export interface Run {
  readonly code: number;
  readonly answer: string;
  readonly progress: string;
}

/** Runs `tranche ARGS`; `signal` ends it. */
export async function runTranche(args: readonly string[], signal = new AbortController().signal): Promise<Run> {
  const answer: string[] = [];
  const progress: string[] = [];
  const output = { answer: (text: string) => answer.push(text), progress: (text: string) => progress.push(text) };
  const code = await runProgram(args, { output: { answer: output.answer, progress: output.progress }, signal });
  return { code, answer: answer.join("\n"), progress: progress.join("\n") };
}

/** Runs `tranche up ARGS --once -o json` and reads the report; fails with everything printed when there is none. */
export async function runUp(
  args: readonly string[],
): Promise<{ readonly code: number; readonly report: Report; readonly run: Run }> {
  const run = await runTranche(["up", ...args, "--once", "-o", "json"]);
  if (run.answer === "") throw new Error(`no report, exit code ${run.code}:\n${run.progress}`);
  const report: Report = JSON.parse(run.answer);
  return { code: run.code, report, run };
}

/** Pod name (without namespace) to phase. */
export function phases(report: Report): Record<string, string> {
  return Object.fromEntries(report.pods.map((pod) => [pod.name, pod.phase]));
}

/** The MIG profiles that stand on each node, in order of placement. */
export function profiles(report: Report): Record<string, readonly string[]> {
  return Object.fromEntries(
    report.nodes.map((node) => [
      node.name,
      node.gpus.flatMap((gpu) => gpu.instances.map((one) => `${one.profile}@${one.placement.start}`)),
    ]),
  );
}
