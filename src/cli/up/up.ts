/**
 * `tranche up`: reads the manifests, starts the cluster, lets it act, reports; without `--once` it stays.
 */

import { type Clock, type Finding, finding, type Logger, systemClock } from "../../base/index.ts";
import { buildReport } from "../../insight/index.ts";
import { resources } from "../../kube/index.ts";
import type { Output } from "../output.ts";
import { formatReport, isForReading, type ReportFormat } from "../report/format.ts";
import { findingLines } from "../report/text.ts";
import { applyManifests, ensureObject } from "./apply.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import type { Declared } from "./declared.ts";
import { LiveView } from "./live/view.ts";
import { inUserFiles } from "./places.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { findingProgress, followProgress } from "./progress.ts";
import { settle } from "./settle.ts";
import { shellWord } from "./shell-word.ts";
import { openStateDir } from "./state-dir.ts";
import { takeFaults } from "./take-faults.ts";
import { isWorkload } from "./workloads.ts";

export interface UpOptions {
  readonly files: readonly string[];
  readonly nodes: readonly string[];
  readonly once: boolean;
  readonly format: ReportFormat;
  readonly port: number | undefined;
  /** What is in it outlives the process; `undefined` keeps nothing. */
  readonly stateDir: string | undefined;
  /** Where to write the kubeconfig as well. */
  readonly kubeconfig: string | undefined;
  /** How long the cluster may take to come to rest. */
  readonly timeoutMs: number;
  /** Whether to draw a view that is renewed in place, where output has a terminal and the cluster stays. */
  readonly live: boolean;
  readonly output: Output;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Ends `up`, also while it settles. */
  readonly signal: AbortSignal;
}

/** Runs `up` and returns the exit code: 0 done, 1 when a finding is an error. */
export async function up(options: UpOptions): Promise<number> {
  const closed = new AbortController();
  const onHangUp = (): void => closed.abort(new Error("SIGHUP"));
  // The terminal was closed. The agent has another use for the signal, so it is not taken for all commands.
  process.once("SIGHUP", onHangUp);
  try {
    return await run({ ...options, signal: AbortSignal.any([options.signal, closed.signal]) });
  } finally {
    process.off("SIGHUP", onHangUp);
  }
}

