/**
 * Label selectors, in the notation of the API's `labelSelector` (apimachinery, pkg/labels/selector.go).
 */
import { finding, type Outcome } from "../base/index.ts";

/** One condition on one label; node affinity uses the same operators. */
export interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values: readonly string[];
}

/** All of these must hold; none matches everything. */
export type Selector = readonly Requirement[];

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`; one finding `selector-syntax` when it cannot. */
export function parseSelector(text: string): Outcome<Selector> {
  const requirements: Requirement[] = [];
  for (const part of splitOutsideParentheses(text)) {
    const requirement = parseRequirement(part);
    if (requirement === undefined) {
      const subject = { kind: "command", name: text } as const;
      const remedy = "write for example app=web,tier in (a,b),!canary";
      const found = finding("selector-syntax", subject, `"${part}" is no condition on a label`, { remedy });
      return { ok: false, findings: [found] };
    }
    requirements.push(requirement);
  }
  return { ok: true, value: requirements, findings: [] };
}

/** Whether labels meet every requirement. */
export function matchesLabels(selector: Selector, labels: Readonly<Record<string, string>> = {}): boolean {
  return selector.every((requirement) => meets(requirement, labels));
}

function meets({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      // A label that is not there is not among the values.
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return integer(value) > integer(values[0]);
    case "Lt":
      return integer(value) < integer(values[0]);
  }
}

/** NaN for what is no whole number, so that every comparison with it fails. */
function integer(text: string | undefined): number {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
}

function splitOutsideParentheses(text: string): string[] {
  return text.trim() === "" ? [] : text.split(/,(?![^(]*\))/).map((part) => part.trim());
}

const keyPattern = "([A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)";
const valuePattern = "((?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?)";
const exists = new RegExp(`^(!?)\\s*${keyPattern}$`);
const equals = new RegExp(`^${keyPattern}\\s*(==|=|!=|>|<)\\s*${valuePattern}$`);
const set = new RegExp(`^${keyPattern}\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const valueOnly = new RegExp(`^${valuePattern}$`);

const operators = { "=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt", in: "In", notin: "NotIn" } as const;

function parseRequirement(text: string): Requirement | undefined {
  const [, not, present = ""] = exists.exec(text) ?? [];
  if (not !== undefined) return { key: present, operator: not === "!" ? "DoesNotExist" : "Exists", values: [] };
  const [, equalsKey, comparison, value = ""] = equals.exec(text) ?? [];
  if (equalsKey !== undefined && isOperator(comparison)) {
    if ((comparison === ">" || comparison === "<") && Number.isNaN(integer(value))) return undefined;
    return { key: equalsKey, operator: operators[comparison], values: [value] };
  }
  const [, setKey, membership, list = ""] = set.exec(text) ?? [];
  if (setKey === undefined || !isOperator(membership)) return undefined;
  const values = list.split(",").map((one) => one.trim());
  return values.every((one) => valueOnly.test(one))
    ? { key: setKey, operator: operators[membership], values }
    : undefined;
}

function isOperator(text: string | undefined): text is keyof typeof operators {
  return text !== undefined && Object.hasOwn(operators, text);
}
