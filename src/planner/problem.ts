/**
 * The choice as numbers: which resources matter, which pods and nodes are alike, what each node can become.
 *
 * Nodes that can become the same and admit the same pods form a group, and configs that differ only in what nobody
 * asks for count as one: a fleet of a hundred equal nodes has a few thousand distinct plans, not 5^100.
 */
import type { PodClass } from "./packing.ts";
import type { Amounts, ChooseInput, PlannerConfig, PlannerNode, PlannerPod } from "./types.ts";

/** One thing a node can become; the first of a node's options is always to stay as it is. */
export interface Option<C extends PlannerConfig> {
  readonly config: C | undefined;
  /** Position in file order, -1 for staying. */
  readonly order: number;
  /** What pending pods can use, by resource number. */
  readonly free: readonly number[];
  /** Devices of each resource number that a change would offer; zeros for staying. */
  readonly created: readonly number[];
  /** Devices a change would offer of resources no pod asks for. */
  readonly unasked: number;
}

/** Nodes with equal options and equal pods, by node number. */
export interface NodeGroup<C extends PlannerConfig> {
  readonly members: readonly number[];
  readonly options: readonly Option<C>[];
}

export interface Problem<C extends PlannerConfig, P extends PlannerPod> {
  readonly resources: readonly string[];
  readonly groups: readonly NodeGroup<C>[];
  readonly classes: readonly PodClass[];
  /** The pods of each class. */
  readonly members: readonly (readonly P[])[];
  /** What all pods together ask for, by resource number. */
  readonly demand: readonly number[];
  readonly nodeCount: number;
}

/** Turns the input into numbers. */
export function problemOf<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod>(
  input: ChooseInput<N, C, P>,
): Problem<C, P> {
  const { nodes, pods } = input;
  const options = new Map(nodes.map((node) => [node.name, rawOptions(input, node)]));
  const devices = new Set([...options.values()].flat().flatMap((one) => Object.keys(one.offers)));
  const asked = new Set(pods.flatMap((pod) => askedOf(pod)));
  // Devices come first: the bound of a packing goes by the first resource a pod asks for.
  const resources = [...asked].sort((a, b) => Number(devices.has(b)) - Number(devices.has(a)) || (a < b ? -1 : 1));
  const { classes, members } = classesOf(input, resources);
  const groups = groupsOf(nodes, classes, (node) => finishOptions(node, options.get(node.name) ?? [], resources));
  const demand = resources.map((resource) => pods.reduce((sum, pod) => sum + (pod.requests[resource] ?? 0), 0));
  return { resources, groups, classes, members, demand, nodeCount: nodes.length };
}

function askedOf(pod: PlannerPod): string[] {
  return Object.keys(pod.requests).filter((resource) => (pod.requests[resource] ?? 0) > 0);
}

interface RawOption<C extends PlannerConfig> {
  readonly config: C | undefined;
  readonly order: number;
  readonly offers: Amounts;
}

function rawOptions<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod>(
  input: ChooseInput<N, C, P>,
  node: N,
): RawOption<C>[] {
  const stay = { config: undefined, order: -1, offers: input.offersAfter(node, undefined) ?? {} };
  if (node.config !== undefined) return [stay];
  const changes = input.configs.flatMap((config, order) => {
    const offers = input.offersAfter(node, config);
    if (offers === undefined || !covers(offers, stay.offers, node.used)) return [];
    return [{ config, order, offers }];
  });
  return [stay, ...changes];
}

/** Whether a change leaves every device that a pod holds; what is used of other resources it does not touch. */
function covers(offers: Amounts, present: Amounts, used: Amounts): boolean {
  return Object.keys(present).every((resource) => (used[resource] ?? 0) <= (offers[resource] ?? 0));
}

function finishOptions<C extends PlannerConfig>(
  node: PlannerNode,
  raw: readonly RawOption<C>[],
  resources: readonly string[],
): Option<C>[] {
  const asked = new Set(resources);
  const all = raw.map(({ config, order, offers }): Option<C> => {
    const changed = config !== undefined;
    const unasked = Object.entries(offers).filter(([resource]) => changed && !asked.has(resource));
    const has: Amounts = { ...node.allocatable, ...offers };
    return {
      config,
      order,
      free: resources.map((resource) => (has[resource] ?? 0) - (node.used[resource] ?? 0)),
      created: resources.map((resource) => (changed ? (offers[resource] ?? 0) : 0)),
      unasked: unasked.reduce((sum, [, count]) => sum + count, 0),
    };
  });
  // Of options that give pods the same, the one that changes nothing, then creates least, then stands first.
  const best = new Map<string, Option<C>>();
  for (const option of all) {
    const key = option.free.join();
    const known = best.get(key);
    if (known === undefined || (known.config !== undefined && option.unasked < known.unasked)) best.set(key, option);
  }
  return [...best.values()].sort((a, b) => a.order - b.order);
}

function groupsOf<C extends PlannerConfig, N extends PlannerNode>(
  nodes: readonly N[],
  classes: readonly PodClass[],
  optionsOf: (node: N) => Option<C>[],
): NodeGroup<C>[] {
  const groups = new Map<string, { members: number[]; options: Option<C>[] }>();
  for (const [index, node] of nodes.entries()) {
    const options = optionsOf(node);
    const admitted = classes.flatMap((one, number) => (one.nodes.includes(index) ? [number] : []));
    const key = JSON.stringify([options.map((one) => [one.order, one.free, one.created, one.unasked]), admitted]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { members: [index], options });
    else group.members.push(index);
  }
  return [...groups.values()];
}

function classesOf<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod>(
  { nodes, pods, mayRun }: ChooseInput<N, C, P>,
  resources: readonly string[],
): { classes: PodClass[]; members: P[][] } {
  const byKey = new Map<string, { requests: number[]; nodes: number[]; pods: P[] }>();
  for (const pod of pods) {
    const requests = resources.map((resource) => pod.requests[resource] ?? 0);
    const admitting = nodes.flatMap((node, index) => (mayRun(pod, node) ? [index] : []));
    const key = JSON.stringify([requests, admitting]);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, { requests, nodes: admitting, pods: [pod] });
    else known.pods.push(pod);
  }
  const found = [...byKey.values()];
  const popularity = nodes.map((_, index) => found.filter((one) => one.nodes.includes(index)).length);
  const classes = found.map(({ requests, nodes: admitting, pods: members }) => ({
    requests,
    asked: requests.flatMap((amount, resource) => (amount > 0 ? [resource] : [])),
    count: members.length,
    // Nodes few others may use are filled first.
    nodes: admitting.sort((a, b) => (popularity[a] ?? 0) - (popularity[b] ?? 0) || a - b),
  }));
  return { classes, members: found.map((one) => one.pods) };
}
