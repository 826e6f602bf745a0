/**
 * Which webhooks are asked about a write (apiserver, pkg/admission/plugin/webhook/predicates).
 */
import type { AdmissionSubject } from "./admission.ts";
import type { ApiContext } from "./context.ts";
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt } from "./json.ts";

export type WebhookKind = "mutating" | "validating";

/** One entry of a configuration. */
export interface Webhook {
  readonly kind: WebhookKind;
  readonly name: string;
  readonly spec: JsonObject;
}

const configurationKeys: Readonly<Record<WebhookKind, string>> = {
  mutating: "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  validating: "validatingwebhookconfigurations.admissionregistration.k8s.io",
};

/** The webhooks to ask about a write, in the order of their configurations' names. */
export function webhooksFor(context: ApiContext, subject: AdmissionSubject, kind: WebhookKind): readonly Webhook[] {
  const collection = context.store.collection(configurationKeys[kind]);
  // No webhook may keep anyone from mending a webhook.
  if (collection.size === 0 || subject.target.type.group === "admissionregistration.k8s.io") return [];
  return collection.list().flatMap(({ object }) =>
    listAt(object, "webhooks")
      .filter(isObject)
      .filter((spec) => matches(context, spec, subject))
      .map((spec) => ({ kind, name: textAt(spec, "name"), spec })),
  );
}

function matches(context: ApiContext, spec: JsonObject, subject: AdmissionSubject): boolean {
  if (!listAt(spec, "rules").some((rule) => matchesRule(rule, subject))) return false;
  if (!matchesNamespace(context, spec["namespaceSelector"], subject)) return false;
  const { object, oldObject } = subject;
  return [object, oldObject].some((one) => one !== undefined && selects(spec["objectSelector"], labelsOf(one)));
}

function matchesRule(rule: Json, { operation, target, subresource }: AdmissionSubject): boolean {
  const { group, version, plural, namespaced } = target.type;
  const scope = textAt(rule, "scope");
  return (
    hasOrAll(listAt(rule, "operations"), operation) &&
    hasOrAll(listAt(rule, "apiGroups"), group) &&
    hasOrAll(listAt(rule, "apiVersions"), version) &&
    (scope === "" || scope === "*" || (scope === "Namespaced") === namespaced) &&
    listAt(rule, "resources").some((one) => matchesResource(String(one), plural, subresource))
  );
}

function hasOrAll(list: readonly Json[], value: string): boolean {
  return list.includes("*") || list.includes(value);
}

/** `pods`, `pods/status`, `pods/*`, `x/status` of any `x`; `*` alone means no subresource, as in the real server. */
function matchesResource(rule: string, plural: string, subresource: string): boolean {
  const [resource = "", part = ""] = rule.split("/");
  return (resource === "*" || resource === plural) && (part === subresource || (part === "*" && rule.includes("/")));
}

function matchesNamespace({ store }: ApiContext, selector: Json | undefined, subject: AdmissionSubject): boolean {
  const { type, namespace } = subject.target;
  const own = type.group === "" && type.plural === "namespaces" ? (subject.object ?? subject.oldObject) : undefined;
  if (own !== undefined) return selects(selector, labelsOf(own));
  if (!type.namespaced) return true;
  const found = store.collection("namespaces.").find("", namespace);
  return selects(selector, found === undefined ? {} : labelsOf(found.object));
}

function labelsOf(object: JsonObject): JsonObject {
  return objectAt(object, "metadata", "labels");
}

/** Whether a label selector takes the labels; an empty or missing one takes all. */
function selects(selector: Json | undefined, labels: JsonObject): boolean {
  const wanted = Object.entries(objectAt(selector, "matchLabels"));
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  return listAt(selector, "matchExpressions").every((one) => {
    const value = labels[textAt(one, "key")];
    const isListed = value !== undefined && listAt(one, "values").includes(value);
    switch (textAt(one, "operator")) {
      case "In":
        return isListed;
      case "NotIn":
        return !isListed;
      case "Exists":
        return value !== undefined;
      default:
        return value === undefined;
    }
  });
}
