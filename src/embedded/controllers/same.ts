/**
 * Comparing objects by what they mean.
 */

/**
 * A text that is the same for values that mean the same: whatever the order of keys, and whether what is empty is there
 * or left out (apimachinery, pkg/api/equality).
 */
export function meaningOf(value: unknown): string {
  return JSON.stringify(pruned(value)) ?? "";
}

/** Counts without those that are 0, as Go leaves them out of a status. */
export function nonZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

function pruned(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((one) => pruned(one) ?? null);
  if (typeof value !== "object" || value === null) return value ?? undefined;
  const fields = Object.entries(value)
    .map(([key, one]) => [key, pruned(one)] as const)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return fields.length === 0 ? undefined : Object.fromEntries(fields);
}
