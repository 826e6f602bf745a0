/**
 * Looking into JSON that came from outside.
 */

/** Whether `value` is a JSON object, neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
