/**
 * `tranche fault`: asks a running `up` for a fault and prints what was done and what to look at.
 */
import { type Finding, finding } from "../../base/index.ts";
import type { Output } from "../output.ts";
import { findingLines } from "../report/text.ts";
import type { Fault, FaultReport } from "../up/control-protocol.ts";
import type { Environment } from "../up/running.ts";
import { sendFault } from "./control-client.ts";
import { findCluster } from "./find-cluster.ts";

export interface FaultOptions {
  readonly fault: Fault;
  /** Which cluster; `undefined` finds it. */
  readonly stateDir: string | undefined;
  readonly env: Environment;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** Returns the exit code: 0 done, 1 refused or failed. */
export async function causeFault(options: FaultOptions): Promise<number> {
  try {
    return await ask(options);
  } catch (error) {
    if (!options.signal.aborted) throw error;
    const message = "ended before the cluster answered; it may be doing what it was asked for";
    const remedy = "look at the terminal where tranche up runs";
    const subject = { kind: "command", name: "tranche fault" } as const;
    return refuse(options.output, [finding("control-failed", subject, message, { remedy })]);
  }
}

async function ask({ fault, stateDir, env, output, signal }: FaultOptions): Promise<number> {
  const cluster = await findCluster({ stateDir, env, signal });
  if (!cluster.ok) return refuse(output, cluster.findings);
  const reached = await sendFault(cluster.value, fault, signal);
  if (reached.kind !== "answer") {
    const why = reached.kind === "gone" ? "it has ended" : reached.problem;
    const message = `the cluster at ${cluster.value} did not answer: ${why}`;
    const subject = { kind: "cluster", name: cluster.value } as const;
    const remedy = "look at the terminal where tranche up runs, and start it again if it has ended";
    return refuse(output, [finding("control-failed", subject, message, { remedy })]);
  }
  if (!reached.value.ok) return refuse(output, reached.value.findings);
  output.answer(reportText(reached.value.report));
  return 0;
}

/** The answer, what it means, and what to type next. */
function reportText({ done, lookAt }: FaultReport): string {
  return [...done, "look at:", ...lookAt.map((command) => `  ${command}`)].join("\n");
}

function refuse(output: Output, findings: readonly Finding[]): number {
  output.progress(findingLines(findings));
  return 1;
}
