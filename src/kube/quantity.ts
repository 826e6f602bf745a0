/**
 * Quantities as Kubernetes writes them: `12Gi`, `250m`, `1e3` (apimachinery, pkg/api/resource/quantity.go).
 */

const decimal = new Map([
  ["n", 1e-9],
  ["u", 1e-6],
  ["m", 1e-3],
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["T", 1e12],
  ["P", 1e15],
  ["E", 1e18],
]);

const binary = new Map([
  ["Ki", 2 ** 10],
  ["Mi", 2 ** 20],
  ["Gi", 2 ** 30],
  ["Ti", 2 ** 40],
  ["Pi", 2 ** 50],
  ["Ei", 2 ** 60],
]);

/** The number a quantity stands for; `undefined` when the text is none. */
export function parseQuantity(text: string): number | undefined {
  const match = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]?|[KMGTPE]i))$/.exec(text);
  if (match === null) return undefined;
  const [, digits = "", exponent, suffix = ""] = match;
  if (exponent !== undefined) return Number(`${digits}${exponent}`);
  const factor = decimal.get(suffix) ?? binary.get(suffix) ?? 1;
  // Dividing by a whole number keeps `100m` exact where multiplying by 0.001 does not.
  return factor < 1 ? Number(digits) / Math.round(1 / factor) : Number(digits) * factor;
}

/** Writes a number with the largest suffix that keeps it whole: `binary` for bytes, `decimal` (the default) else. */
export function formatQuantity(value: number, format: "decimal" | "binary" = "decimal"): string {
  if (format === "binary" && Math.abs(value) >= 1024) {
    const suffixed = withSuffix(value, binary);
    return suffixed ?? String(value);
  }
  if (Number.isInteger(value)) return withSuffix(value, decimal) ?? String(value);
  const milli = value * 1e3;
  // Floats of thousandths are seldom whole; a millionth of one is below what `m` can tell.
  if (Math.abs(milli - Math.round(milli)) < 1e-6) return `${Math.round(milli)}m`;
  return `${Math.ceil(value * 1e9)}n`;
}

function withSuffix(value: number, suffixes: ReadonlyMap<string, number>): string | undefined {
  if (value === 0) return "0";
  for (const [suffix, factor] of [...suffixes].reverse()) {
    if (factor >= 1 && value % factor === 0) return `${value / factor}${suffix}`;
  }
  return undefined;
}
