/**
 * The search for the best plan: all of them while they are few, hill climbing from several starts when they are many.
 */
import { type Free, pack, packingBound, quickFill } from "./packing.ts";
import type { NodeGroup, Option, Problem } from "./problem.ts";
import type { PlannerConfig, PlannerPod } from "./types.ts";

/** How many distinct plans are all tried; more are climbed. */
const allTriedUpTo = 20_000;
/** How far one packing is searched beyond its first fill. */
const packingSteps = 5_000;

/** For each group, how many of its nodes take each option. */
type Plan = readonly (readonly number[])[];

interface Score {
  readonly placed: number;
  readonly changed: number;
  readonly surplus: number;
  /** Of each node, in order: lower stands earlier in the file. */
  readonly order: readonly number[];
}

/** The best plan found: the option of each node, by node number. */
export interface Found<C extends PlannerConfig> {
  readonly options: readonly Option<C>[];
  readonly exact: boolean;
}

/** Finds the plan under which most pods run; ties go to fewer changes, then less surplus, then file order. */
export function bestPlan<C extends PlannerConfig, P extends PlannerPod>(problem: Problem<C, P>): Found<C> {
  const search = new PlanSearch(problem);
  const exhaustive = search.planCount() <= allTriedUpTo;
  if (exhaustive) for (const plan of search.allPlans()) search.consider(plan);
  else for (const start of search.starts()) search.climb(start);
  return { options: optionsOf(problem, search.best), exact: exhaustive && search.exactPackings };
}

/** What pods can use on each node when the nodes take these options. */
export function freeUnder<C extends PlannerConfig>(options: readonly Option<C>[]): Free {
  return options.map((option) => option.free);
}

class PlanSearch<C extends PlannerConfig, P extends PlannerPod> {
  best: Plan;
  exactPackings = true;
  readonly #problem: Problem<C, P>;
  #score: Score;

  constructor(problem: Problem<C, P>) {
    this.#problem = problem;
    this.best = this.#stay();
    this.#score = { placed: -1, changed: 0, surplus: 0, order: [] };
    this.consider(this.best);
  }

