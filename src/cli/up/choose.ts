/**
 * Chooses a mig-parted config for each node when the user labelled none.
 *
 * What a node would offer under a config is not guessed: the plan is carried out on simulated GPUs of the node's models,
 * and what stands then is offered by the code that offers on a node. Only GPU resources are weighed.
 */
import { type DesiredState, desiredState, MIG_CONFIG_KEY, MIG_CONFIG_LABEL } from "../../agent/index.ts";
import { type Finding, finding, silentLogger } from "../../base/index.ts";
import { embeddedFile, type MigConfig, parseMigParted, readClusterPolicy, wantedMig } from "../../config/index.ts";
import { type Gpu, SimulatedDriver } from "../../gpu/index.ts";
import { featureLabels } from "../../insight/index.ts";
import { type Node, type Pod, placementObstacle, podRequests } from "../../kube/index.ts";
import { executePlan, planGpu } from "../../partition/index.ts";
import {
  type Amounts,
  type ConfigPlan,
  chooseConfigs,
  type PlannerNode,
  type PlannerPod,
} from "../../planner/index.ts";
import { capacity, offers } from "../../sharing/index.ts";
import type { Declared } from "./declared.ts";
import { SIMULATED_MACHINE, type SimulatedNode } from "./nodes.ts";
import { inputsOf } from "./preflight.ts";

const GPU_RESOURCE_PREFIX = "nvidia.com/";

interface ChoiceNode extends PlannerNode {
  readonly node: Node;
  readonly gpus: readonly Gpu[];
  readonly models: SimulatedNode["gpus"];
  readonly desired: DesiredState;
}

interface ChoicePod extends PlannerPod {
  readonly pod: Pod;
}

/** Which label each node shall get, and why. */
export interface Chosen {
  readonly labels: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
}

const NOTHING: Chosen = { labels: new Map(), findings: [] };

/**
 * Names a config for every node that gains pods by one.
 *
 * A file of which no config can be followed by any node is reported with what is wrong in it.
 */
export async function chooseMigConfigs(
  declared: Declared,
  gpusOf: ReadonlyMap<string, readonly Gpu[]>,
): Promise<Chosen> {
  if (declared.nodes.some((node) => node.labels[MIG_CONFIG_LABEL] !== undefined)) return NOTHING;
  const configs = declaredConfigs(declared);
  if (configs.length === 0) return NOTHING;
  const nodes = declared.nodes.map((node) => choiceNode(declared, node, gpusOf.get(node.name) ?? []));
  const outcomes = new Map<ChoiceNode, ReadonlyMap<MigConfig, Followed>>();
  for (const node of nodes) {
    const followed = configs.map(async (config) => [config, await follow(node, config)] as const);
    outcomes.set(node, new Map(await Promise.all(followed)));
  }
  const all = [...outcomes.values()].flatMap((one) => [...one.values()]);
  if (all.every((one) => one.gpus === undefined)) return { ...NOTHING, findings: all.flatMap((one) => one.findings) };
  const shapes = new Map(await Promise.all(nodes.map(async (node) => [node, await shapesOf(node, outcomes)] as const)));
  const plan = chooseConfigs({
    nodes,
    configs,
    pods: declared.pods.map(choicePod),
    offersAfter: (node, config) => {
      const gpus = config === undefined ? node.gpus : outcomes.get(node)?.get(config)?.gpus;
      return gpus && offered(node, gpus);
    },
    mayRun: (one, node) => shapes.get(node)?.some((shape) => placementObstacle(one.pod, shape) === undefined) ?? false,
  });
  return chosen(plan);
}

function choicePod(pod: Pod): ChoicePod {
  const requests = [...podRequests(pod)].filter(([resource]) => resource.startsWith(GPU_RESOURCE_PREFIX));
  const name = `${pod.metadata.namespace ?? "default"}/${pod.metadata.name}`;
  return { name, requests: Object.fromEntries(requests), pod };
}

