/**
 * The simple JSONPath that printer columns and scale paths use: fields, indices, `[*]` and filters by equality
 * (client-go, util/jsonpath, as far as apiextensions-apiserver lets definitions use it).
 */
import { isList, isObject, type Json, valueAt } from "./json.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "filter"; readonly path: readonly string[]; readonly wanted: string; readonly equal: boolean };

/** A path that was read; finds the values it leads to, none where it leads nowhere. */
export type JsonPath = (value: Json) => readonly Json[];

const fieldPattern = /^\.?([A-Za-z0-9_$\\][^.[\]]*)/;
const quotedPattern = /^\[(['"])((?:(?!\1).)*)\1\]/;
const indexPattern = /^\[(-?\d+)\]/;
const allPattern = /^(?:\[\*\]|\.\*)/;
const filterPattern = /^\[\?\(\s*@((?:\.[A-Za-z0-9_-]+)+)\s*(==|!=)\s*(?:'([^']*)'|"([^"]*)"|([^)\s]+))\s*\)\]/;

/** Reads a path such as `.status.conditions[?(@.type=="Ready")].status`; `undefined` for what is none. */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps: Step[] = [];
  let rest = text.trim().replace(/^\{(.*)\}$/, "$1");
  if (!rest.startsWith(".") && !rest.startsWith("[")) return undefined;
  while (rest !== "" && rest !== ".") {
    const next = nextStep(rest);
    if (next === undefined) return undefined;
    steps.push(next.step);
    rest = rest.slice(next.length);
  }
  return (value) =>
    steps.reduce<readonly Json[]>((values, step) => values.flatMap((one) => follow(one, step)), [value]);
}

function nextStep(text: string): { readonly step: Step; readonly length: number } | undefined {
  const all = allPattern.exec(text);
  if (all !== null) return { step: { kind: "all" }, length: all[0].length };
  const quoted = quotedPattern.exec(text);
  if (quoted !== null) return { step: { kind: "field", name: quoted[2] ?? "" }, length: quoted[0].length };
  const index = indexPattern.exec(text);
  if (index !== null) return { step: { kind: "index", index: Number(index[1]) }, length: index[0].length };
  const filter = filterPattern.exec(text);
  if (filter !== null) {
    const [whole, path = "", operator, single, double, bare] = filter;
    const wanted = single ?? double ?? bare ?? "";
    return {
      step: { kind: "filter", path: path.slice(1).split("."), wanted, equal: operator === "==" },
      length: whole.length,
    };
  }
  const escaped = /^\.?((?:[^.[\]\\]|\\.)+)/.exec(text);
  const field = fieldPattern.test(text) ? escaped : null;
  if (field === null) return undefined;
  return { step: { kind: "field", name: (field[1] ?? "").replaceAll(/\\(.)/g, "$1") }, length: field[0].length };
}

function follow(value: Json, step: Step): readonly Json[] {
  switch (step.kind) {
    case "field": {
      const found = valueAt(value, step.name);
      return found === undefined ? [] : [found];
    }
    case "index": {
      const found = isList(value) ? value.at(step.index) : undefined;
      return found === undefined ? [] : [found];
    }
    case "all":
      if (isList(value)) return value;
      return isObject(value) ? Object.values(value) : [];
    case "filter":
      if (!isList(value)) return [];
      return value.filter((one) => (scalarText(valueAt(one, ...step.path)) === step.wanted) === step.equal);
  }
}

function scalarText(value: Json | undefined): string | undefined {
  return value === undefined || value === null || typeof value === "object" ? undefined : String(value);
}
