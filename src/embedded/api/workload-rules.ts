/**
 * What is special about workloads and budgets when they are written (kubernetes, pkg/apis/apps/v1/defaults.go,
 * batch/v1/defaults.go, pkg/registry/batch/job/strategy.go).
 */
import type { Cause } from "./errors.ts";
import { jobFaults } from "./job-faults.ts";
import { type JsonObject, objectAt, textAt, withField, withPath } from "./json.ts";
import { defaultPodSpec } from "./pod-defaults.ts";
import type { TypeRules } from "./rules.ts";
import {
  alwaysFaults,
  budgetFaults,
  negativeFaults,
  notHere,
  rollingFaults,
  strategyFaults,
  templateFaults,
  typeFaults,
} from "./workload-faults.ts";

interface WorkloadRules {
  /** Fills the spec, whose template is filled. */
  fill(spec: JsonObject, object: JsonObject): JsonObject;
  /** What is wrong beside template and selector. */
  faults(object: JsonObject, old: JsonObject | undefined): readonly Cause[];
}

/** Types that hold the template of a pod. */
function workload({ fill, faults }: WorkloadRules): TypeRules {
  return {
    defaults: (object) => {
      const spec = withoutNulls(objectAt(object, "spec"));
      const filled = withPath(spec, ["template", "spec"], defaultPodSpec(objectAt(spec, "template", "spec")));
      return { ...object, spec: fill(filled, object) };
    },
    prepareCreate: (object) => ({ ...object, status: {} }),
    faults: (object, old) => [...templateFaults(object, old), ...faults(object, old)],
  };
}

function withoutNulls(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** A strategy of type RollingUpdate names both of its limits. */
function filledStrategy(given: JsonObject, limits: JsonObject): JsonObject {
  const strategy = { type: "RollingUpdate", ...withoutNulls(given) };
  if (strategy.type !== "RollingUpdate") return strategy;
  return withField(strategy, "rollingUpdate", { ...limits, ...withoutNulls(objectAt(strategy, "rollingUpdate")) });
}

const deployment = workload({
  fill: (spec) => ({
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    ...spec,
    strategy: filledStrategy(objectAt(spec, "strategy"), { maxUnavailable: "25%", maxSurge: "25%" }),
  }),
  faults: (object) => [
    ...negativeFaults(object, ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]),
    ...alwaysFaults(object),
    ...strategyFaults(object),
  ],
});

const replicaSet = workload({
  fill: (spec) => ({ replicas: 1, ...spec }),
  faults: (object) => [...negativeFaults(object, ["replicas", "minReadySeconds"]), ...alwaysFaults(object)],
});

const statefulSet = workload({
  fill: (spec) => ({ replicas: 1, ...spec }),
  faults: (object) => [...negativeFaults(object, ["replicas"]), ...alwaysFaults(object)],
});

const daemonSet = workload({
  fill: (spec) => ({
    revisionHistoryLimit: 10,
    ...spec,
    updateStrategy: filledStrategy(objectAt(spec, "updateStrategy"), { maxUnavailable: 1, maxSurge: 0 }),
  }),
  faults: (object) => {
    const strategy = objectAt(object, "spec", "updateStrategy");
    const type = textAt(strategy, "type");
    return [
      ...negativeFaults(object, ["minReadySeconds", "revisionHistoryLimit"]),
      ...alwaysFaults(object),
      ...typeFaults(type, "spec.updateStrategy.type", ["RollingUpdate", "OnDelete"]),
      ...(type === "RollingUpdate" ? daemonRollingFaults(objectAt(strategy, "rollingUpdate")) : []),
    ];
  },
});

/** Surge is refused rather than silently ignored: the controller takes a node's pod away before the next comes. */
function daemonRollingFaults(rolling: JsonObject): readonly Cause[] {
  const { maxSurge } = rolling;
  const faults = rollingFaults(rolling, "spec.updateStrategy");
  if (maxSurge === 0 || maxSurge === "0%") return faults;
  return [...faults, notHere("spec.updateStrategy.rollingUpdate.maxSurge")];
}

/** A Job selects its pods by its own uid unless told otherwise. */
const jobWithoutLabels = workload({
  fill: (spec, object) => {
    const filled: JsonObject = {
      ...(spec["parallelism"] === undefined ? { completions: 1 } : {}),
      parallelism: 1,
      backoffLimit: 6,
      completionMode: "NonIndexed",
      suspend: false,
      podReplacementPolicy: spec["podFailurePolicy"] === undefined ? "TerminatingOrFailed" : "Failed",
      ...spec,
    };
    if (spec["selector"] !== undefined || spec["manualSelector"] === true) return filled;
    const uid = textAt(object, "metadata", "uid");
    const name = textAt(object, "metadata", "name");
    const own = { "batch.kubernetes.io/controller-uid": uid };
    const labels: JsonObject = {
      ...objectAt(spec, "template", "metadata", "labels"),
      ...own,
      "batch.kubernetes.io/job-name": name,
      "controller-uid": uid,
      "job-name": name,
    };
    return { ...withPath(filled, ["template", "metadata", "labels"], labels), selector: { matchLabels: own } };
  },
  faults: jobFaults,
});

/** A Job without labels of its own has those of its pods. */
const job: TypeRules = {
  ...jobWithoutLabels,
  defaults: (object) => {
    const filled = jobWithoutLabels.defaults?.(object) ?? object;
    if (Object.keys(objectAt(filled, "metadata", "labels")).length > 0) return filled;
    return withPath(filled, ["metadata", "labels"], objectAt(filled, "spec", "template", "metadata", "labels"));
  },
};

const budget: TypeRules = {
  prepareCreate: (object) => ({ ...object, status: {} }),
  faults: (object) => budgetFaults(object),
};

/** The rules by collection. */
export const workloadRules: Readonly<Record<string, TypeRules>> = {
  "deployments.apps": deployment,
  "replicasets.apps": replicaSet,
  "statefulsets.apps": statefulSet,
  "daemonsets.apps": daemonSet,
  "jobs.batch": job,
  "poddisruptionbudgets.policy": budget,
};
