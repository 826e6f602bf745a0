/**
 * Workloads and budgets, described (kubernetes, staging/src/k8s.io/api/apps/v1, batch/v1 and policy/v1).
 */
import type { TypeTable } from "./schema-text.ts";

export const workloadTypes: TypeTable = {
  PodTemplateSpec: {
    about: "From what pods are made.",
    fields: { metadata: "ObjectMeta Labels and annotations of the pods.", spec: "PodSpec What they run." },
  },
  DeploymentSpec: {
    about: "What a deployment shall keep running.",
    fields: {
      minReadySeconds: "integer How long a pod is ready before it counts as available.",
      paused: "boolean Whether changes wait.",
      progressDeadlineSeconds: "integer After how long without progress a rollout has failed; default 600.",
      replicas: "integer How many pods; default 1.",
      revisionHistoryLimit: "integer How many old replica sets are kept; default 10.",
      selector: "LabelSelector! Which pods are its own; cannot change.",
      strategy: "DeploymentStrategy How old pods give way to new ones.",
      template: "PodTemplateSpec! From what its pods are made.",
    },
  },
  DeploymentStrategy: {
    about: "How old pods give way to new ones.",
    fields: {
      rollingUpdate: "object maxSurge and maxUnavailable, as numbers or percentages.",
      type: "string RollingUpdate (default) or Recreate.",
    },
  },
  ReplicaSetSpec: {
    about: "What a replica set shall keep running.",
    fields: {
      minReadySeconds: "integer How long a pod is ready before it counts as available.",
      replicas: "integer How many pods; default 1.",
      selector: "LabelSelector! Which pods are its own; cannot change.",
      template: "PodTemplateSpec From what its pods are made.",
    },
  },
  StatefulSetSpec: {
    about: "What a stateful set shall keep running.",
    fields: {
      podManagementPolicy: "string OrderedReady (default) or Parallel.",
      replicas: "integer How many pods; default 1.",
      selector: "LabelSelector! Which pods are its own; cannot change.",
      serviceName: "string The service that gives its pods their names.",
      template: "PodTemplateSpec! From what its pods are made.",
      updateStrategy: "object How pods are replaced.",
      volumeClaimTemplates: "object[] Claims, one of each for each pod.",
    },
  },
  DaemonSetSpec: {
    about: "What shall run on every node that fits.",
    fields: {
      minReadySeconds: "integer How long a pod is ready before it counts as available.",
      selector: "LabelSelector! Which pods are its own; cannot change.",
      template: "PodTemplateSpec! From what its pods are made.",
      updateStrategy: "object How pods are replaced: RollingUpdate or OnDelete.",
    },
  },
  JobSpec: {
    about: "What a job shall run to its end.",
    fields: {
      activeDeadlineSeconds: "integer Seconds after which it has failed.",
      backoffLimit: "integer Failures after which it has failed; default 6.",
      completionMode: "string NonIndexed (default) or Indexed.",
      completions: "integer How many pods must succeed.",
      manualSelector: "boolean Whether the selector is the client's own.",
      parallelism: "integer How many pods run at a time; default 1.",
      podFailurePolicy: "object What a failure means, by exit code or condition.",
      selector: "LabelSelector Which pods are its own; made by the server.",
      suspend: "boolean Whether it stops running pods.",
      template: "PodTemplateSpec! From what its pods are made.",
      ttlSecondsAfterFinished: "integer Seconds after its end when it is deleted.",
    },
  },
  CronJobSpec: {
    about: "Which job runs when.",
    fields: {
      concurrencyPolicy: "string Allow (default), Forbid or Replace.",
      jobTemplate: "object! From what its jobs are made.",
      schedule: "string! When, as in cron.",
      suspend: "boolean Whether it starts no more jobs.",
      timeZone: "string The zone of the schedule.",
    },
  },
  WorkloadStatus: {
    about: "How far a workload has come; its controller writes it.",
    fields: {
      availableReplicas: "integer Pods that have been ready long enough.",
      conditions: "Condition[] Its conditions.",
      observedGeneration: "integer The generation this status is about.",
      readyReplicas: "integer Pods that are ready.",
      replicas: "integer Pods there are.",
      updatedReplicas: "integer Pods made from the present template.",
    },
  },
  DaemonSetStatus: {
    about: "How far a daemon set has come; its controller writes it.",
    fields: {
      currentNumberScheduled: "integer! Nodes that run a pod of it and shall.",
      desiredNumberScheduled: "integer! Nodes that shall run one.",
      numberAvailable: "integer Nodes whose pod has been ready long enough.",
      numberMisscheduled: "integer! Nodes that run one and shall not.",
      numberReady: "integer! Nodes whose pod is ready.",
      observedGeneration: "integer The generation this status is about.",
      updatedNumberScheduled: "integer Nodes whose pod is made from the present template.",
    },
  },
  JobStatus: {
    about: "How far a job has come; its controller writes it.",
    fields: {
      active: "integer Pods that run.",
      completionTime: "Time When it succeeded.",
      conditions: "Condition[] Complete, Failed, Suspended and others.",
      failed: "integer Pods that failed.",
      ready: "integer Pods that are ready.",
      startTime: "Time When it began.",
      succeeded: "integer Pods that succeeded.",
    },
  },
  PodDisruptionBudgetSpec: {
    about: "How many pods evictions must leave.",
    fields: {
      maxUnavailable: "IntOrString How many may be missing; not with minAvailable.",
      minAvailable: "IntOrString How many must be there; not with maxUnavailable.",
      selector: "LabelSelector Which pods.",
      unhealthyPodEvictionPolicy: "string IfHealthyBudget (default) or AlwaysAllow.",
    },
  },
  PodDisruptionBudgetStatus: {
    about: "How many evictions a budget allows now.",
    fields: {
      conditions: "Condition[] DisruptionAllowed.",
      currentHealthy: "integer! Pods that are healthy.",
      desiredHealthy: "integer! How many there must be.",
      disruptionsAllowed: "integer! How many may be evicted now.",
      expectedPods: "integer! How many pods it is about.",
      observedGeneration: "integer The generation this status is about.",
    },
  },
  LeaseSpec: {
    about: "Who holds a lease, and for how long.",
    fields: {
      acquireTime: "Time When it was taken.",
      holderIdentity: "string Who holds it.",
      leaseDurationSeconds: "integer How long without renewal it is held.",
      leaseTransitions: "integer How often it changed hands.",
      renewTime: "Time When it was last renewed.",
    },
  },
};
