/**
 * The slow twin of `alignedChoice`: walks through every division as go-gpuallocator describes it, in its order.
 *
 * `undefined` stands for an empty slot. Only the last step differs: a set with empty slots is never the answer.
 */
import type { AlignedRequest } from "../../src/sharing/aligned.ts";

type Slot = number | undefined;

export function slowChoice({ scores, required, size }: AlignedRequest): readonly number[] {
  const worth = (set: readonly Slot[]): number => {
    let sum = 0;
    for (const a of set)
      for (const b of set) if (a !== undefined && b !== undefined && a < b) sum += scores[a]?.[b] ?? 0;
    return sum;
  };
  const suits = (set: readonly Slot[]): boolean => !set.includes(undefined) && required.every((at) => set.includes(at));
  const first = <T>(list: Iterable<T>, value: (one: T) => number): T | undefined => {
    let best: T | undefined;
    for (const one of list) if (best === undefined || value(one) > value(best)) best = one;
    return best;
  };
  const usable = [...divisions(scores.length, size)].filter((division) => division.some(suits));
  const division = first(usable, (sets) => sets.reduce((sum, set) => sum + worth(set), 0));
  const set = first((division ?? []).filter(suits), worth);
  return (set ?? []).filter((at) => at !== undefined);
}

/** Every division of GPUs `0` to `count - 1` into sets of `size`, the worth of which is to be compared. */
export function* divisions(count: number, size: number): Iterable<readonly (readonly Slot[])[]> {
  if (size <= 0 || size > count) return;
  if (size === 1) {
    for (let at = 0; at < count; at += 1) yield [[at]];
    return;
  }
  const row: Slot[] = Array.from({ length: count }, (_, at) => at);
  while (row.length % size !== 0) row.push(undefined);
  yield* divide(row, size, row.length - count);
}

function* divide(row: readonly Slot[], size: number, padding: number): Iterable<readonly (readonly Slot[])[]> {
  if (row.length === 0) {
    yield [];
    return;
  }
  for (const others of combinations(row.length - 1, size - 1)) {
    const chosen = [0, ...others.map((at) => at + 1)];
    const set = chosen.map((at) => row[at]);
    const empty = set.filter((slot) => slot === undefined).length;
    if (empty !== 0 && empty !== padding) continue;
    const rest = row.filter((_, at) => !chosen.includes(at));
    for (const further of divide(rest, size, padding)) yield [set, ...further];
  }
}

/** Subsets of `0` to `count - 1` in index order. */
function* combinations(count: number, size: number, from = 0): Iterable<readonly number[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let at = from; at <= count - size; at += 1) {
    for (const rest of combinations(count, size - 1, at + 1)) yield [at, ...rest];
  }
}
