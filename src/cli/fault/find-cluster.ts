/**
 * Finds the running `up` that a command means: named, by its kubeconfig, or the only one of this user.
 */
import { existsSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { type Finding, finding, type Outcome } from "../../base/index.ts";
import { type ClusterFacts, CONTROL_SOCKET } from "../up/control-protocol.ts";
import { kubeconfigProcess } from "../up/kubeconfig-file.ts";
import { type Environment, forgetCluster, listedClusters } from "../up/running.ts";
import { shellWord } from "../up/shell-word.ts";
import { readFacts } from "./control-client.ts";

export interface FindOptions {
  /** What `--state-dir` says. */
  readonly stateDir: string | undefined;
  readonly env: Environment;
  readonly signal: AbortSignal;
}

/** The path of its control socket. */
export async function findCluster({ stateDir, env, signal }: FindOptions): Promise<Outcome<string>> {
  if (stateDir !== undefined) return living(join(resolve(stateDir), CONTROL_SOCKET), `--state-dir ${stateDir}`, signal);
  const named = `KUBECONFIG=${env["KUBECONFIG"]}`;
  const kubeconfigs = (env["KUBECONFIG"] ?? "").split(delimiter).filter((path) => path !== "");
  const beside = kubeconfigs
    .map((path) => join(dirname(resolve(path)), CONTROL_SOCKET))
    .find((path) => existsSync(path));
  if (beside !== undefined) return living(beside, named, signal);
  const running = await runningClusters(env, signal);
  for (const path of kubeconfigs) {
    const pid = await kubeconfigProcess(path);
    if (pid !== undefined) return ofProcess(running, pid, named);
  }
  return onlyOne(running);
}

/** The cluster that wrote its kubeconfig where `--kubeconfig` said: never another one, even if it is the only one. */
function ofProcess(running: readonly Running[], pid: number, named: string): Outcome<string> {
  const its = running.find((one) => one.facts?.pid === pid);
  if (its !== undefined) return found(its.socketPath);
  const remedy = "wait until it has settled, or name it with --state-dir";
  return failed(noCluster(`the cluster of process ${pid}, which ${named} points at, takes no faults yet`, remedy));
}

/** The socket, if somebody listens there. */
async function living(socketPath: string, named: string, signal: AbortSignal): Promise<Outcome<string>> {
  const reached = await readFacts(socketPath, signal);
  if (reached.kind !== "gone") return found(socketPath);
  const remedy = "start one with tranche up, or leave the name out to find the one that runs";
  return failed(noCluster(`no cluster answers at ${socketPath}, which ${named} points at`, remedy));
}

interface Running {
  readonly socketPath: string;
  /** `undefined` when it did not say. */
  readonly facts: ClusterFacts | undefined;
}

/** The clusters of this user that are there; those that were killed are taken off the list. */
async function runningClusters(env: Environment, signal: AbortSignal): Promise<readonly Running[]> {
  const asked = (await listedClusters(env)).map(async (listed): Promise<readonly Running[]> => {
    const { socketPath } = listed;
    const reached = await readFacts(socketPath, signal);
    if (reached.kind !== "gone") return [{ socketPath, facts: reached.kind === "answer" ? reached.value : undefined }];
    await forgetCluster(listed);
    return [];
  });
  return (await Promise.all(asked)).flat();
}

function onlyOne(running: readonly Running[]): Outcome<string> {
  const [first, ...others] = running;
  if (first === undefined) {
    const remedy = "start one with tranche up; it takes faults once it has settled and says that it stays";
    return failed(noCluster("no tranche up of yours is running", remedy));
  }
  if (others.length === 0) return found(first.socketPath);
  const names = running.map(({ socketPath, facts }) => {
    const directory = dirname(socketPath);
    return facts === undefined ? directory : `${directory} (process ${facts.pid}; ${facts.nodes.join(", ")})`;
  });
  const message = `${running.length} clusters of yours are running: ${names.join("; ")}`;
  const remedy = `say which one with --state-dir, for example --state-dir ${shellWord(dirname(first.socketPath))}`;
  return failed(finding("several-clusters-running", { kind: "command", name: "tranche fault" }, message, { remedy }));
}

function noCluster(message: string, remedy: string): Finding {
  return finding("no-cluster-running", { kind: "command", name: "tranche fault" }, message, { remedy });
}

function found(socketPath: string): Outcome<string> {
  return { ok: true, value: socketPath, findings: [] };
}

function failed(one: Finding): Outcome<string> {
  return { ok: false, findings: [one] };
}
