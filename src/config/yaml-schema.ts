/**
 * How plain YAML scalars become values: as Kubernetes' own reader takes them (sigs.k8s.io/yaml over go-yaml v2).
 *
 * It is YAML 1.1 without base 60: `yes`, `on` and `y` are booleans, `0x10` and `010` numbers, timestamps stay text.
 * `.inf` and `.nan` stay text too, since JSON has no such numbers and Kubernetes refuses them.
 */
import { CORE_SCHEMA, defineScalarTag, mergeTag, NOT_RESOLVED, type Schema } from "js-yaml";

const trueWords = new Set(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"]);
const falseWords = new Set(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"]);
const signsAndDigits = [..."+-0123456789"];
const integerForm = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/;
const decimalForm = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

function readBoolean(source: string): boolean | typeof NOT_RESOLVED {
  if (trueWords.has(source)) return true;
  return falseWords.has(source) ? false : NOT_RESOLVED;
}

function readInteger(source: string): number | typeof NOT_RESOLVED {
  const digits = source.replaceAll("_", "");
  return integerForm.test(digits) ? finite(integerValue(digits)) : NOT_RESOLVED;
}

function readDecimal(source: string): number | typeof NOT_RESOLVED {
  const digits = source.startsWith(".") ? source : source.replaceAll("_", "");
  return decimalForm.test(digits) ? finite(Number(digits)) : NOT_RESOLVED;
}

/** What no double can hold stays text; as a number it would become null in JSON. */
function finite(value: number): number | typeof NOT_RESOLVED {
  return Number.isFinite(value) ? value : NOT_RESOLVED;
}

const booleanTag = defineScalarTag("tag:yaml.org,2002:bool", {
  implicit: true,
  implicitFirstChars: [..."yYnNtTfFoO"],
  resolve: readBoolean,
  identify: (value) => typeof value === "boolean",
});

const integerTag = defineScalarTag("tag:yaml.org,2002:int", {
  implicit: true,
  implicitFirstChars: signsAndDigits,
  resolve: readInteger,
  identify: (value) => Number.isInteger(value),
});

const decimalTag = defineScalarTag("tag:yaml.org,2002:float", {
  implicit: true,
  implicitFirstChars: [...signsAndDigits, "."],
  resolve: readDecimal,
  identify: (value) => typeof value === "number" && !Number.isInteger(value),
});

/** `!!binary` gives the decoded bytes as text, as go-yaml does. */
const binaryTextTag = defineScalarTag("tag:yaml.org,2002:binary", {
  resolve: (source) => Buffer.from(source, "base64").toString("utf8"),
  identify: () => false,
});

/** The schema of every YAML text Tranche reads. */
export const kubernetesSchema: Schema = CORE_SCHEMA.withTags(
  booleanTag,
  integerTag,
  decimalTag,
  binaryTextTag,
  mergeTag,
);

/** The name a plain scalar has as a key: keys are resolved first, so `on:` is the key `true` and `010:` is `8`. */
export function plainKey(source: string): string {
  for (const read of [readBoolean, readInteger, readDecimal]) {
    const value = read(source);
    if (value !== NOT_RESOLVED) return String(value);
  }
  return source;
}

function integerValue(digits: string): number {
  const negative = digits.startsWith("-");
  const unsigned = digits.replace(/^[-+]/, "");
  const octal = /^0[oO]?[0-7]+$/.test(unsigned);
  const value = octal ? Number.parseInt(unsigned.replace(/^0[oO]?/, ""), 8) : Number(unsigned);
  return negative ? -value : value;
}
