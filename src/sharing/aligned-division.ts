/**
 * Divides a row of GPUs into sets of one size so that the links within sets are worth most.
 *
 * Sets are bit masks. The best division of each remainder is worked out once, and remainders that cannot be worth enough
 * are passed over. Nothing here may change which division wins: of equals the one that NVIDIA's walk meets first
 * (go-gpuallocator gpuallocator/besteffort_policy.go).
 */
import { bitCount } from "../gpu/index.ts";

/** `scores[i][j]`: how strongly GPUs `i` and `j` are linked. Whole numbers; all of them together fit 31 bits. */
export type ScoreTable = readonly (readonly number[])[];

export interface DivisionRequest {
  readonly scores: ScoreTable;
  /** From `scoresOfSets`. */
  readonly setScores: Int32Array;
  /** GPUs that have to be in one set. */
  readonly required: number;
  /** How many GPUs a set has; the GPUs that are left in the end make one that is not full. */
  readonly size: number;
}

/** The sets of the best division in the order NVIDIA lists them; none where what is required cannot stay together. */
export function bestDivision(request: DivisionRequest): readonly number[] {
  return new Divider(request).divide();
}

/**
 * What the links within a set are worth, for every set. Of two of its GPUs, the set without the one and the set without
 * the other have every pair but the two's own, and the pairs of the set without both are in both.
 */
export function scoresOfSets(scores: ScoreTable): Int32Array {
  const sums = new Int32Array(1 << scores.length);
  for (let set = 1; set < sums.length; set += 1) {
    const one = set & -set;
    const other = (set ^ one) & -(set ^ one);
    if (other === 0) continue;
    const pair = scores[31 - Math.clz32(one)]?.[31 - Math.clz32(other)] ?? 0;
    sums[set] = (sums[set ^ one] ?? 0) + (sums[set ^ other] ?? 0) - (sums[set ^ one ^ other] ?? 0) + pair;
  }
  return sums;
}

const unknown = -2;
/** The worth of a remainder that cannot be divided so that what is required stays together. */
const impossible = -1;

class Divider {
  readonly #setScores: Int32Array;
  readonly #bound: Bound;
  readonly #required: number;
  readonly #size: number;
  /** The worth of the best division of each remainder, `unknown` or `impossible`. */
  readonly #worth: Int32Array;
  /** The first set of that division. */
  readonly #first: Int32Array;
  /** By the number of GPUs that remain. */
  readonly #openings: (Openings | undefined)[] = [];

  constructor({ scores, setScores, required, size }: DivisionRequest) {
    this.#setScores = setScores;
    this.#bound = new Bound(scores, size);
    this.#required = required;
    this.#size = size;
    this.#worth = new Int32Array(setScores.length).fill(unknown);
    this.#first = new Int32Array(setScores.length);
  }

  divide(): readonly number[] {
    let rest = this.#setScores.length - 1;
    if (this.#weigh(rest) === impossible) return [];
    const sets: number[] = [];
    while (rest !== 0) {
      const set = this.#first[rest] ?? 0;
      sets.push(set);
      rest ^= set;
    }
    return sets;
  }

  /** Works out the worth of the best division of `rest`, and with which set it begins. */
  #weigh(rest: number): number {
    const count = bitCount(rest);
    if (count > this.#size) return this.#weighOpenings(rest, this.#openingsOf(count, rest));
    return this.#settle(rest, rest, this.#keepsTogether(rest) ? (this.#setScores[rest] ?? 0) : impossible);
  }

  /** Strictly greater wins, thus among equals the one met first. */
  #weighOpenings(rest: number, { masks, lowBits, low, high }: Openings): number {
    const setScores = this.#setScores;
    const required = this.#required;
    const lowMask = (1 << lowBits) - 1;
    let best = impossible;
    let first = 0;
    for (let at = 0; at < masks.length; at += 1) {
      const mask = masks[at] ?? 0;
      const set = (low[mask & lowMask] ?? 0) | (high[mask >> lowBits] ?? 0);
      if ((set & required) !== 0 && !this.#keepsTogether(set)) continue;
      const score = setScores[set] ?? 0;
      const others = this.#worthAbove(rest ^ set, best - score);
      if (others !== impossible && score + others > best) {
        best = score + others;
        first = set;
      }
    }
    return this.#settle(rest, first, best);
  }

  /** The worth of the best division of `rest`; it may say `impossible` when that is not more than `enough`. */
  #worthAbove(rest: number, enough: number): number {
    const known = this.#worth[rest] ?? 0;
    if (known !== unknown) return known;
    return this.#bound.of(rest) <= enough ? impossible : this.#weigh(rest);
  }

