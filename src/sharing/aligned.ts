/**
 * Picks whole GPUs that are well linked with each other, and leaves well linked ones for the next pod.
 *
 * The answer is NVIDIA's (go-gpuallocator gpuallocator/besteffort_policy.go): divide everything free into sets of the
 * size asked for so that the links within sets are worth most, then take the best set that holds what is required.
 * NVIDIA walks through every division, two million for sets of 5 from 16. Here the best division of each remainder is
 * worked out once, of at most 2^15 remainders, in the same order and with the same ties.
 */
import { bitCount } from "../gpu/index.ts";

/** `scores[i][j]`: how strongly GPUs `i` and `j` are linked. Whole numbers, so that sums compare exactly. */
export type ScoreTable = readonly (readonly number[])[];

export interface AlignedRequest {
  readonly scores: ScoreTable;
  /** Positions in `scores`. */
  readonly required: readonly number[];
  /** How many GPUs to pick. */
  readonly size: number;
}

/** Up to here every division is weighed. A node with more free GPUs gets a set grown link by link. */
const exactLimit = 16;

/**
 * Positions of the picked GPUs, ascending; empty when no set of that size can be had, which is NVIDIA's answer too.
 *
 * Where the free GPUs do not divide evenly, NVIDIA fills one set with empty slots and may return that very set. Here
 * the best full set is taken.
 */
export function alignedChoice(request: AlignedRequest): readonly number[] {
  const { scores, required, size } = request;
  const count = scores.length;
  if (size <= 0 || size > count || required.length > size) return [];
  if (count > exactLimit) return grownSet(request);
  if (size === 1) return required.length === 0 ? [0] : required;
  return bestSet(request);
}

function bestSet({ scores, required, size }: AlignedRequest): readonly number[] {
  const requiredMask = required.reduce((mask, at) => mask | (1 << at), 0);
  const setScores = scoresOfSets(scores);
  const choices = new Divider(setScores, requiredMask, size).divide();
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const set of choices) {
    const score = setScores[set] ?? 0;
    const isCandidate = bitCount(set) === size && (set & requiredMask) === requiredMask;
    if (isCandidate && score > bestScore) {
      best = set;
      bestScore = score;
    }
  }
  return positions(best);
}

/** GPUs not yet in a set, and the size of the one set that is not full, 0 where there is none. */
interface Remainder {
  readonly rest: number;
  readonly partial: number;
}

/** Finds the most valuable division of a row of GPUs into sets; sets are bit masks. */
class Divider {
  readonly #setScores: Float64Array;
  readonly #required: number;
  readonly #size: number;
  /** The worth of the best division of each remainder; NaN where not worked out yet. */
  readonly #worth: Float64Array;
  /** The first set of that division. */
  readonly #first: Int32Array;

  constructor(setScores: Float64Array, required: number, size: number) {
    this.#setScores = setScores;
    this.#required = required;
    this.#size = size;
    this.#worth = new Float64Array(setScores.length).fill(Number.NaN);
    this.#first = new Int32Array(setScores.length);
    this.#worth[0] = 0;
  }

  /** The sets of the best division of all, in the order NVIDIA lists them. */
  divide(): readonly number[] {
    let rest = this.#setScores.length - 1;
    if (this.#weigh(rest) === Number.NEGATIVE_INFINITY) return [];
    const sets: number[] = [];
    while (rest !== 0) {
      const set = this.#first[rest] ?? 0;
      sets.push(set);
      rest ^= set;
    }
    return sets;
  }

  /** The worth of the best division of `rest`; minus infinity where none keeps what is required together. */
  #weigh(rest: number): number {
    const known = this.#worth[rest] ?? 0;
    if (!Number.isNaN(known)) return known;
    const lowest = rest & -rest;
    this.#worth[rest] = Number.NEGATIVE_INFINITY;
    this.#extend({ rest, partial: bitCount(rest) % this.#size }, lowest, rest ^ lowest);
    return this.#worth[rest] ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * Tries every set that begins with the `taken` ones of the remainder and goes on with some of `later`, by position.
   *
   * The first remaining GPU always opens the set, so no division is met twice. The one set that is not full, if the
   * free GPUs do not divide evenly, comes after the full ones that begin alike: NVIDIA's empty slots stand last in the
   * row. Strictly greater wins, thus among equals the one met first, as there.
   */
  #extend(remainder: Remainder, taken: number, later: number): void {
    const count = bitCount(taken);
    if (count === this.#size) {
      this.#consider(remainder.rest, taken);
      return;
    }
    const wanted = (count <= remainder.partial ? remainder.partial : this.#size) - count;
    let left = bitCount(later);
    for (let open = later; left >= wanted && open !== 0; left -= 1) {
      const next = open & -open;
      open ^= next;
      this.#extend(remainder, taken | next, open);
    }
    if (count === remainder.partial && (taken & this.#required) === 0) this.#consider(remainder.rest, taken);
  }

  #consider(rest: number, set: number): void {
    const held = set & this.#required;
    if (held !== 0 && held !== this.#required) return;
    const worth = (this.#setScores[set] ?? 0) + this.#weigh(rest ^ set);
    if (worth > (this.#worth[rest] ?? 0)) {
      this.#worth[rest] = worth;
      this.#first[rest] = set;
    }
  }
}

/** The sum over all pairs, for every set: that of the set without its lowest GPU, and the lowest GPU's pairs. */
function scoresOfSets(scores: ScoreTable): Float64Array {
  const sums = new Float64Array(1 << scores.length);
  for (let set = 1; set < sums.length; set += 1) {
    const lowest = set & -set;
    const row = scores[31 - Math.clz32(lowest)] ?? [];
    let sum = sums[set ^ lowest] ?? 0;
    for (let others = set ^ lowest; others !== 0; others &= others - 1)
      sum += row[31 - Math.clz32(others & -others)] ?? 0;
    sums[set] = sum;
  }
  return sums;
}

/** From each GPU (or from the required ones) adds the best linked one again and again; the best such set. */
function grownSet({ scores, required, size }: AlignedRequest): readonly number[] {
  const seeds = required.length > 0 ? [required] : scores.map((_, at) => [at]);
  let best: readonly number[] = [];
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const seed of seeds) {
    const { set, score } = grow(scores, seed, size);
    if (score > bestScore) {
      best = set;
      bestScore = score;
    }
  }
  return [...best].sort((a, b) => a - b);
}

function grow(scores: ScoreTable, seed: readonly number[], size: number): { set: readonly number[]; score: number } {
  const set = [...seed];
  let total = 0;
  const gains = scores.map((row) => set.reduce((sum, other) => sum + (row[other] ?? 0), 0));
  while (set.length < size) {
    let next = -1;
    for (let at = 0; at < gains.length; at += 1) {
      if (!set.includes(at) && (next < 0 || (gains[at] ?? 0) > (gains[next] ?? 0))) next = at;
    }
    total += gains[next] ?? 0;
    set.push(next);
    for (let at = 0; at < gains.length; at += 1) gains[at] = (gains[at] ?? 0) + (scores[at]?.[next] ?? 0);
  }
  return { set, score: total };
}

function positions(set: number): readonly number[] {
  const list: number[] = [];
  for (let rest = set; rest !== 0; rest &= rest - 1) list.push(31 - Math.clz32(rest & -rest));
  return list;
}
