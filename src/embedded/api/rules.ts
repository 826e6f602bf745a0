/**
 * What is special about a type when its objects are written, as a table.
 */
import type { ApiContext } from "./context.ts";
import { assertDefinitionFits, definitionFaults, prepareDefinition } from "./custom-types.ts";
import { definitionStatus } from "./definition-status.ts";
import type { Cause } from "./errors.ts";
import { isObject, type JsonObject, listAt, objectAt, sameJson, textAt, withField, withPath } from "./json.ts";
import { requiredValue } from "./metadata-validation.ts";
import { defaultPod } from "./pod-defaults.ts";
import { qosClass } from "./pod-qos.ts";
import { podSpecFaults, podUpdateFaults } from "./pod-validation.ts";
import { withPriority } from "./priority.ts";
import { normalQuantities } from "./quantities.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";
import { defaultWebhooks, webhookFaults } from "./webhook-faults.ts";
import { workloadRules } from "./workload-rules.ts";

export interface TypeRules {
  /** Fills what the client left out, at every write. */
  readonly defaults?: (object: JsonObject) => JsonObject;
  /** Decides what a new object starts with, beyond defaults; may refuse it. */
  readonly prepareCreate?: (object: JsonObject, context: ApiContext) => JsonObject;
  /** The faults of a new object, or of one that is to replace `old`. */
  readonly faults?: (object: JsonObject, old: JsonObject | undefined) => readonly Cause[];
  /** Whether a client may bring the status of a new object, as kubelets do with their nodes. Default false. */
  readonly statusAtCreate?: boolean;
}

const noRules: TypeRules = {};

/** The scheduler says the same of a pod that it finds gated (kubernetes, pkg/registry/core/pod/strategy.go). */
const gatedCondition: JsonObject = {
  type: "PodScheduled",
  status: "False",
  reason: "SchedulingGated",
  message: "Scheduling is blocked due to non-empty scheduling gates",
  lastProbeTime: null,
  lastTransitionTime: null,
};

const podRules: TypeRules = {
  defaults: defaultPod,
  prepareCreate: (pod, context) => {
    const prioritised = withPriority(pod, context);
    const status = { phase: "Pending", qosClass: qosClass(objectAt(pod, "spec")) };
    const isGated = listAt(pod, "spec", "schedulingGates").length > 0;
    return { ...prioritised, status: isGated ? { ...status, conditions: [gatedCondition] } : status };
  },
  faults: (pod, old) => {
    const spec = objectAt(pod, "spec");
    return old === undefined ? podSpecFaults(spec, "spec") : podUpdateFaults(spec, objectAt(old, "spec"));
  },
};

const nodeRules: TypeRules = {
  statusAtCreate: true,
  defaults: (node) => {
    const status = node["status"];
    if (!isObject(status)) return { ...node, spec: objectAt(node, "spec"), status: {} };
    const capacity = normalQuantities(objectAt(status, "capacity"));
    const allocatable = isObject(status["allocatable"]) ? normalQuantities(objectAt(status, "allocatable")) : capacity;
    return { ...node, spec: objectAt(node, "spec"), status: { ...status, capacity, allocatable } };
  },
};

const namespaceRules: TypeRules = {
  prepareCreate: (namespace) => {
    const labels = { ...objectAt(namespace, "metadata", "labels"), "kubernetes.io/metadata.name": nameOf(namespace) };
    const labelled = withPath(namespace, ["metadata", "labels"], labels);
    return { ...labelled, spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
  },
};

const configMapRules: TypeRules = {
  faults: (object, old) => [...keyFaults(object), ...immutableFaults(object, old)],
};

const secretRules: TypeRules = {
  defaults: (secret) => {
    const plain = Object.entries(objectAt(secret, "stringData"));
    const encoded = plain.map(([key, value]) => [key, Buffer.from(String(value)).toString("base64")] as const);
    const data =
      encoded.length === 0 ? secret["data"] : { ...objectAt(secret, "data"), ...Object.fromEntries(encoded) };
    const typed = { type: "Opaque", ...withField(secret, "stringData", undefined) };
    return data === undefined ? typed : withField(typed, "data", data);
  },
  faults: (object, old) => [...keyFaults(object), ...immutableFaults(object, old)],
};

const eventRules: TypeRules = {
  faults: (event) => {
    const about = objectAt(event, "involvedObject");
    return textAt(about, "kind") === "" && textAt(about, "name") === "" ? [requiredValue("involvedObject")] : [];
  },
};

const priorityClassRules: TypeRules = {
  defaults: (object) => ({ preemptionPolicy: "PreemptLowerPriority", ...object }),
  faults: (object, old) => {
    if (old === undefined || sameJson(object["value"], old["value"])) return [];
    return [forbiddenChange("value", "may not be changed in an update.")];
  },
};

const claimRules: TypeRules = {
  prepareCreate: (object) => ({ ...object, status: { phase: "Pending" } }),
};

const definitionRules: TypeRules = {
  defaults: prepareDefinition,
  prepareCreate: (definition, context) => {
    assertDefinitionFits(definition, context);
    return { ...definition, status: definitionStatus(definition, context) };
  },
  faults: definitionFaults,
};

function keyFaults(object: JsonObject): readonly Cause[] {
  return ["data", "binaryData"].flatMap((field) =>
    Object.keys(objectAt(object, field))
      .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key) || key === "." || key === "..")
      .map((key) => ({
        reason: "FieldValueInvalid" as const,
        message:
          `Invalid value: ${JSON.stringify(key)}: a valid config key must consist of alphanumeric characters, ` +
          "'-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        field: `${field}[${key}]`,
      })),
  );
}

function immutableFaults(object: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  if (old?.["immutable"] !== true) return [];
  const fixed = ["data", "binaryData", "immutable"].filter((field) => !sameJson(object[field], old[field]));
  return fixed.map((field) => forbiddenChange(field, "field is immutable when `immutable` is set"));
}

function forbiddenChange(field: string, why: string): Cause {
  return { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field };
}

function nameOf(object: JsonObject): string {
  return textAt(object, "metadata", "name");
}

const webhookRules: TypeRules = { defaults: defaultWebhooks, faults: webhookFaults };

const rules: Readonly<Record<string, TypeRules>> = {
  "pods.": podRules,
  "nodes.": nodeRules,
  "namespaces.": namespaceRules,
  "configmaps.": configMapRules,
  "secrets.": secretRules,
  "events.": eventRules,
  "persistentvolumeclaims.": claimRules,
  "priorityclasses.scheduling.k8s.io": priorityClassRules,
  ...workloadRules,
  "customresourcedefinitions.apiextensions.k8s.io": definitionRules,
  "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhookRules,
  "validatingwebhookconfigurations.admissionregistration.k8s.io": webhookRules,
};

/** The rules of a type; none for most. */
export function rulesOf(type: ApiType): TypeRules {
  const { definition } = type;
  if (definition !== undefined) return { defaults: definition.fill, faults: definition.faults };
  const key = collectionKey(type);
  return (Object.hasOwn(rules, key) ? rules[key] : undefined) ?? noRules;
}
