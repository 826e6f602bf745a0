/**
 * Objects by what they mean: comparing and hashing them.
 */

/**
 * A text that is the same for values that mean the same: whatever the order of keys, and whether what is empty is there
 * or left out (apimachinery, pkg/api/equality).
 */
export function meaningOf(value: unknown): string {
  return JSON.stringify(pruned(value)) ?? "";
}

/** The API's alphabet: no vowels, so that no words come out, and nothing that looks like another. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/**
 * A short hash for names and labels, FNV-1a in safe letters. Go hashes its own rendering of a template instead of JSON, so
 * a real cluster arrives at other letters of the same form.
 */
export function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join("");
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
