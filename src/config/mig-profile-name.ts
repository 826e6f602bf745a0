/**
 * The grammar of MIG profile names, `[Cc.]Gg.GBgb[+attributes|-attributes]` (NVIDIA go-nvlib
 * pkg/nvlib/device/mig_profile.go). Whether a GPU has a profile of that name is not known here.
 */

export interface MigProfileName {
  /** Compute slices of the compute instance. */
  readonly computeSlices: number;
  /** Slices of the GPU instance. */
  readonly gpuSlices: number;
  readonly gigabytes: number;
  /** With the sign in front, sorted; for example `+me` or `-me`; empty when there are none. */
  readonly suffix: string;
}

export type MigProfileNameRead = { readonly ok: true; readonly name: MigProfileName } | Malformed;

interface Malformed {
  readonly ok: false;
  /** In NVIDIA's words. */
  readonly reason: string;
}

/** Reads a MIG profile name; what is wrong with a malformed one is said in go-nvlib's words. */
export function parseMigProfileName(text: string): MigProfileNameRead {
  if (text === "") return malformed("profile is the empty string");
  const plus = text.indexOf("+");
  const minus = text.indexOf("-");
  if (plus !== -1 && minus !== -1) return malformed(`profile '${text}' contains both '+/-' attributes`);
  const sign = Math.max(plus, minus);
  const fields = readFields(sign === -1 ? text : text.slice(0, sign));
  if (typeof fields === "string") return malformed(`cannot parse fields of '${text}': ${fields}`);
  if (sign === -1) return { ok: true, name: { ...fields, suffix: "" } };
  const attributes = text.slice(sign + 1).split(",");
  const problem = attributeProblem(attributes);
  if (problem !== undefined) return malformed(`cannot parse attributes of '${text}': ${problem}`);
  return { ok: true, name: { ...fields, suffix: `${text[sign]}${attributes.toSorted().join(",")}` } };
}

/** The name as the driver reports it: without `Cc.` when the compute instance takes the whole GPU instance. */
export function canonicalMigName(name: MigProfileName): string {
  const prefix = name.computeSlices === name.gpuSlices ? "" : `${name.computeSlices}c.`;
  return `${prefix}${name.gpuSlices}g.${name.gigabytes}gb${name.suffix}`;
}

function malformed(reason: string): Malformed {
  return { ok: false, reason };
}

/** The numbers, or what is wrong. */
function readFields(text: string): Omit<MigProfileName, "suffix"> | string {
  const [first = "", second, ...rest] = text.split(".");
  if (second === undefined) return "parsed wrong number of fields, expected 2 or 3";
  const parts =
    rest.length === 0
      ? [readField(first, "g"), readField(first, "g"), readField(second, "gb")]
      : [readField(first, "c"), readField(second, "g"), readField(rest.join("."), "gb")];
  const problem = parts.find((part) => typeof part === "string");
  if (typeof problem === "string") return problem;
  const [computeSlices = 0, gpuSlices = 0, gigabytes = 0] = parts.filter((part) => typeof part === "number");
  return { computeSlices, gpuSlices, gigabytes };
}

function readField(text: string, unit: string): number | string {
  if (text.trim() !== text) return `leading or trailing spaces on '%d${unit}'`;
  if (!text.endsWith(unit)) return `missing '${unit}' from '%d${unit}'`;
  const digits = text.slice(0, -unit.length);
  return /^[0-9]+$/.test(digits) ? Number(digits) : `malformed number in '%d${unit}'`;
}

function attributeProblem(attributes: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const attribute of attributes) {
    if (seen.has(attribute)) return "non unique attribute in list";
    if (attribute === "") return "empty attribute in list";
    if (attribute.trim() !== attribute) return "leading or trailing spaces in attribute";
    if (/^[0-9]/.test(attribute)) return "attribute begins with a number";
    if (attribute.startsWith(".") || attribute.endsWith(".")) return "attribute begins/ends with a dot";
    if (!/^[a-zA-Z0-9.]+$/.test(attribute)) return "non alpha-numeric character or digit in attribute";
    seen.add(attribute);
  }
  return undefined;
}
