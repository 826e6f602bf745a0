/**
 * How the agent reaches the Kubernetes API: by a kubeconfig, as a pod of the cluster, or not at all.
 */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { errorText, type Finding, finding, type Logger, type Outcome } from "../../base/index.ts";
import { readJsonText } from "../../config/index.ts";
import {
  connectionFromKubeconfig,
  inClusterConnection,
  type KubeApi,
  KubeClient,
  type KubeConnection,
} from "../../kube/index.ts";
import type { AgentArguments } from "./command.ts";
import { noKubernetes } from "./no-kubernetes.ts";

/** The API, and how to let go of it. */
export interface AgentApi {
  readonly api: KubeApi;
  /** As people know it: its URL, or that there is none. */
  readonly name: string;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Connects as the arguments say; does not ask the API anything yet. */
export async function connectAgent(args: AgentArguments, env: Environment, log: Logger): Promise<Outcome<AgentApi>> {
  const connection = await connectionOf(args, env);
  if (!connection.ok) return connection;
  if (connection.value === undefined) {
    const name = "no Kubernetes API";
    const api: AgentApi = { api: noKubernetes(args.nodeName, log), name, close: async () => {} };
    return { ok: true, value: api, findings: [without(args)] };
  }
  const client = new KubeClient(connection.value);
  const value = { api: client, name: connection.value.server, close: () => client.close() };
  return { ok: true, value, findings: [] };
}

async function connectionOf(args: AgentArguments, env: Environment): Promise<Outcome<KubeConnection | undefined>> {
  if (!args.kubernetes) return { ok: true, value: undefined, findings: [] };
  if (args.kubeconfig !== undefined) return connectionOfFile(args.kubeconfig);
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) return { ok: true, value: undefined, findings: [] };
  try {
    return { ok: true, value: await inClusterConnection({ host, port }), findings: [] };
  } catch (error) {
    return refused(`the pod has no service account: ${errorText(error)}`);
  }
}

async function connectionOfFile(path: string): Promise<Outcome<KubeConnection>> {
  try {
    const read = readJsonText(await readFile(path, "utf8"), path);
    return read.ok ? connectionFromKubeconfig(read.value.value, { directory: dirname(path) }) : read;
  } catch (error) {
    return refused(`cannot read ${path}: ${errorText(error)}`);
  }
}

function refused(message: string): Outcome<never> {
  const remedy = "name a file with --kubeconfig, or run without an API with --no-kubernetes";
  const subject = { kind: "config", name: "kubeconfig" } as const;
  return { ok: false, findings: [finding("kubeconfig-unusable", subject, message, { remedy })] };
}

function without({ nodeName, configFile, configDirectory }: AgentArguments): Finding {
  const config = configFile ?? configDirectory;
  const from = config === undefined ? "the defaults" : config;
  const message = `without a Kubernetes API the config is ${from}; no GPU is cut, and no label or event is written`;
  const remedy = "name a kubeconfig with --kubeconfig if the node shall follow its labels and ClusterPolicy";
  return finding("no-kubernetes-api", { kind: "node", name: nodeName }, message, { remedy });
}
