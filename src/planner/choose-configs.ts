/**
 * Which named config each node gets, so that most of the pending pods run.
 *
 * Nodes that already carry a config stay as they are; nothing a pod holds is taken away.
 */
import { type PodClass, pack } from "./packing.ts";
import { type Option, type Problem, problemOf } from "./problem.ts";
import { bestPlan, freeUnder } from "./search.ts";
import type {
  ChooseInput,
  ConfigChoice,
  ConfigPlan,
  Obstacle,
  PlannerConfig,
  PlannerNode,
  PlannerPod,
} from "./types.ts";

/** How far the few packings that become part of the answer are searched. */
const answerSteps = 5_000;
/** The same for the packing without one node's change, of which there is one for each node. */
const withoutSteps = 500;

/**
 * Chooses for every node a config or none. Between plans under which equally many pods run, the one that changes fewer
 * nodes is taken, then the one that creates fewer devices beyond what is asked for, then the earlier in the file.
 */
export function chooseConfigs<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod>(
  input: ChooseInput<N, C, P>,
): ConfigPlan<N, C, P> {
  const problem = problemOf(input);
  const found = bestPlan(problem);
  const packing = pack(freeUnder(found.options), problem.classes, answerSteps);
  const stay = stayOptions(problem);
  const now = pack(freeUnder(stay), problem.classes, answerSteps);
  const placements: { pod: P; node: N }[] = [];
  const waiting: { pod: P; obstacle: Obstacle }[] = [];
  for (const [index, members] of problem.members.entries()) {
    const pods = [...members];
    for (const [number, node] of input.nodes.entries()) {
      const taken = pods.splice(0, packing.counts[index]?.[number] ?? 0);
      placements.push(...taken.map((pod) => ({ pod, node })));
    }
    for (const pod of pods) waiting.push({ pod, obstacle: obstacleOf(problem, index) });
  }
  return {
    choices: choicesOf(input, problem, { options: found.options, stay, placed: packing.placed }),
    placements,
    podsNow: now.placed,
    waiting,
    exact: found.exact && packing.exact,
  };
}

function choicesOf<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod>(
  input: ChooseInput<N, C, P>,
  problem: Problem<C, P>,
  found: { readonly options: readonly Option<C>[]; readonly stay: readonly Option<C>[]; readonly placed: number },
): ConfigChoice<N, C>[] {
  const { options, stay, placed } = found;
  return input.nodes.map((node, index): ConfigChoice<N, C> => {
    const config = options[index]?.config;
    const offers = input.offersAfter(node, config) ?? {};
    const unchanged = stay[index];
    if (config === undefined || unchanged === undefined) {
      return { node, config, offers, podsWith: placed, podsWithout: placed };
    }
    const without = pack(freeUnder(options.with(index, unchanged)), problem.classes, withoutSteps);
    return { node, config, offers, podsWith: placed, podsWithout: without.placed };
  });
}

function stayOptions<C extends PlannerConfig, P extends PlannerPod>(problem: Problem<C, P>): Option<C>[] {
  return everyOption(problem).flatMap(([first]) => (first === undefined ? [] : [first]));
}

/** All options of each node, by node number. */
function everyOption<C extends PlannerConfig, P extends PlannerPod>(problem: Problem<C, P>): (readonly Option<C>[])[] {
  const options: (readonly Option<C>[])[] = Array.from({ length: problem.nodeCount }, () => []);
  for (const group of problem.groups) for (const member of group.members) options[member] = group.options;
  return options;
}

/** Why a pod of this class does not run: what it lacks even alone, or that others took its place. */
function obstacleOf<C extends PlannerConfig, P extends PlannerPod>(problem: Problem<C, P>, index: number): Obstacle {
  const one = problem.classes[index];
  if (one === undefined || one.nodes.length === 0) return { kind: "no-node", nodes: problem.nodeCount };
  const nodes = one.nodes.length;
  const options = everyOption(problem);
  const reachable = one.nodes.flatMap((node) => options[node] ?? []);
  for (const resource of one.asked) {
    const most = Math.max(0, ...reachable.map((option) => option.free[resource] ?? 0));
    const name = problem.resources[resource] ?? "";
    const wanted = one.requests[resource] ?? 0;
    if (most === 0) return { kind: "not-offered", resource: name, nodes };
    if (most < wanted) return { kind: "too-large", resource: name, wanted, most };
  }
  const fits = reachable.some((option) => fitsAlone(one, option));
  return fits ? { kind: "taken-by-others", nodes } : { kind: "no-node-with-all", nodes };
}

function fitsAlone<C extends PlannerConfig>(one: PodClass, option: Option<C>): boolean {
  return one.asked.every((resource) => (one.requests[resource] ?? 0) <= (option.free[resource] ?? 0));
}
