/**
 * What type of JSON the fields have that this server or its clients look into.
 *
 * A real server decodes into typed structures and answers 400 when a field does not fit; this table does the same for
 * the fields named in it, so that nothing behind it meets a number where it expects a text.
 */
import { parseQuantity } from "../../kube/index.ts";
import { badRequest } from "./errors.ts";
import { isList, isObject, type Json, type JsonObject } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";

type Shape =
  | { readonly is: "text" | "number" | "boolean" | "object" | "quantity" }
  | { readonly is: "list"; readonly of: Shape }
  | { readonly is: "map"; readonly of: Shape }
  | { readonly is: "fields"; readonly fields: Readonly<Record<string, Shape>> };

const text: Shape = { is: "text" };
const number: Shape = { is: "number" };
const boolean: Shape = { is: "boolean" };
const object: Shape = { is: "object" };
const texts: Shape = { is: "list", of: text };
const textMap: Shape = { is: "map", of: text };
const quantities: Shape = { is: "map", of: { is: "quantity" } };

function fields(shape: Readonly<Record<string, Shape>>): Shape {
  return { is: "fields", fields: shape };
}

function listOf(shape: Readonly<Record<string, Shape>>): Shape {
  return { is: "list", of: fields(shape) };
}

const metadata = fields({
  name: text,
  generateName: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  labels: textMap,
  annotations: textMap,
  finalizers: texts,
  ownerReferences: listOf({ apiVersion: text, kind: text, name: text, uid: text, controller: boolean }),
});

const conditions = listOf({ type: text, status: text, reason: text, message: text });

const containers = listOf({
  name: text,
  image: text,
  command: texts,
  args: texts,
  workingDir: text,
  env: listOf({ name: text, value: text, valueFrom: object }),
  envFrom: { is: "list", of: object },
  resources: fields({ limits: quantities, requests: quantities }),
  ports: listOf({ name: text, containerPort: number, hostPort: number, protocol: text }),
  volumeMounts: listOf({ name: text, mountPath: text, readOnly: boolean }),
  restartPolicy: text,
  imagePullPolicy: text,
  securityContext: object,
});

const podSpec = fields({
  containers,
  initContainers: containers,
  nodeName: text,
  nodeSelector: textMap,
  restartPolicy: text,
  terminationGracePeriodSeconds: number,
  activeDeadlineSeconds: number,
  dnsPolicy: text,
  schedulerName: text,
  serviceAccountName: text,
  runtimeClassName: text,
  priorityClassName: text,
  priority: number,
  hostNetwork: boolean,
  overhead: quantities,
  affinity: object,
  volumes: listOf({ name: text }),
  tolerations: listOf({ key: text, operator: text, value: text, effect: text, tolerationSeconds: number }),
  topologySpreadConstraints: listOf({ maxSkew: number, topologyKey: text, whenUnsatisfiable: text }),
});

const podStatus = fields({
  phase: text,
  conditions,
  reason: text,
  message: text,
  podIP: text,
  hostIP: text,
  containerStatuses: listOf({ name: text, ready: boolean, restartCount: number, state: object }),
  initContainerStatuses: listOf({ name: text, ready: boolean, restartCount: number, state: object }),
});

const podTemplate = fields({ metadata, spec: podSpec });

const labelSelector = fields({
  matchLabels: textMap,
  matchExpressions: listOf({ key: text, operator: text, values: texts }),
});
const replicated = { replicas: number, selector: labelSelector, template: podTemplate };
const rolledOut = { minReadySeconds: number, revisionHistoryLimit: number };
const updateStrategy = fields({ type: text, rollingUpdate: object });

