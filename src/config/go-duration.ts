/**
 * Durations in Go's syntax (time.ParseDuration), as NVIDIA's files and environment variables have them.
 */

export type GoDuration =
  | { readonly ok: true; readonly durationMs: number }
  | { readonly ok: false; readonly reason: string };

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Reads `90s`, `1m30s`, `1.5h`; what is wrong with others is said in Go's words. */
export function parseGoDuration(text: string): GoDuration {
  const invalid = { ok: false, reason: `time: invalid duration "${text}"` } as const;
  const negative = text.startsWith("-");
  const unsigned = text.replace(/^[-+]/, "");
  if (unsigned === "0") return { ok: true, durationMs: 0 };
  if (unsigned === "") return invalid;
  const part = /([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)/y;
  let durationMs = 0;
  while (part.lastIndex < unsigned.length) {
    const match = part.exec(unsigned);
    if (match === null) return invalid;
    const [, digits = "", unit = ""] = match;
    if (unit === "") return { ok: false, reason: `time: missing unit in duration "${text}"` };
    const unitMs = Object.hasOwn(unitsMs, unit) ? unitsMs[unit] : undefined;
    if (unitMs === undefined) return { ok: false, reason: `time: unknown unit "${unit}" in duration "${text}"` };
    durationMs += Number(digits) * unitMs;
  }
  return { ok: true, durationMs: negative ? -durationMs : durationMs };
}
