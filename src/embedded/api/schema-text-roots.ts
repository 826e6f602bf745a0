/**
 * The kinds that clients write, described: their fields beside `apiVersion`, `kind` and `metadata`.
 */
import type { TypeTable } from "./schema-text.ts";

/** By `plural.group`, as collections are named. */
export const rootTypes: TypeTable = {
  "pods.": {
    about: "Pod is a group of containers that run together on one node.",
    fields: { spec: "PodSpec What it shall run.", status: "PodStatus What became of it." },
  },
  "nodes.": {
    about: "Node is a machine that runs pods.",
    fields: { spec: "NodeSpec What is asked of it.", status: "NodeStatus What it has and how it is." },
  },
  "namespaces.": {
    about: "Namespace is a room for names.",
    fields: { spec: "object Its finalizers.", status: "object Its phase, Active or Terminating." },
  },
  "configmaps.": {
    about: "ConfigMap holds settings for pods and for Tranche: mig-parted and device-plugin configs among them.",
    fields: {
      binaryData: "{string} Content by key, in base64.",
      data: "{string} Text by key.",
      immutable: "boolean Whether it can no longer change.",
    },
  },
  "secrets.": {
    about: "Secret holds what not everybody shall read.",
    fields: {
      data: "{string} Content by key, in base64.",
      immutable: "boolean Whether it can no longer change.",
      stringData: "{string} Text by key; goes into data when written.",
      type: "string What is in it; default Opaque.",
    },
  },
  "events.": {
    about: "Event tells what happened to an object. It is kept for an hour.",
    fields: {
      action: "string What was done.",
      count: "integer How often it happened.",
      eventTime: "Time When it happened first.",
      firstTimestamp: "Time When it happened first.",
      involvedObject: "ObjectReference! What it is about.",
      lastTimestamp: "Time When it happened last.",
      message: "string What happened, for people.",
      reason: "string What happened, in one word.",
      related: "ObjectReference Another object it is about.",
      reportingComponent: "string Who tells it.",
      source: "object Who tells it, and on which node.",
      type: "string Normal or Warning.",
    },
  },
  "services.": {
    about: "Service gives pods one name; the embedded cluster keeps it and routes nothing.",
    fields: { spec: "object Ports and selector.", status: "object Its state." },
  },
  "deployments.apps": {
    about: "Deployment keeps pods running and replaces them step by step when they change.",
    fields: { spec: "DeploymentSpec What it shall keep running.", status: "WorkloadStatus How far it has come." },
  },
  "replicasets.apps": {
    about: "ReplicaSet keeps so many pods running.",
    fields: { spec: "ReplicaSetSpec What it shall keep running.", status: "WorkloadStatus How far it has come." },
  },
  "statefulsets.apps": {
    about: "StatefulSet keeps pods running that each have a name of their own.",
    fields: { spec: "StatefulSetSpec What it shall keep running.", status: "WorkloadStatus How far it has come." },
  },
  "daemonsets.apps": {
    about: "DaemonSet keeps a pod running on every node that fits.",
    fields: { spec: "DaemonSetSpec What it shall keep running.", status: "DaemonSetStatus How far it has come." },
  },
  "jobs.batch": {
    about: "Job runs pods until enough of them have succeeded.",
    fields: { spec: "JobSpec What it shall run.", status: "JobStatus How far it has come." },
  },
  "cronjobs.batch": {
    about: "CronJob starts jobs by the clock; the embedded cluster keeps it and starts none.",
    fields: { spec: "CronJobSpec Which job runs when.", status: "object When it last ran." },
  },
  "leases.coordination.k8s.io": {
    about: "Lease says who leads.",
    fields: { spec: "LeaseSpec Who holds it." },
  },
  "poddisruptionbudgets.policy": {
    about: "PodDisruptionBudget says how many pods evictions must leave.",
    fields: {
      spec: "PodDisruptionBudgetSpec How many must be left.",
      status: "PodDisruptionBudgetStatus How many may go now.",
    },
  },
  "priorityclasses.scheduling.k8s.io": {
    about: "PriorityClass gives pods their priority.",
    fields: {
      description: "string When to use it.",
      globalDefault: "boolean Whether pods without a class have it.",
      preemptionPolicy: "string PreemptLowerPriority (default) or Never.",
      value: "integer! The priority; higher goes first.",
    },
  },
  "clusterpolicies.nvidia.com": {
    about: "ClusterPolicy says how GPUs are shared on all nodes.",
    fields: {
      spec: "ClusterPolicySpec How GPUs are shared.",
      status: "ClusterPolicyStatus How far it is carried out.",
    },
  },
};