const shapes: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  "pods.": { spec: podSpec, status: podStatus },
  "nodes.": {
    spec: fields({
      unschedulable: boolean,
      podCIDR: text,
      providerID: text,
      taints: listOf({ key: text, value: text, effect: text }),
    }),
    status: fields({
      capacity: quantities,
      allocatable: quantities,
      conditions,
      addresses: listOf({ type: text, address: text }),
      nodeInfo: textMap,
    }),
  },
  "configmaps.": { data: textMap, binaryData: textMap, immutable: boolean },
  "secrets.": { data: textMap, stringData: textMap, type: text, immutable: boolean },
  "events.": {
    involvedObject: fields({ kind: text, namespace: text, name: text, uid: text, apiVersion: text, fieldPath: text }),
    reason: text,
    message: text,
    type: text,
    count: number,
    source: fields({ component: text, host: text }),
  },
  "priorityclasses.scheduling.k8s.io": { value: number, globalDefault: boolean, preemptionPolicy: text },
  "leases.coordination.k8s.io": { spec: fields({ holderIdentity: text, leaseDurationSeconds: number }) },
  "deployments.apps": {
    spec: fields({
      ...replicated,
      ...rolledOut,
      progressDeadlineSeconds: number,
      paused: boolean,
      strategy: updateStrategy,
    }),
  },
  "replicasets.apps": { spec: fields({ ...replicated, minReadySeconds: number }) },
  "statefulsets.apps": { spec: fields(replicated) },
  "daemonsets.apps": {
    spec: fields({ selector: labelSelector, template: podTemplate, ...rolledOut, updateStrategy }),
  },
  "jobs.batch": {
    spec: fields({
      parallelism: number,
      completions: number,
      backoffLimit: number,
      activeDeadlineSeconds: number,
      ttlSecondsAfterFinished: number,
      completionMode: text,
      podReplacementPolicy: text,
      suspend: boolean,
      manualSelector: boolean,
      selector: labelSelector,
      template: podTemplate,
      podFailurePolicy: fields({
        rules: listOf({
          action: text,
          onExitCodes: fields({ containerName: text, operator: text, values: { is: "list", of: number } }),
          onPodConditions: listOf({ type: text, status: text }),
        }),
      }),
    }),
  },
  "poddisruptionbudgets.policy": { spec: fields({ selector: labelSelector }) },
  "customresourcedefinitions.apiextensions.k8s.io": {
    spec: fields({
      group: text,
      scope: text,
      names: fields({ plural: text, singular: text, kind: text, shortNames: texts, categories: texts }),
      versions: listOf({ name: text, served: boolean, storage: boolean }),
    }),
  },
};

/** Throws 400 naming the first field whose type does not fit. */
export function assertShape(type: ApiType, body: JsonObject): void {
  const own = Object.hasOwn(shapes, collectionKey(type)) ? shapes[collectionKey(type)] : undefined;
  const mismatch = misfit(body, fields({ apiVersion: text, kind: text, metadata, ...own }), type.kind);
  if (mismatch === undefined) return;
  const version = type.group === "" ? type.version : `${type.group}/${type.version}`;
  throw badRequest(
    `${type.kind} in version ${JSON.stringify(version)} cannot be handled as a ${type.kind}: ${mismatch}`,
  );
}

/** What is wrong, in Go's words; a null counts as left out. */
function misfit(value: Json | undefined, shape: Shape, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  switch (shape.is) {
    case "text":
      return typeof value === "string" ? undefined : wrongType(value, path, "string");
    case "number":
      return typeof value === "number" && Number.isInteger(value) ? undefined : wrongType(value, path, "int64");
    case "boolean":
      return typeof value === "boolean" ? undefined : wrongType(value, path, "bool");
    case "object":
      return isObject(value) ? undefined : wrongType(value, path, "object");
    case "quantity":
      return misfitQuantity(value);
    case "list":
      if (!isList(value)) return wrongType(value, path, "[]object");
      return firstDefined(value, (item) => misfit(item, shape.of, path));
    case "map":
      if (!isObject(value)) return wrongType(value, path, "map[string]string");
      return firstDefined(Object.keys(value), (key) => misfit(value[key], shape.of, path));
    case "fields":
      if (!isObject(value)) return wrongType(value, path, "object");
      return firstDefined(Object.keys(shape.fields), (key) => {
        const field = shape.fields[key];
        return field === undefined ? undefined : misfit(ownField(value, key), field, `${path}.${key}`);
      });
  }
}

function ownField(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function misfitQuantity(value: Json): string | undefined {
  if (typeof value === "number" || (typeof value === "string" && parseQuantity(value) !== undefined)) return undefined;
  return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
}

function wrongType(value: Json, path: string, wanted: string): string {
  const seen = isList(value) ? "array" : value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
  return `json: cannot unmarshal ${seen} into Go struct field ${path} of type ${wanted}`;
}

function firstDefined<T>(items: readonly T[], probe: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = probe(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
