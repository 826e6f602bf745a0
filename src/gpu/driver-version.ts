/**
 * Driver versions: `580.95.05`, or `R525` for a whole branch.
 */

/** Whether `version` is `minimum` or newer; a minimum such as `R525` is met by every driver of that branch and later. */
export function driverAtLeast(version: string, minimum: string): boolean {
  const have = parts(version);
  const need = parts(minimum);
  for (let index = 0; index < need.length; index++) {
    const difference = (have[index] ?? 0) - (need[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function parts(version: string): readonly number[] {
  return version
    .replace(/^R/, "")
    .split(".")
    .map((part) => Number.parseInt(part, 10) || 0);
}
