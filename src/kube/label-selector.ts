/**
 * The `LabelSelector` objects inside specs (apimachinery, pkg/apis/meta/v1/helpers.go, `LabelSelectorAsSelector`).
 */
import { isRecord } from "./json.ts";
import { parseRequirements } from "./placement.ts";
import { matchesLabels, type Requirement, type Selector } from "./selector.ts";

/**
 * Reads `{matchLabels, matchExpressions}`; an empty one matches everything. `undefined`, which matches nothing, when it
 * is missing or cannot be read.
 */
export function parseLabelSelector(value: unknown): Selector | undefined {
  if (!isRecord(value)) return undefined;
  const matchLabels = value["matchLabels"] ?? {};
  const expressions = parseRequirements(value["matchExpressions"]);
  if (!isRecord(matchLabels) || expressions === undefined) return undefined;
  // Node affinity compares numbers too, labels are only ever compared as texts.
  if (expressions.some(({ operator }) => operator === "Gt" || operator === "Lt")) return undefined;
  const labels = Object.entries(matchLabels).map(
    ([key, one]): Requirement => ({ key, operator: "In", values: [String(one)] }),
  );
  return [...labels, ...expressions];
}

/** Whether a `LabelSelector` that was not read yet matches labels. */
export function labelSelectorMatches(value: unknown, labels: Readonly<Record<string, string>>): boolean {
  const selector = parseLabelSelector(value);
  return selector !== undefined && matchesLabels(selector, labels);
}

/** A selector in the notation that lists are asked with, for example `app=web,tier in (a,b)`. */
export function selectorText(selector: Selector): string {
  return selector.map(requirementText).sort().join(",");
}

function requirementText({ key, operator, values }: Requirement): string {
  const list = values.toSorted().join(",");
  switch (operator) {
    case "In":
      return values.length === 1 ? `${key}=${list}` : `${key} in (${list})`;
    case "NotIn":
      return `${key} notin (${list})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
    case "Gt":
      return `${key}>${list}`;
    case "Lt":
      return `${key}<${list}`;
  }
}
