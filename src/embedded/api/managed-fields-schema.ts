/**
 * Which values are owned as a whole and which part by part, and what tells the entries of a list apart: the
 * `listType`, `listMapKey`, `mapType` and `structType` markers of k8s.io/api, and `x-kubernetes-…` of custom types.
 */
import type { ApiContext } from "./context.ts";
import { definitionsKey } from "./definition-status.ts";
import { isList, isObject, type Json, type JsonObject, listAt, objectAt, textAt, valueAt } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";

/** How a list merges: as one value, as a set of plain values, or entry by entry. */
export type ListRule = "atomic" | "set" | KeyedList;

export interface KeyedList {
  /** In alphabetical order, as they stand in a set of fields. */
  readonly keys: readonly string[];
  /** What a key that an entry leaves out counts as. */
  readonly defaults: JsonObject;
}

/** What is known of the value at one place. */
export interface FieldSchema {
  readonly objects: "granular" | "atomic";
  readonly lists: ListRule;
  /** Of the entries of a list. */
  readonly items: FieldSchema;
  /** Of a field or map entry. */
  field(name: string): FieldSchema;
  /** Whether a name is a field of a structure; the entries of a map are owned for themselves. */
  declares(name: string): boolean;
}

type Fields = Readonly<Record<string, FieldSchema>>;

/** Owned as a whole, whatever it is. */
const atomic: FieldSchema = {
  objects: "atomic",
  lists: "atomic",
  get items() {
    return atomic;
  },
  field: () => atomic,
  declares: () => true,
};

/** Objects field by field, lists as a whole, with exceptions for some fields and then those that hold everywhere. */
function structure(own: Fields = {}, lists: ListRule = "atomic"): FieldSchema {
  const schema: FieldSchema = {
    objects: "granular",
    lists,
    get items() {
      return schema;
    },
    field: (name) => fieldIn(own, name) ?? fieldIn(everywhere, name) ?? plain,
    declares: () => true,
  };
  return schema;
}

function fieldIn(fields: Fields, name: string): FieldSchema | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function keyed(keys: string, own: Fields = {}, defaults: JsonObject = {}): FieldSchema {
  return structure(own, { keys: keys.split(" ").sort(), defaults });
}

/** Entries told apart by their keys, each owned as a whole. */
function references(keys: string, defaults: JsonObject = {}): FieldSchema {
  return { ...keyed(keys, {}, defaults), items: atomic };
}

const set: FieldSchema = structure({}, "set");
const protocol: JsonObject = { protocol: "TCP" };
const plain: FieldSchema = structure();
const containers: FieldSchema = keyed("name", { ports: keyed("containerPort protocol", {}, protocol) });

/** By the field's name: within k8s.io/api each of these means the same wherever it stands. */
const everywhere: Fields = {
  spec: structure({ ports: keyed("port protocol", {}, protocol) }),
  containers,
  initContainers: containers,
  ephemeralContainers: containers,
  env: keyed("name"),
  volumes: keyed("name"),
  volumeMounts: keyed("mountPath"),
  volumeDevices: keyed("devicePath"),
  claims: keyed("name"),
  resourceClaims: keyed("name"),
  resourceClaimStatuses: keyed("name"),
  schedulingGates: keyed("name"),
  imagePullSecrets: references("name", { name: "" }),
  secrets: references("name"),
  hostAliases: keyed("ip"),
  podIPs: keyed("ip"),
  topologySpreadConstraints: keyed("topologyKey whenUnsatisfiable"),
  conditions: keyed("type"),
  addresses: keyed("type"),
  webhooks: keyed("name"),
  reservedFor: keyed("uid"),
  ownerReferences: references("uid"),
  finalizers: set,
  podCIDRs: set,
  selector: atomic,
  labelSelector: atomic,
  namespaceSelector: atomic,
  objectSelector: atomic,
  podSelector: atomic,
  nodeSelector: atomic,
  requiredDuringSchedulingIgnoredDuringExecution: atomic,
  configMapKeyRef: atomic,
  secretKeyRef: atomic,
  fieldRef: atomic,
  resourceFieldRef: atomic,
  secretRef: atomic,
  involvedObject: atomic,
  related: atomic,
  claimRef: atomic,
  roleRef: atomic,
  dataSource: atomic,
  openAPIV3Schema: atomic,
};