  #settle(rest: number, first: number, worth: number): number {
    this.#first[rest] = first;
    this.#worth[rest] = worth;
    return worth;
  }

  /** Whether the set has nothing that is required, or all of it; a set that is not full is never the answer. */
  #keepsTogether(set: number): boolean {
    const held = set & this.#required;
    return held === 0 || (held === this.#required && bitCount(set) === this.#size);
  }

  /** The openings of a remainder of `count` GPUs, spelt out for `rest`. */
  #openingsOf(count: number, rest: number): Openings {
    const openings = this.#openings[count] ?? newOpenings(count, this.#size);
    this.#openings[count] = openings;
    const { lowBits, low, high } = openings;
    let spelt = 0;
    for (let left = rest; left !== 0; left &= left - 1) {
      const [table, n] = spelt < lowBits ? [low, spelt] : [high, spelt - lowBits];
      const gpu = left & -left;
      for (let part = 0; part < 1 << n; part += 1) table[(1 << n) | part] = (table[part] ?? 0) | gpu;
      spelt += 1;
    }
    return openings;
  }
}

/** The sets that may be taken from so many remaining GPUs, and what turns them into sets of the GPUs themselves. */
interface Openings {
  /** Bit `n` stands for the remaining GPU number `n`, so these serve every remainder of that many GPUs. */
  readonly masks: Int32Array;
  /** How many of a mask's bits `low` spells out; `high` has the others. */
  readonly lowBits: number;
  /**
   * Part of a mask to GPUs of the remainder that is weighed now. A remainder is weighed within larger ones only, so two
   * of one count never need these at a time.
   */
  readonly low: Int32Array;
  readonly high: Int32Array;
}

/** Lists them in the order of NVIDIA's walk. */
function newOpenings(count: number, size: number): Openings {
  const masks: number[] = [];
  const partial = count % size;
  /**
   * Lists every set that begins with the `taken` ones and goes on with some from position `from` on.
   *
   * The first remaining GPU always opens the set, so no division is met twice. The one set that is not full, if the
   * free GPUs do not divide evenly, comes after the full ones that begin alike: NVIDIA's empty slots stand last in the
   * row.
   */
  const extend = (taken: number, from: number): void => {
    const have = bitCount(taken);
    if (have === size) {
      masks.push(taken);
      return;
    }
    const wanted = (have <= partial ? partial : size) - have;
    for (let next = from; next <= count - Math.max(wanted, 1); next += 1) extend(taken | (1 << next), next + 1);
    if (have === partial) masks.push(taken);
  };
  extend(1, 1);
  const lowBits = count >> 1;
  return {
    masks: Int32Array.from(masks),
    lowBits,
    low: new Int32Array(1 << lowBits),
    high: new Int32Array(1 << (count - lowBits)),
  };
}

/** The most that a division can be worth: as if every GPU were in a set with those that are linked to it best. */
class Bound {
  /** Each GPU's best links that a set has room for, added up for the GPUs of a mask's lower and upper half. */
  readonly #low: Float64Array;
  readonly #high: Float64Array;
  readonly #lowBits: number;
  readonly #size: number;
  /** What a GPU in the set that is not full lacks of that at least, by the size of that set. */
  readonly #lack: readonly number[];

  constructor(scores: ScoreTable, size: number) {
    const links = scores.map((row, at) => row.filter((_, other) => other !== at).sort((a, b) => b - a));
    const best = (row: readonly number[], room: number): number =>
      row.slice(0, room).reduce((sum, one) => sum + one, 0);
    const bests = links.map((row) => best(row, size - 1));
    this.#size = size;
    this.#lowBits = scores.length >> 1;
    this.#low = sumsOfSubsets(bests.slice(0, this.#lowBits));
    this.#high = sumsOfSubsets(bests.slice(this.#lowBits));
    this.#lack = Array.from({ length: size }, (_, partial) =>
      partial === 0 ? 0 : Math.min(...links.map((row, at) => (bests[at] ?? 0) - best(row, partial - 1))),
    );
  }

  /** For the GPUs of `rest`. */
  of(rest: number): number {
    const all = (this.#low[rest & ((1 << this.#lowBits) - 1)] ?? 0) + (this.#high[rest >> this.#lowBits] ?? 0);
    const partial = bitCount(rest) % this.#size;
    return (all - partial * (this.#lack[partial] ?? 0)) / 2;
  }
}

function sumsOfSubsets(values: readonly number[]): Float64Array {
  const sums = new Float64Array(1 << values.length);
  for (const [at, value] of values.entries()) {
    for (let part = 0; part < 1 << at; part += 1) sums[(1 << at) | part] = (sums[part] ?? 0) + value;
  }
  return sums;
}
