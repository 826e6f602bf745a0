/**
 * The columns of `kubectl get` for each type (kubernetes, pkg/printers/internalversion/printers.go).
 */
import { type Json, type JsonObject, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { podColumns } from "./pod-columns.ts";
import { collectionKey } from "./registry.ts";
import { ageOf, type Column, humanDuration } from "./table.ts";
import type { ApiType } from "./types.ts";

type Cell = Column["cell"];

function column(name: string, cell: Cell, more: Partial<Column> = {}): Column {
  return { name, type: "string", priority: 0, cell, ...more };
}

const wide = { priority: 1 } as const;
const name = column("Name", (object) => textAt(object, "metadata", "name"), { format: "name" });
const age = column("Age", (object, nowMs) => ageOf(textAt(object, "metadata", "creationTimestamp"), nowMs));

function orNone(text: string): string {
  return text === "" ? "<none>" : text;
}

function textCell(...path: readonly string[]): Cell {
  return (object) => orNone(textAt(object, ...path));
}

function countCell(...path: readonly string[]): Cell {
  return (object) => numberAt(object, ...path) ?? 0;
}

const integer = { type: "integer" } as const;

const nodeColumns: readonly Column[] = [
  name,
  column("Status", nodeStatus),
  column("Roles", nodeRoles),
  age,
  column("Version", textCell("status", "nodeInfo", "kubeletVersion")),
  column("Internal-IP", (node) => addressOf(node, "InternalIP"), wide),
  column("External-IP", (node) => addressOf(node, "ExternalIP"), wide),
  column("OS-Image", (node) => textAt(node, "status", "nodeInfo", "osImage") || "<unknown>", wide),
  column("Kernel-Version", (node) => textAt(node, "status", "nodeInfo", "kernelVersion") || "<unknown>", wide),
  column(
    "Container-Runtime",
    (node) => textAt(node, "status", "nodeInfo", "containerRuntimeVersion") || "<unknown>",
    wide,
  ),
];

function nodeStatus(node: JsonObject): string {
  const ready = listAt(node, "status", "conditions").find((one) => textAt(one, "type") === "Ready");
  const readiness = { True: "Ready", False: "NotReady", "": "Unknown" }[textAt(ready, "status")] ?? "NotReady";
  return objectAt(node, "spec")["unschedulable"] === true ? `${readiness},SchedulingDisabled` : readiness;
}

function nodeRoles(node: JsonObject): string {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.entries(objectAt(node, "metadata", "labels")).flatMap(([key, value]) => {
    if (key.startsWith(prefix) && key.length > prefix.length) return [key.slice(prefix.length)];
    return key === "kubernetes.io/role" && typeof value === "string" && value !== "" ? [value] : [];
  });
  return orNone([...new Set(roles)].sort().join(","));
}

function addressOf(node: JsonObject, type: string): string {
  return orNone(
    textAt(
      listAt(node, "status", "addresses").find((one) => textAt(one, "type") === type),
      "address",
    ),
  );
}

const eventColumns: readonly Column[] = [
  column("Last Seen", (event, nowMs) => ageOf(lastSeen(event), nowMs)),
  column("Type", (event) => textAt(event, "type")),
  column("Reason", (event) => textAt(event, "reason")),
  column("Object", (event) => {
    const about = objectAt(event, "involvedObject");
    return `${textAt(about, "kind").toLowerCase()}/${textAt(about, "name")}`;
  }),
  column("Subobject", (event) => textAt(event, "involvedObject", "fieldPath"), wide),
  column("Source", eventSource, wide),
  column("Message", (event) => textAt(event, "message").trim()),
  column("First Seen", (event, nowMs) => ageOf(firstSeen(event), nowMs), wide),
  column("Count", (event) => String(numberAt(event, "series", "count") ?? numberAt(event, "count") ?? 1), wide),
  { ...name, priority: 1 },
];

function firstSeen(event: JsonObject): string {
  return textAt(event, "firstTimestamp") || textAt(event, "eventTime");
}

function lastSeen(event: JsonObject): string {
  return textAt(event, "series", "lastObservedTime") || textAt(event, "lastTimestamp") || firstSeen(event);
}

function eventSource(event: JsonObject): string {
  const component = textAt(event, "source", "component") || textAt(event, "reportingComponent");
  const host = textAt(event, "source", "host");
  return host === "" ? component : `${component}, ${host}`;
}

function dataCount(object: JsonObject): number {
  return Object.keys(objectAt(object, "data")).length + Object.keys(objectAt(object, "binaryData")).length;
}

const containersColumns: readonly Column[] = [
  column("Containers", (object) => templateContainers(object, "name"), wide),
  column("Images", (object) => templateContainers(object, "image"), wide),
];

const selectorColumn = column("Selector", (object) => selectorText(objectAt(object, "spec", "selector")), wide);

function templateContainers(object: JsonObject, field: string): string {
  return listAt(object, "spec", "template", "spec", "containers")
    .map((one) => textAt(one, field))
    .join(",");
}

function selectorText(selector: JsonObject): string {
  const labels = Object.entries(objectAt(selector, "matchLabels")).map(([key, value]) => `${key}=${String(value)}`);
  const expressions = listAt(selector, "matchExpressions").map((one) => {
    const values = listAt(one, "values").map(String).join(",");
    return `${textAt(one, "key")} ${textAt(one, "operator").toLowerCase()} (${values})`;
  });
  return orNone([...labels, ...expressions].join(","));
}

const deploymentColumns: readonly Column[] = [
  name,
  column("Ready", (one) => `${countCell("status", "readyReplicas")(one, 0)}/${countCell("spec", "replicas")(one, 0)}`),
  column("Up-to-date", countCell("status", "updatedReplicas"), integer),
  column("Available", countCell("status", "availableReplicas"), integer),
  age,
  ...containersColumns,
  selectorColumn,
];

const replicaSetColumns: readonly Column[] = [
  name,
  column("Desired", countCell("spec", "replicas"), integer),
  column("Current", countCell("status", "replicas"), integer),
  column("Ready", countCell("status", "readyReplicas"), integer),
  age,
  ...containersColumns,
  selectorColumn,
];

const statefulSetColumns: readonly Column[] = [
  name,
  column("Ready", (one) => `${countCell("status", "readyReplicas")(one, 0)}/${countCell("spec", "replicas")(one, 0)}`),
  age,
  ...containersColumns,
];

const daemonSetColumns: readonly Column[] = [
  name,
  column("Desired", countCell("status", "desiredNumberScheduled"), integer),
  column("Current", countCell("status", "currentNumberScheduled"), integer),
  column("Ready", countCell("status", "numberReady"), integer),
  column("Up-to-date", countCell("status", "updatedNumberScheduled"), integer),
  column("Available", countCell("status", "numberAvailable"), integer),
  column("Node Selector", (one) => pairsText(objectAt(one, "spec", "template", "spec", "nodeSelector"))),
  age,
  ...containersColumns,
  selectorColumn,
];

function pairsText(pairs: JsonObject): string {
  return orNone(
    Object.entries(pairs)
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(","),
  );
}

const jobColumns: readonly Column[] = [
  name,
  column("Status", jobStatus),
  column("Completions", (job) => {
    const done = numberAt(job, "status", "succeeded") ?? 0;
    const wanted = numberAt(job, "spec", "completions");
    if (wanted !== undefined) return `${done}/${wanted}`;
    const parallelism = numberAt(job, "spec", "parallelism") ?? 0;
    return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
  }),
  column("Duration", (job, nowMs) => {
    const start = Date.parse(textAt(job, "status", "startTime"));
    const end = Date.parse(textAt(job, "status", "completionTime"));
    return Number.isNaN(start) ? "" : humanDuration((Number.isNaN(end) ? nowMs : end) - start);
  }),
  age,
  ...containersColumns,
  selectorColumn,
];

function jobStatus(job: JsonObject): string {
  const holds = (type: string): boolean =>
    listAt(job, "status", "conditions").some((one) => textAt(one, "type") === type && textAt(one, "status") === "True");
  if (holds("Complete")) return "Complete";
  if (holds("Failed")) return "Failed";
  if (textAt(job, "metadata", "deletionTimestamp") !== "") return "Terminating";
  if (holds("Suspended")) return "Suspended";
  if (holds("FailureTarget")) return "FailureTarget";
  return holds("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
}

const serviceColumns: readonly Column[] = [
  name,
  column("Type", (one) => textAt(one, "spec", "type") || "ClusterIP"),
  column("Cluster-IP", textCell("spec", "clusterIP")),
  column("External-IP", () => "<none>"),
  column("Port(s)", (one) => orNone(listAt(one, "spec", "ports").map(portText).join(","))),
  age,
  column("Selector", (one) => pairsText(objectAt(one, "spec", "selector")), wide),
];

function portText(port: Json): string {
  return `${numberAt(port, "port") ?? 0}/${textAt(port, "protocol") || "TCP"}`;
}

const budgetColumns: readonly Column[] = [
  name,
  column("Min Available", (one) => orNotApplicable(objectAt(one, "spec")["minAvailable"])),
  column("Max Unavailable", (one) => orNotApplicable(objectAt(one, "spec")["maxUnavailable"])),
  column("Allowed Disruptions", countCell("status", "disruptionsAllowed"), integer),
  age,
];

function orNotApplicable(value: Json | undefined): string {
  return value === undefined || value === null ? "N/A" : String(value);
}

const webhookColumns: readonly Column[] = [
  name,
  column("Webhooks", (one) => listAt(one, "webhooks").length, integer),
  age,
];

const columnTable: Readonly<Record<string, readonly Column[]>> = {
  "pods.": podColumns([name, age]),
  "nodes.": nodeColumns,
  "events.": eventColumns,
  "configmaps.": [name, column("Data", dataCount, integer), age],
  "secrets.": [name, column("Type", (one) => textAt(one, "type")), column("Data", dataCount, integer), age],
  "namespaces.": [name, column("Status", (one) => textAt(one, "status", "phase")), age],
  "services.": serviceColumns,
  "deployments.apps": deploymentColumns,
  "replicasets.apps": replicaSetColumns,
  "statefulsets.apps": statefulSetColumns,
  "daemonsets.apps": daemonSetColumns,
  "jobs.batch": jobColumns,
  "leases.coordination.k8s.io": [name, column("Holder", (one) => textAt(one, "spec", "holderIdentity")), age],
  "poddisruptionbudgets.policy": budgetColumns,
  "priorityclasses.scheduling.k8s.io": [
    name,
    column("Value", countCell("value"), integer),
    column("Global-Default", (one) => String(one["globalDefault"] === true)),
    age,
    column("PreemptionPolicy", (one) => textAt(one, "preemptionPolicy")),
  ],
  "customresourcedefinitions.apiextensions.k8s.io": [
    name,
    column("Created At", (one) => textAt(one, "metadata", "creationTimestamp")),
  ],
  "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhookColumns,
  "validatingwebhookconfigurations.admissionregistration.k8s.io": webhookColumns,
  "clusterpolicies.nvidia.com": [name, column("Status", (one) => textAt(one, "status", "state")), age],
};

const plainColumns: readonly Column[] = [name, age];

/** The columns of a type: its name and age at least. */
export function columnsOf(type: ApiType): readonly Column[] {
  if (type.definition !== undefined) return type.definition.columns;
  const key = collectionKey(type);
  return (Object.hasOwn(columnTable, key) ? columnTable[key] : undefined) ?? plainColumns;
}