const roots: Fields = {
  // The conditions of a Job carry no list type.
  "jobs.batch": structure({ status: structure({ conditions: atomic }) }),
  "endpoints.": structure({ subsets: atomic }),
};

/** Nothing is known: objects are maps, lists are values. */
const deduced: FieldSchema = {
  objects: "granular",
  lists: "atomic",
  get items() {
    return deduced;
  },
  field: () => deduced,
  declares: () => false,
};

/** The schema of a type's objects, from its definition when it is a custom type. */
export function fieldSchemaOf({ store }: ApiContext, type: ApiType): FieldSchema {
  const key = collectionKey(type);
  if (!type.custom) return fieldIn(roots, key) ?? plain;
  const definition = store.collection(definitionsKey).find("", key);
  const version = listAt(definition?.object, "spec", "versions").find((one) => textAt(one, "name") === type.version);
  const own = customSchema(objectAt(version, "schema", "openAPIV3Schema"));
  return { ...own, field: (name) => (name === "metadata" ? plain : own.field(name)), declares: isRootField };
}

function isRootField(name: string): boolean {
  return ["apiVersion", "kind", "metadata", "spec", "status"].includes(name);
}

function customSchema(node: JsonObject): FieldSchema {
  const properties = objectAt(node, "properties");
  return {
    objects: node["x-kubernetes-map-type"] === "atomic" ? "atomic" : "granular",
    lists: customListRule(node),
    get items() {
      return schemaOrDeduced(node["items"]);
    },
    field: (name) => schemaOrDeduced(valueAt(properties, name) ?? node["additionalProperties"]),
    declares: (name) => Object.hasOwn(properties, name),
  };
}

function schemaOrDeduced(node: Json | undefined): FieldSchema {
  return isObject(node) ? customSchema(node) : deduced;
}

function customListRule(node: JsonObject): ListRule {
  const keys = node["x-kubernetes-list-map-keys"];
  if (node["x-kubernetes-list-type"] === "set") return "set";
  if (node["x-kubernetes-list-type"] !== "map" || !isList(keys)) return "atomic";
  const defaults = keys.map(String).flatMap((key) => {
    const value = valueAt(node, "items", "properties", key, "default");
    return value === undefined ? [] : [[key, value] as const];
  });
  return { keys: keys.map(String).sort(), defaults: Object.fromEntries(defaults) };
}

const podTemplate: JsonObject = { metadata: {}, spec: { containers: null } };

/** What objects consist of before anybody sets a field: Go's structures that are no pointers are there from the start. */
const startingFields: Readonly<Record<string, JsonObject>> = {
  "pods.": { spec: { containers: null }, status: {} },
  "nodes.": { spec: {}, status: { daemonEndpoints: { kubeletEndpoint: {} }, nodeInfo: {} } },
  "services.": { spec: {}, status: { loadBalancer: {} } },
  "persistentvolumeclaims.": { spec: { resources: {} }, status: {} },
  "events.": { source: {}, involvedObject: {} },
  "deployments.apps": { spec: { strategy: {}, template: podTemplate }, status: {} },
  "replicasets.apps": { spec: { template: podTemplate }, status: {} },
  "statefulsets.apps": { spec: { updateStrategy: {}, template: podTemplate }, status: {} },
  "daemonsets.apps": { spec: { updateStrategy: {}, template: podTemplate }, status: {} },
  "jobs.batch": { spec: { template: podTemplate }, status: {} },
  "cronjobs.batch": { spec: { jobTemplate: { metadata: {}, spec: { template: podTemplate } } }, status: {} },
  "customresourcedefinitions.apiextensions.k8s.io": { spec: { names: {} }, status: {} },
};

/** What to compare a new object of a type with, so that only what its creator set counts as added. */
export function startingObject(type: ApiType): JsonObject {
  const key = collectionKey(type);
  if (type.custom) return { metadata: {} };
  return { metadata: {}, ...(Object.hasOwn(startingFields, key) ? startingFields[key] : { spec: {}, status: {} }) };
}
