/**
 * Which webhooks are asked about a write (apiserver, pkg/admission/plugin/webhook/predicates).
 */
import { labelSelectorMatches } from "../../kube/index.ts";
import type { AdmissionSubject } from "./admission.ts";
import type { ApiContext } from "./context.ts";
import { isObject, type Json, type JsonObject, listAt, textAt, textFields, valueAt } from "./json.ts";

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
  return [object, oldObject].some((one) => one !== undefined && takes(spec["objectSelector"], one));
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
  if (own !== undefined) return takes(selector, own);
  if (!type.namespaced) return true;
  return takes(selector, store.collection("namespaces.").find("", namespace)?.object);
}

function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  return textFields(valueAt(object, "metadata", "labels"));
}

/** A webhook's selector that is missing takes all (admissionregistration.k8s.io/v1); elsewhere it takes none. */
function takes(selector: Json | undefined, object: JsonObject | undefined): boolean {
  return labelSelectorMatches(selector ?? {}, object === undefined ? {} : labelsOf(object));
}
