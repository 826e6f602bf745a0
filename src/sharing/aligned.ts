/**
 * Picks whole GPUs that are well linked with each other, and leaves well linked ones for the next pod.
 *
 * The answer is NVIDIA's (go-gpuallocator gpuallocator/besteffort_policy.go): divide everything free into sets of the
 * size asked for so that the links within sets are worth most, then take the best set that holds what is required.
 * NVIDIA walks through every division, two million for sets of 5 from 16; `aligned-division.ts` finds the same one.
 */
import { bitCount } from "../gpu/index.ts";
import { bestDivision, type ScoreTable, scoresOfSets } from "./aligned-division.ts";

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
  const choices = bestDivision({ scores, setScores, required: requiredMask, size });
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