/** The configs of the ConfigMap that the policy names. */
function declaredConfigs({ configMaps, policies }: Declared): readonly MigConfig[] {
  const [policy] = policies;
  const read = policy && readClusterPolicy({ ...policy }, () => ({ file: "", line: 1, column: 1 }));
  const name = read?.ok ? read.value.migManager.configName : undefined;
  const map = configMaps.find((one) => one.object.metadata.name === name);
  const file = map && embeddedFile(map.manifest, MIG_CONFIG_KEY);
  const configs = file && parseMigParted(file.text, file.file, file.placeAt);
  return configs?.ok ? [...configs.value.configs.values()] : [];
}

function choiceNode(declared: Declared, simulated: SimulatedNode, gpus: readonly Gpu[]): ChoiceNode {
  const inputs = inputsOf(declared, simulated);
  const desired = desiredState(inputs, gpus, undefined);
  const { name, gpus: models } = simulated;
  return { name, config: undefined, allocatable: {}, used: {}, node: inputs.node, gpus, models, desired };
}

interface Followed {
  /** The node's GPUs as they would be; `undefined` when one of them cannot follow or the config reaches none. */
  readonly gpus: readonly Gpu[] | undefined;
  readonly findings: readonly Finding[];
}

/** Carries the config out on simulated GPUs like the node's. */
async function follow({ name, models }: ChoiceNode, config: MigConfig): Promise<Followed> {
  const driver = new SimulatedDriver({ models, seed: name });
  const gpus = await driver.list();
  const { wanted, findings } = wantedMig(config, gpus);
  if (wanted.length === 0 || findings.some((one) => one.severity === "error")) return { gpus: undefined, findings };
  for (const one of wanted) {
    const gpu = gpus.find((candidate) => candidate.uuid === one.gpuUuid);
    const plan = gpu && planGpu({ gpu, wanted: one, holders: new Map() });
    if (plan === undefined || !plan.complete) return { gpus: undefined, findings: plan?.findings ?? [] };
    await executePlan(driver, plan, { signal: new AbortController().signal, log: silentLogger });
  }
  return { gpus: await driver.list(), findings: [] };
}

/** The node with the labels its agent would give it: as it is, and under each config. */
async function shapesOf(
  choice: ChoiceNode,
  outcomes: ReadonlyMap<ChoiceNode, ReadonlyMap<MigConfig, Followed>>,
): Promise<readonly Node[]> {
  const { name, node, models, gpus, desired } = choice;
  const driver = new SimulatedDriver({ models, seed: name });
  const facts = await driver.nodeFacts();
  const followed = [...(outcomes.get(choice)?.values() ?? [])].flatMap((one) =>
    one.gpus === undefined ? [] : [one.gpus],
  );
  return [gpus, ...followed].map((shape) => {
    const { labels } = featureLabels({
      nodeName: name,
      gpus: shape,
      driverVersion: driver.driverVersion,
      facts,
      config: desired.pluginConfig,
      migStrategy: desired.settings.migStrategy,
      machineType: SIMULATED_MACHINE,
      timestamp: undefined,
    });
    const metadata = { ...node.metadata, labels: { ...node.metadata.labels, ...Object.fromEntries(labels) } };
    return { ...node, metadata };
  });
}

function offered({ name, desired }: ChoiceNode, gpus: readonly Gpu[]): Amounts {
  const { pluginConfig, settings } = desired;
  return Object.fromEntries(capacity(offers({ gpus, config: pluginConfig, settings, nodeName: name }).offers));
}

function chosen(plan: ConfigPlan<ChoiceNode, MigConfig, ChoicePod>): Chosen {
  const changes = plan.choices.flatMap((one) => (one.config === undefined ? [] : [{ ...one, config: one.config }]));
  const findings = changes.map(({ node, config, podsWith, podsWithout }) =>
    finding(
      "mig-config-chosen",
      { kind: "node", name: node.name },
      `${node.name} gets the mig-parted config ${config.name}: ${podsWith} pods can run with it, ${podsWithout} without`,
      {
        place: config.place,
        remedy: `on a real cluster: kubectl label node ${node.name} ${MIG_CONFIG_LABEL}=${config.name}`,
        evidence: { config: config.name, podsWith, podsWithout, exact: plan.exact },
      },
    ),
  );
  return { labels: new Map(changes.map(({ node, config }) => [node.name, config.name])), findings };
}