async function run(options: UpOptions): Promise<number> {
  const opened = await openStateDir(options.stateDir);
  if (!opened.ok) return refuse(options, opened.findings);
  const stateDir = opened.value;
  let prepared: Prepared | undefined;
  try {
    prepared = await prepare({ files: options.files, nodes: options.nodes, kept: stateDir.kept });
  } finally {
    if (prepared?.ok !== true) await stateDir.release();
  }
  if (!prepared.ok) return refuse(options, prepared.findings);
  const { declared } = prepared;
  const findings = [...opened.findings, ...prepared.findings];
  const { output, port, kubeconfig, log, clock = systemClock } = options;
  let tell = output.progress;
  const started = await startCluster({
    nodes: declared.nodes,
    port,
    stateDir,
    kubeconfig,
    clock,
    log,
    tell: (one) => tell(findingProgress(one)),
  });
  if (!started.ok) return refuse(options, started.findings);
  const cluster = started.value;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const view = liveView(options, { cluster, declared, findings }, () => ending.abort());
  if (view !== undefined) tell = (line) => view.tell(line);
  const after = stateDir.kept?.state?.revision ?? 0;
  const progress = followProgress(
    { api: cluster.client, pods: cluster.caches.pods, clock, log, after, write: tell },
    signal,
  );
  const drawing = view?.run(signal);
  let ended: Ended = { code: 0, findings: [] };
  let lost: readonly Finding[] = [];
  try {
    // The view has a place of its own for them.
    if (view === undefined) for (const one of findings) output.progress(findingProgress(one));
    ended = await work(options, { cluster, declared, findings, view }, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    // Whoever wants a report and gets none must not take it for done.
    if (options.once) ended = { code: 1, findings: [endedEarly()] };
  } finally {
    ending.abort();
    await Promise.all([progress, drawing]);
    if (view !== undefined) output.answer(view.summary());
    // A view that has ended shows nothing any more.
    tell = output.progress;
    lost = await cluster.stop();
  }
  const last = [...ended.findings, ...lost];
  if (last.length > 0) output.progress(findingLines(last));
  return lost.length > 0 ? 1 : ended.code;
}

/** The view, where one is wanted and there is a terminal for it. */
function liveView(
  { live, once, format, output, log, clock = systemClock }: UpOptions,
  { cluster, declared, findings }: Omit<Work, "view">,
  onQuit: () => void,
): LiveView | undefined {
  const terminal = live && !once && isForReading(format) ? output.terminal?.() : undefined;
  if (terminal === undefined) return undefined;
  const nodes = new Map(cluster.nodes.map((node) => [node.name, node]));
  return new LiveView({
    terminal,
    caches: cluster.caches,
    clock,
    log,
    server: cluster.api.connection().server,
    kubeconfigPath: cluster.kubeconfigPath,
    gpus: declared.nodes.reduce((sum, node) => sum + node.gpus.length, 0),
    simulated: cluster.nodes.some((node) => node.driver.simulated),
    findings,
    snapshot: async (name) => {
      const told = await nodes.get(name)?.snapshot();
      return told && { ...told, findings: inUserFiles(told.findings, declared) };
    },
    onQuit,
  });
}

interface Work {
  readonly cluster: Cluster;
  readonly declared: Declared;
  readonly findings: readonly Finding[];
  readonly view: LiveView | undefined;
}

interface Ended {
  readonly code: number;
  /** Why it was refused. */
  readonly findings: readonly Finding[];
}

async function work(options: UpOptions, about: Work, signal: AbortSignal): Promise<Ended> {
  const { cluster, declared, findings, view } = about;
  const { output, once, format, clock = systemClock } = options;
  // Configuration first, then the agents, then the pods: no pod lands on a GPU that is about to be cut.
  const [pods, others] = partition(declared.manifests, isWorkload);
  const applied = [...(await applyManifests(cluster.client, others))];
  for (const policy of declared.policies) await ensureObject(cluster.client, resources.clusterPolicies, policy);
  cluster.startWork();
  await agentsReady(cluster, clock, signal);
  applied.push(...(await applyManifests(cluster.client, pods)));
  if (applied.some((one) => one.severity === "error")) return { code: 1, findings: applied };
  const state = await settle(cluster, { clock, timeoutMs: options.timeoutMs, signal });
  const unsettled = state.settled ? [] : [notSettled(options.timeoutMs)];
  if (view === undefined) {
    const snapshots = state.snapshots.map((one) => ({ ...one, findings: inUserFiles(one.findings, declared) }));
    const report = buildReport({ ...state, snapshots, findings: [...findings, ...applied, ...unsettled] });
    output.answer(formatReport(report, format));
    if (once) return { code: report.findings.some((one) => one.severity === "error") ? 1 : 0, findings: [] };
  } else {
    for (const one of [...applied, ...unsettled]) view.tell(findingProgress(one));
  }
  await stay(options, about, signal);
  return { code: 0, findings: [] };
}

/** Takes faults until the end. */
async function stay(options: UpOptions, { cluster, view }: Work, signal: AbortSignal): Promise<void> {
  const { output, log, clock = systemClock } = options;
  const tell = view === undefined ? output.progress : (line: string) => view.tell(line);
  const faults = await takeFaults({ cluster, env: process.env, clock, log, tell });
  try {
    for (const one of faults.findings) tell(findingProgress(one));
    if (view === undefined) for (const line of stayLines(options, cluster)) output.progress(line);
    await aborted(signal);
  } finally {
    await faults.close();
  }
}

/** Until each agent has had its first turn: GPUs are cut and offered. */
async function agentsReady(cluster: Cluster, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!cluster.nodes.every((node) => node.agent.idle())) await clock.sleep(5, signal);
}

function stayLines({ stateDir }: UpOptions, cluster: Cluster): readonly string[] {
  const again =
    stateDir === undefined ? "" : `; tranche up --state-dir ${shellWord(cluster.stateDirectory)} goes on where it was`;
  return [
    `The cluster stays up. In another terminal: export KUBECONFIG=${shellWord(cluster.kubeconfigPath)}`,
    "then for example: kubectl get nodes,pods -A -o wide; kubectl label node NODE nvidia.com/mig.config=CONFIG --overwrite",
    `Ctrl-C ends it${again}.`,
  ];
}

function refuse({ output }: UpOptions, findings: readonly Finding[]): number {
  output.progress(findingLines(findings));
  return 1;
}

function endedEarly(): Finding {
  const message = "the cluster was ended before it came to rest, so there is no report";
  return finding("not-settled", { kind: "cluster", name: "cluster" }, message, { remedy: "let it run to its end" });
}

function notSettled(timeoutMs: number): Finding {
  const message = `the cluster was not at rest after ${timeoutMs} ms`;
  const remedy = "look at the pods and findings above, or allow more time with --timeout";
  return finding("not-settled", { kind: "cluster", name: "cluster" }, message, { remedy });
}

function partition<T>(all: readonly T[], test: (one: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(test), all.filter((one) => !test(one))];
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
