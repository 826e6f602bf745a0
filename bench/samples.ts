/** Figures from samples. */

/** The sample that `share` of all are not above: 0.5 for the median. The first fifth is left out, as it warms up. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.slice(Math.floor(samples.length / 5)).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** How often `ours` goes into `theirs`, at the same percentile of both. */
export function ratio(ours: readonly number[], theirs: readonly number[], share: number): number {
  return percentile(ours, share) / percentile(theirs, share);
}

export function micro(ms: number): string {
  return `${(ms * 1_000).toFixed(0)} µs`;
}
