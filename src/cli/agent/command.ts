/**
 * The options of `tranche agent` and their help.
 */
import { hostname } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import type { CommandContext } from "../node/context.ts";
import type { RunNodeCommand } from "../node/options.ts";
import { addNodeOptions, type NodeArguments, nodeArguments, type RawNodeOptions } from "../node/options.ts";
import { featureSettings, pluginSettings, type Setting, settingsOf, sharedSettings } from "./settings.ts";

/** Where an endpoint listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface AgentArguments {
  readonly machine: NodeArguments;
  readonly nodeName: string;
  /** `undefined`: the pod's own cluster, or none. */
  readonly kubeconfig: string | undefined;
  readonly kubernetes: boolean;
  /** The namespace whose ConfigMaps are read; `undefined` for all. */
  readonly namespace: string | undefined;
  readonly configFile: string | undefined;
  readonly configDirectory: string | undefined;
  /** `[namespace/]name`. */
  readonly configMap: string | undefined;
  readonly nodeLabel: string;
  readonly defaultConfig: string;
  readonly fallbackStrategies: readonly string[];
  readonly kubeletRoot: string;
  readonly kubeletSocket: string | undefined;
  readonly podResourcesSocket: string | undefined;
  readonly cdiDirectory: string;
  /** NVIDIA's MPS control daemon. */
  readonly mpsControl: string;
  /** Whether its servers take clients of several users at the same time. */
  readonly mpsMultiUser: boolean;
  readonly listen: ListenAddress | undefined;
  readonly heapSnapshot: boolean;
  /** Options and variables of NVIDIA's daemons. */
  readonly settings: ReadonlyMap<string, string>;
}

interface RawOptions extends RawNodeOptions {
  readonly nodeName?: string;
  readonly kubeconfig?: string;
  readonly kubernetes: boolean;
  readonly namespace?: string;
  readonly configFile?: string;
  readonly configFileSrcdir?: string;
  readonly configMap?: string;
  readonly nodeLabel: string;
  readonly defaultConfig: string;
  readonly fallbackStrategies: readonly string[];
  readonly kubeletRoot: string;
  readonly kubeletSocket?: string;
  readonly podResourcesSocket?: string;
  readonly cdiDirectory: string;
  readonly mpsControl: string;
  readonly mpsMultiUser?: true;
  readonly listen?: ListenAddress;
  readonly heapSnapshot?: true;
}

const DESCRIPTION = [
  "Runs on a GPU node beside its kubelet, in place of NVIDIA's device plugin, feature discovery, MIG manager and config",
  "manager: offers GPUs and their slices, cuts GPUs as the node's label says, labels the node and watches its health.",
].join(" ");

const HELP = `
Every option of a group "as NVIDIA's" overrules its environment variable, that overrules the ClusterPolicy, and that the
config. What cannot be used is a finding, and what the next one says stays in force.

XID errors that make devices unhealthy:
  DP_DISABLE_HEALTHCHECKS  XIDs to pass over beside 13, 31, 43, 45, 68 and 109; all passes over every one
  DP_ENABLE_HEALTHCHECKS   XIDs that count nevertheless; all for every one

Without a Kubernetes API (no kubeconfig, not in a pod, or --no-kubernetes) the config comes from --config-file or
--config-file-srcdir alone; nothing is cut and no label or event is written.

Signals: SIGHUP looks at everything again at once; SIGTERM, SIGINT and SIGQUIT end in good order.

Examples:
  tranche agent --kubeconfig /etc/kubernetes/tranche.conf --listen 127.0.0.1:9402
  tranche agent --no-kubernetes --config-file config.yaml --mig-strategy mixed

Exit codes: 0 ended by a signal, 1 refused or failed, 2 wrong usage.`;

/** The command; `run` gets what its action returns, the exit code. */
export function agentCommand(
  run: RunNodeCommand,
  action: (args: AgentArguments, context: CommandContext) => Promise<number>,
): Command {
  const command = new Command("agent")
    .summary("share the GPUs of this node between pods, beside its kubelet")
    .description(DESCRIPTION)
    .addHelpText("after", HELP);
  kubernetesOptions(command);
  configOptions(command);
  kubeletOptions(command);
  command
    .optionsGroup("Containers:")
    .option("--cdi-directory <dir>", "where CDI specs are written", "/var/run/cdi")
    .option("--mps-control <program>", "MPS control daemon of GPUs shared by MPS", "nvidia-cuda-mps-control")
    .option("--mps-multi-user", "start it with -M: pods of different users on one GPU at the same time");
  endpointOptions(command);
  addNodeOptions(command);
  addSettings(command.optionsGroup("As NVIDIA's device plugin and feature discovery:"), sharedSettings);
  addSettings(command.optionsGroup("As NVIDIA's device plugin:"), pluginSettings);
  addSettings(command.optionsGroup("As NVIDIA's feature discovery:"), featureSettings);
  for (const name of ["--pod-name", "--kube-api-qps", "--kube-api-burst"]) {
    command.addOption(new Option(`${name} <value>`, "of feature discovery; no effect").hideHelp());
  }
  return command.action((raw: RawOptions) => run(raw, (context) => action(argumentsOf(raw), context)));
}

