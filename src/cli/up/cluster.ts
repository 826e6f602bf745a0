/**
 * The embedded cluster put together: API server, scheduler, controllers, and for each node its GPUs, kubelet and agent.
 *
 * Everything talks to the API server over HTTPS through the client that a real cluster gets, and agent and kubelet
 * meet on unix sockets only.
 */
import {
  type Clock,
  errorText,
  type Finding,
  finding,
  type Logger,
  type Outcome,
  TrancheError,
} from "../../base/index.ts";
import {
  type ApiServer,
  Controllers,
  logReader,
  NodeLifecycle,
  Scheduler,
  startApiServer,
} from "../../embedded/index.ts";
import type { NodeSnapshot } from "../../insight/index.ts";
import { KubeClient, type Node, resources } from "../../kube/index.ts";
import { ClusterNode } from "./cluster-node.ts";
import type { SimulatedNode } from "./nodes.ts";
import { openStateDir, type StateDir } from "./state-dir.ts";

export interface ClusterOptions {
  readonly nodes: readonly SimulatedNode[];
  /** Port of the API server; `undefined` takes a free one. */
  readonly port: number | undefined;
  /** `undefined` takes a directory of its own and removes it at the end. */
  readonly stateDir: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A running cluster. */
export interface Cluster {
  readonly client: KubeClient;
  readonly api: ApiServer;
  /** Their agents run once `startWork` was called. */
  readonly nodes: readonly ClusterNode[];
  readonly kubeconfigPath: string;
  /** Where it keeps what it needs on disk. */
  readonly stateDirectory: string;
  /** Starts scheduler, controllers and agents; until then nodes are registered and nothing happens. */
  startWork(): void;
  /** Whether nothing is going on that was begun. */
  idle(): boolean;
  /** What each node's agent knows now. */
  snapshots(): Promise<readonly NodeSnapshot[]>;
  /** Ends everything in reverse order and removes what was made on disk. */
  stop(): Promise<void>;
}

/** Starts the API server and the nodes' kubelets. What stands in the way is a finding, and nothing stays behind. */
export async function startCluster(options: ClusterOptions): Promise<Outcome<Cluster>> {
  const names = options.nodes.map((node) => node.name);
  const opened = await openStateDir(options.stateDir, names);
  if (!opened.ok) return opened;
  const closers: (() => Promise<unknown>)[] = [() => opened.value.release()];
  try {
    const cluster = await build(options, opened.value, closers);
    return { ok: true, value: cluster, findings: [] };
  } catch (error) {
    await closeAll(closers);
    if (error instanceof TrancheError && error.code === "port-in-use") {
      return { ok: false, findings: [portInUse(options.port, error)] };
    }
    throw error;
  }
}

async function build(
  options: ClusterOptions,
  stateDir: StateDir,
  closers: (() => Promise<unknown>)[],
): Promise<Cluster> {
  const { clock, log } = options;
  const api = await startApiServer({ clock, log, ...(options.port === undefined ? {} : { port: options.port }) });
  closers.push(() => api.close());
  const kubeconfigPath = await stateDir.writeKubeconfig(api.kubeconfig());
  const client = new KubeClient(api.connection());
  closers.push(() => client.close());
  const scheduler = new Scheduler(client, { clock, log });
  const controllers = new Controllers(client, { clock, log });
  const lifecycle = new NodeLifecycle(client, { clock, log });
  const nodes: ClusterNode[] = [];
  for (const [ordinal, declared] of options.nodes.entries()) {
    const { name, gpus } = declared;
    const rootDirectory = stateDir.nodeRoot(name);
    const node = new ClusterNode({ name, ordinal, gpus, rootDirectory, api: client, clock, log });
    await client.create<Node>(resources.nodes, nodeObject(declared));
    await node.startKubelet();
    closers.push(() => node.stopKubelet());
    nodes.push(node);
  }
  api.setLogs(logReader(() => nodes.map((node) => node.kubelet)));
  const startWork = (): void => {
    scheduler.start();
    closers.push(() => scheduler.stop());
    controllers.start();
    closers.push(() => controllers.stop());
    lifecycle.start();
    closers.push(() => lifecycle.stop());
    for (const node of nodes) {
      node.startAgent();
      closers.push(() => node.stopAgent());
    }
  };
  return {
    client,
    api,
    nodes,
    kubeconfigPath,
    stateDirectory: stateDir.path,
    startWork,
    idle: () =>
      api.idle() && scheduler.idle() && controllers.idle() && lifecycle.idle() && nodes.every((node) => node.idle()),
    snapshots: () => Promise.all(nodes.map((node) => node.snapshot())),
    stop: () => closeAll(closers),
  };
}

function nodeObject({ name, labels, annotations, taints }: SimulatedNode): Node {
  const metadata = { name, labels: { ...labels }, annotations: { ...annotations } };
  return { apiVersion: "v1", kind: "Node", metadata, spec: { taints: [...taints] } };
}

async function closeAll(closers: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const close of closers.toReversed()) await close();
}

function portInUse(port: number | undefined, error: TrancheError): Finding {
  return finding("port-in-use", { kind: "command", name: `--port ${port}` }, errorText(error), {
    remedy: "choose another port, or leave --port out for a free one",
  });
}
