/**
 * How many pods fit onto nodes at once.
 *
 * Pods that ask for the same and may run on the same nodes form a class, so that a hundred equal pods cost no more
 * than one. A first fill is compared with an upper bound; only where they differ is there anything to search.
 */

/** Equal pods; amounts go by resource number. */
export interface PodClass {
  readonly requests: readonly number[];
  /** Numbers of the resources with a request above zero. */
  readonly asked: readonly number[];
  readonly count: number;
  /** Numbers of the nodes it may run on, by preference. */
  readonly nodes: readonly number[];
}

export interface Packing {
  readonly placed: number;
  /** Pods by class, then by node number. */
  readonly counts: readonly (readonly number[])[];
  /** Whether no packing can hold more. */
  readonly exact: boolean;
}

/** Amounts free on each node, by resource number. */
export type Free = readonly (readonly number[])[];

/** No more pods than this can be placed, whatever the arrangement. */
export function packingBound(free: Free, classes: readonly PodClass[]): number {
  const byResource = new Map<number, PodClass[]>();
  let total = 0;
  for (const one of classes) {
    // The first resource asked for is the device, where there is one: that is the order of resource numbers.
    const [resource] = one.asked;
    if (resource === undefined) total += one.nodes.length > 0 ? one.count : 0;
    else byResource.set(resource, [...(byResource.get(resource) ?? []), one]);
  }
  for (const [resource, members] of byResource) total += resourceBound(free, members, resource);
  return total;
}

/** How many pods of `members` fit if nodes could lend each other `resource`, yet each class fits its nodes alone. */
function resourceBound(free: Free, members: readonly PodClass[], resource: number): number {
  const reachable = new Set(members.flatMap((one) => one.nodes));
  let left = 0;
  for (const node of reachable) left += Math.max(0, free[node]?.[resource] ?? 0);
  let placed = 0;
  const byRequest = [...members].sort((a, b) => (a.requests[resource] ?? 0) - (b.requests[resource] ?? 0));
  for (const one of byRequest) {
    const request = one.requests[resource] ?? 0;
    let alone = 0;
    for (const node of one.nodes) alone += fitting(free[node] ?? [], one);
    const count = Math.min(one.count, alone, Math.floor(left / request + rounding));
    placed += count;
    left -= count * request;
  }
  return placed;
}

/** Sums of binary fractions miss whole numbers by less than this. */
const rounding = 1e-9;

/** How many pods of the class the amounts hold. */
function fitting(amounts: readonly number[], one: PodClass): number {
  let most = one.count;
  for (const resource of one.asked) {
    most = Math.min(most, Math.floor((amounts[resource] ?? 0) / (one.requests[resource] ?? 1) + rounding));
  }
  return Math.max(0, most);
}

/** Places as many pods as it can: exact when the first fill reaches the bound, or when the search ends within `steps`. */
export function pack(free: Free, classes: readonly PodClass[], steps: number): Packing {
  const search = new PackingSearch(free, classes);
  const bound = packingBound(free, classes);
  search.fill();
  const exact = search.best.placed >= bound || search.run(steps, bound);
  return { ...search.best, exact };
}

/** How many pods the first fill places: a good guess, at a fraction of the cost. */
export function quickFill(free: Free, classes: readonly PodClass[]): number {
  const search = new PackingSearch(free, classes);
  search.fill();
  return search.best.placed;
}

/** Tries, class by class and node by node, every number of pods from the most to none. */
class PackingSearch {
  best: { placed: number; counts: readonly (readonly number[])[] };
  readonly #classes: readonly PodClass[];
  readonly #order: readonly number[];
  readonly #free: number[][];
  readonly #counts: number[][];
  #steps = 0;
  #limit = 0;
  #goal = 0;

  constructor(free: Free, classes: readonly PodClass[]) {
    this.#classes = classes;
    this.#free = free.map((amounts) => [...amounts]);
    this.#counts = classes.map(() => free.map(() => 0));
    this.best = { placed: 0, counts: this.#counts.map((row) => [...row]) };
    // Who has the fewest nodes to go to chooses first, then who asks for least.
    this.#order = classes
      .map((one, index) => ({ index, choices: one.nodes.length, size: sizeOf(one) }))
      .sort((a, b) => a.choices - b.choices || a.size - b.size || a.index - b.index)
      .map(({ index }) => index);
  }

  /** The greedy fill: the first path of the search. */
  fill(): void {
    let placed = 0;
    const taken: [number, number, number][] = [];
    for (const index of this.#order) {
      const one = this.#classes[index];
      if (one === undefined) continue;
      let left = one.count;
      for (const node of one.nodes) {
        const count = Math.min(left, fitting(this.#free[node] ?? [], one));
        if (count === 0) continue;
        this.#move(index, node, count);
        taken.push([index, node, count]);
        left -= count;
        placed += count;
      }
    }
    this.#keep(placed);
    for (const [index, node, count] of taken.reverse()) this.#move(index, node, -count);
  }

  /** Searches on until the goal is reached (true), everything is tried (true) or the steps are used up (false). */
  run(steps: number, goal: number): boolean {
    this.#limit = steps;
    this.#goal = goal;
    this.#class(0, 0);
    return this.#steps < this.#limit || this.best.placed >= goal;
  }

  #done(): boolean {
    return this.best.placed >= this.#goal || this.#steps >= this.#limit;
  }

  #class(position: number, placed: number): void {
    if (placed > this.best.placed) this.#keep(placed);
    const rest = this.#order.slice(position).flatMap((index) => this.#classes[index] ?? []);
    const [first] = rest;
    if (first === undefined || this.#done()) return;
    if (placed + packingBound(this.#free, rest) <= this.best.placed) return;
    const later = packingBound(this.#free, rest.slice(1));
    this.#node(position, 0, { placed, left: first.count, later });
  }

  #node(position: number, choice: number, at: { placed: number; left: number; later: number }): void {
    this.#steps += 1;
    if (this.#done()) return;
    const index = this.#order[position] ?? 0;
    const one = this.#classes[index];
    const node = one?.nodes[choice];
    if (one === undefined || node === undefined || at.left === 0) {
      this.#class(position + 1, at.placed);
      return;
    }
    if (at.placed + at.left + at.later <= this.best.placed) return;
    for (let count = Math.min(at.left, fitting(this.#free[node] ?? [], one)); count >= 0; count -= 1) {
      this.#move(index, node, count);
      this.#node(position, choice + 1, { placed: at.placed + count, left: at.left - count, later: at.later });
      this.#move(index, node, -count);
      if (this.#done()) return;
    }
  }

  #move(index: number, node: number, count: number): void {
    const one = this.#classes[index];
    const amounts = this.#free[node];
    const counts = this.#counts[index];
    if (one === undefined || amounts === undefined || counts === undefined) return;
    for (const resource of one.asked) {
      amounts[resource] = (amounts[resource] ?? 0) - count * (one.requests[resource] ?? 0);
    }
    counts[node] = (counts[node] ?? 0) + count;
  }

  #keep(placed: number): void {
    this.best = { placed, counts: this.#counts.map((row) => [...row]) };
  }
}

function sizeOf(one: PodClass): number {
  return one.asked.reduce((sum, resource) => sum + (one.requests[resource] ?? 0), 0);
}