  planCount(): number {
    return this.#problem.groups.reduce((count, { members, options }) => {
      // Multisets of the group's size: each node's step multiplies, and divides without rest.
      let ways = 1;
      for (let index = 1; index < options.length; index += 1) ways = (ways * (members.length + index)) / index;
      return count * ways;
    }, 1);
  }

  *allPlans(from = 0, chosen: Plan = []): Generator<Plan> {
    const group = this.#problem.groups[from];
    if (group === undefined) {
      yield chosen;
      return;
    }
    for (const split of splits(group.members.length, group.options.length)) {
      yield* this.allPlans(from + 1, [...chosen, split]);
    }
  }

  /** Everything stays; or every node that can takes the same config; the best so far. */
  *starts(): Generator<Plan> {
    yield this.best;
    const orders = new Set(this.#problem.groups.flatMap(({ options }) => options.map((option) => option.order)));
    for (const order of orders) {
      yield this.#problem.groups.map(({ members, options }) => {
        const index = Math.max(
          0,
          options.findIndex((option) => option.order === order),
        );
        return options.map((_, number) => (number === index ? members.length : 0));
      });
    }
  }

  /** Goes round the groups, changing one node or all alike nodes at once, as long as that helps. */
  climb(start: Plan): void {
    let plan = start;
    let score = this.#scoreOf(plan);
    for (let calm = 0, number = 0; calm < plan.length; number = (number + 1) % plan.length) {
      calm += 1;
      for (const counts of neighbours(plan[number] ?? [])) {
        const candidate = plan.with(number, counts);
        const reached = this.#scoreOf(candidate);
        if (!isBetter(reached, score)) continue;
        [plan, score] = [candidate, reached];
        calm = 0;
      }
    }
    if (isBetter(score, this.#score)) [this.best, this.#score] = [plan, score];
  }

  /** Takes `plan` if it is better than the best so far. */
  consider(plan: Plan): void {
    const options = optionsOf(this.#problem, plan);
    const rest = costOf(this.#problem, options);
    const bound = packingBound(freeUnder(options), this.#problem.classes);
    if (!isBetter({ ...rest, placed: bound }, this.#score)) return;
    const { placed, exact } = pack(freeUnder(options), this.#problem.classes, packingSteps);
    if (!exact) this.exactPackings = false;
    const score = { ...rest, placed };
    if (isBetter(score, this.#score)) [this.best, this.#score] = [plan, score];
  }

  #scoreOf(plan: Plan): Score {
    const options = optionsOf(this.#problem, plan);
    return { ...costOf(this.#problem, options), placed: quickFill(freeUnder(options), this.#problem.classes) };
  }

  #stay(): Plan {
    return this.#problem.groups.map(({ members, options }) =>
      options.map((_, index) => (index === 0 ? members.length : 0)),
    );
  }
}

/** The ways to write `total` as a sum of `parts` numbers, those with more of the first part first. */
function* splits(total: number, parts: number): Generator<readonly number[]> {
  if (parts <= 1) {
    yield [total];
    return;
  }
  for (let first = total; first >= 0; first -= 1) {
    for (const rest of splits(total - first, parts - 1)) yield [first, ...rest];
  }
}

/** The counts of one group after one of its nodes, or all with the same option, take another one. */
function* neighbours(counts: readonly number[]): Generator<readonly number[]> {
  for (const [from, count] of counts.entries()) {
    if (count === 0) continue;
    for (const to of counts.keys()) {
      if (to === from) continue;
      for (const moved of new Set([1, count])) yield movedCounts(counts, { from, to, moved });
    }
  }
}

function movedCounts(
  counts: readonly number[],
  { from, to, moved }: { readonly from: number; readonly to: number; readonly moved: number },
): number[] {
  return counts.with(from, (counts[from] ?? 0) - moved).with(to, (counts[to] ?? 0) + moved);
}

/** Gives the options of a group to its nodes in order, so that the first nodes change least. */
function optionsOf<C extends PlannerConfig, P extends PlannerPod>(problem: Problem<C, P>, plan: Plan): Option<C>[] {
  const byNode = new Map<number, Option<C>>();
  for (const [number, group] of problem.groups.entries()) {
    const spread = spreadOf(group, plan[number] ?? []);
    for (const [index, member] of group.members.entries()) {
      const option = spread[index];
      if (option !== undefined) byNode.set(member, option);
    }
  }
  return Array.from({ length: problem.nodeCount }, (_, index) => byNode.get(index)).filter((one) => one !== undefined);
}

function spreadOf<C extends PlannerConfig>(group: NodeGroup<C>, counts: readonly number[]): Option<C>[] {
  return group.options.flatMap((option, index) => Array.from({ length: counts[index] ?? 0 }, () => option));
}

function costOf<C extends PlannerConfig, P extends PlannerPod>(
  { demand }: Problem<C, P>,
  options: readonly Option<C>[],
): Omit<Score, "placed"> {
  const created = demand.map((_, resource) => options.reduce((sum, one) => sum + (one.created[resource] ?? 0), 0));
  const unwanted = created.reduce((sum, count, resource) => sum + Math.max(0, count - (demand[resource] ?? 0)), 0);
  return {
    changed: options.filter((option) => option.config !== undefined).length,
    surplus: options.reduce((sum, option) => sum + option.unasked, unwanted),
    order: options.map((option) => option.order),
  };
}

function isBetter(a: Score, b: Score): boolean {
  if (a.placed !== b.placed) return a.placed > b.placed;
  if (a.changed !== b.changed) return a.changed < b.changed;
  if (a.surplus !== b.surplus) return a.surplus < b.surplus;
  const differing = a.order.findIndex((order, index) => order !== b.order[index]);
  return differing !== -1 && (a.order[differing] ?? 0) < (b.order[differing] ?? 0);
}
