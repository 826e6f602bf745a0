/**
 * The embedded cluster put together: API server, scheduler, controllers, and for each node its GPUs, kubelet and agent.
 *
 * Everything talks to the API server over HTTPS through the client that a real cluster gets, and agent and kubelet
 * meet on unix sockets only.
 */
import { type Clock, type Finding, type Logger, type Outcome, TrancheError } from "../../base/index.ts";
import { type ApiServer, Controllers, logReader, NodeLifecycle, Scheduler } from "../../embedded/index.ts";
import type { NodeSnapshot } from "../../insight/index.ts";
import { KubeClient, KubeError, type Node, type Pod, ResourceCache, resources } from "../../kube/index.ts";
import { ensureObject, refused } from "./apply.ts";
import { ClusterNode } from "./cluster-node.ts";
import { startFinding, startKeptApi } from "./kept-api.ts";
import { writeKubeconfigFile } from "./kubeconfig-file.ts";
import { keepHeapLean } from "./lean-heap.ts";
import type { SimulatedNode } from "./nodes.ts";
import { placedNodes } from "./placed-nodes.ts";
import type { StateDir } from "./state-dir.ts";

export interface ClusterOptions {
  readonly nodes: readonly SimulatedNode[];
  /** Port of the API server; `undefined` takes the one it had before, or a free one. */
  readonly port: number | undefined;
  /** Given up when the cluster ends, also when it does not come to be. */
  readonly stateDir: StateDir;
  /** Where the kubeconfig is written as well. */
  readonly kubeconfig?: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when what is kept on disk cannot be written, and when it can again. */
  tell(one: Finding): void;
}

/** A running cluster. */
export interface Cluster {
  readonly client: KubeClient;
  /** All nodes and pods, once for everybody in the process who follows them. */
  readonly caches: { readonly nodes: ResourceCache<Node>; readonly pods: ResourceCache<Pod> };
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
  /** Ends everything in reverse order and removes what is not kept; answers with what should be kept and is lost. */
  stop(): Promise<readonly Finding[]>;
}

/** What is to be ended, the last first, and what could not be kept then. */
interface Ending {
  readonly closers: (() => Promise<unknown>)[];
  readonly lost: Finding[];
}

/** Starts the API server and the nodes' kubelets. What stands in the way is a finding, and nothing stays behind. */
export async function startCluster(options: ClusterOptions): Promise<Outcome<Cluster>> {
  keepHeapLean(options.nodes.length);
  const ending: Ending = { closers: [() => options.stateDir.release()], lost: [] };
  try {
    const built = await build(options, ending);
    if (built.ok) options.stateDir.keep();
    else await closeAll(ending);
    return built;
  } catch (error) {
    await closeAll(ending);
    const known = error instanceof TrancheError ? startFinding(options, error) : undefined;
    if (known === undefined) throw error;
    return { ok: false, findings: [known] };
  }
}

async function build(options: ClusterOptions, ending: Ending): Promise<Outcome<Cluster>> {
  const { stateDir, clock, log } = options;
  const { closers, lost } = ending;
  const { api, close } = await startKeptApi(options);
  closers.push(async () => lost.push(...(await close())));
  const kubeconfigPath = await stateDir.writeKubeconfig(api.kubeconfig());
  if (options.kubeconfig !== undefined) {
    const written = await writeKubeconfigFile(options.kubeconfig, api.kubeconfig());
    if (!written.ok) return written;
    closers.push(() => written.value.remove());
  }
  const client = new KubeClient(api.connection());
  closers.push(() => client.close());
  const caches = {
    nodes: new ResourceCache<Node>(client, resources.nodes, { clock, log }),
    pods: new ResourceCache<Pod>(client, resources.pods, { clock, log }),
  };
  closers.push(follow(Object.values(caches)));
  const scheduler = new Scheduler(client, { clock, log, caches });
  const controllers = new Controllers(client, { clock, log, caches });
  const lifecycle = new NodeLifecycle(client, { clock, log, nodes: caches.nodes });
  const nodes: ClusterNode[] = [];
  for (const { node, ordinal, keeping } of await placedNodes(options.nodes, stateDir)) {
    const { name, gpus } = node;
    const rootDirectory = stateDir.nodeRoot(ordinal);
    const placed = new ClusterNode({ name, ordinal, gpus, rootDirectory, keeping, api: client, clock, log });
    closers.push(() => placed.stopKubelet());
    // In this order, so that whoever is killed in between leaves no node without a machine.
    await placed.switchOn();
    const problem = await registered(client, node);
    if (problem !== undefined) return { ok: false, findings: [problem] };
    await placed.startKubelet();
    nodes.push(placed);
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
  const cluster: Cluster = {
    client,
    caches,
    api,
    nodes,
    kubeconfigPath: options.kubeconfig ?? kubeconfigPath,
    stateDirectory: stateDir.path,
    startWork,
    idle: () =>
      api.idle() && scheduler.idle() && controllers.idle() && lifecycle.idle() && nodes.every((node) => node.idle()),
    snapshots: () => Promise.all(nodes.map((node) => node.snapshot())),
    stop: () => closeAll(ending),
  };
  return { ok: true, value: cluster, findings: [] };
}

/** Keeps the caches going, whoever else comes and leaves, until the answer is called. */
function follow(caches: readonly { run(signal: AbortSignal): Promise<void> }[]): () => Promise<unknown> {
  const ending = new AbortController();
  const running = Promise.all(caches.map((cache) => cache.run(ending.signal)));
  running.catch(() => {}); // Whoever ends it is told.
  return () => {
    ending.abort();
    return running;
  };
}

/** Why the server does not take the node; `undefined` when it does. */
async function registered(client: KubeClient, node: SimulatedNode): Promise<Finding | undefined> {
  try {
    await ensureObject(client, resources.nodes, nodeObject(node));
    return undefined;
  } catch (error) {
    if (error instanceof KubeError) return refused({ kind: "node", name: node.name }, node.place, error);
    throw error;
  }
}

function nodeObject({ name, labels, annotations, taints }: SimulatedNode): Node {
  const metadata = { name, labels: { ...labels }, annotations: { ...annotations } };
  return { apiVersion: "v1", kind: "Node", metadata, spec: { taints: [...taints] } };
}

/** Ends all of it, whatever one of them throws, and throws that in the end. */
async function closeAll({ closers, lost }: Ending): Promise<readonly Finding[]> {
  const errors: unknown[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return lost;
}