function kubernetesOptions(command: Command): void {
  command
    .optionsGroup("Kubernetes:")
    .addOption(new Option("--node-name <name>", "this node in Kubernetes (default: the host's name)").env("NODE_NAME"))
    .addOption(new Option("--kubeconfig <file>", "how to reach the API (default: as the pod's own)").env("KUBECONFIG"))
    .option("--no-kubernetes", "use no Kubernetes API even if there is one")
    .addOption(
      new Option("--namespace <name>", "read ConfigMaps of this namespace only (default: of all)").env("NAMESPACE"),
    );
}

function configOptions(command: Command): void {
  command
    .optionsGroup("Device plugin config (default: what the ClusterPolicy names):")
    .addOption(new Option("--config-file <file>", "the config").env("CONFIG_FILE"))
    .addOption(new Option("--config-file-srcdir <dir>", "configs to choose from, one a file").env("CONFIG_FILE_SRCDIR"))
    .option("--config-map <[namespace/]name>", "ConfigMap of configs to choose from, one a key")
    .addOption(
      new Option("--node-label <label>", "label of the node that chooses")
        .env("NODE_LABEL")
        .default("nvidia.com/device-plugin.config"),
    )
    .addOption(
      new Option("--default-config <name>", "config of a node without the label")
        .env("DEFAULT_CONFIG")
        .default("", "none"),
    )
    .addOption(
      new Option("--fallback-strategies <word,…>", "what else to try: named, single, empty")
        .env("FALLBACK_STRATEGIES")
        .argParser(listOf)
        .default(["named", "single"], "named,single"),
    );
}

function kubeletOptions(command: Command): void {
  command
    .optionsGroup("Kubelet:")
    .option("--kubelet-root <dir>", "the kubelet's directory", "/var/lib/kubelet")
    .addOption(
      new Option(
        "--kubelet-socket <path>",
        "where plugins register; their own sockets come beside it (default: device-plugins/kubelet.sock below the root)",
      )
        .env("KUBELET_SOCKET")
        .argParser(kubeletSocket),
    )
    .option(
      "--pod-resources-socket <path>",
      "where the kubelet tells who holds what (default: pod-resources/kubelet.sock below the root)",
    );
}

function endpointOptions(command: Command): void {
  command
    .optionsGroup("Endpoints:")
    .addOption(
      new Option(
        "--listen <[address:]port>",
        "serve /healthz, /readyz and /metrics there over HTTP; without an address on 127.0.0.1 (default: do not)",
      ).argParser(listenAddress),
    )
    .option("--heap-snapshot", "serve /debug/heap as well: the whole memory of the agent, its credentials among it");
}

function addSettings(command: Command, settings: readonly Setting[]): void {
  for (const { option, aliases, kind, value, help, variables } of settings) {
    const form = kind === "truth" ? `[${value}]` : `<${value}>`;
    for (const name of [option, ...aliases]) {
      const also = [...aliases.map((alias) => `or ${alias}`), ...variables.map((one) => `env: ${one}`)].join(", ");
      const made = new Option(`${name === "--output-file" ? "-o, " : ""}${name} ${form}`, `${help} (${also})`);
      if (kind === "list") made.argParser(collect);
      command.addOption(name === option ? made : made.hideHelp());
    }
  }
}

function argumentsOf(raw: RawOptions): AgentArguments {
  return {
    machine: nodeArguments(raw),
    nodeName: raw.nodeName ?? hostname().toLowerCase(),
    kubeconfig: raw.kubeconfig || undefined,
    kubernetes: raw.kubernetes,
    namespace: raw.namespace || undefined,
    configFile: raw.configFile || undefined,
    configDirectory: raw.configFileSrcdir || undefined,
    configMap: raw.configMap,
    nodeLabel: raw.nodeLabel,
    defaultConfig: raw.defaultConfig,
    fallbackStrategies: raw.fallbackStrategies,
    kubeletRoot: raw.kubeletRoot,
    kubeletSocket: raw.kubeletSocket,
    podResourcesSocket: raw.podResourcesSocket,
    cdiDirectory: raw.cdiDirectory,
    mpsControl: raw.mpsControl,
    mpsMultiUser: raw.mpsMultiUser === true,
    listen: raw.listen,
    heapSnapshot: raw.heapSnapshot === true,
    settings: settingsOf({ ...raw }, process.env),
  };
}

function collect(value: string, before: unknown): readonly string[] {
  return [...(Array.isArray(before) ? before : []), value];
}

function listOf(value: string): readonly string[] {
  return value.split(",").flatMap((one) => (one.trim() === "" ? [] : [one.trim()]));
}

/** NVIDIA's plugin takes an empty path for "do not register"; an agent that nobody knows of would offer nothing. */
function kubeletSocket(path: string): string {
  if (!path.endsWith("/kubelet.sock")) throw new InvalidArgumentError("write a path that ends in /kubelet.sock");
  return path;
}

function listenAddress(text: string): ListenAddress {
  const [, bracketed, plain, digits = ""] = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) throw new InvalidArgumentError("write a port, or address:port");
  return { host: bracketed || plain || "127.0.0.1", port };
}
