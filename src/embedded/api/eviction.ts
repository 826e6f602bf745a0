/**
 * Eviction: a deletion that asks the pod's disruption budget first
 * (kubernetes, pkg/registry/core/pod/storage/eviction.go).
 *
 * Budget and pod are looked at, charged and deleted within one turn, so no two evictions can be granted the same
 * disruption. What the budget allows is the disruption controller's to say; until it sees the deletion, the pod stands in
 * `status.disruptedPods` and is not counted as healthy.
 */
import { labelSelectorMatches } from "../../kube/index.ts";
import type { Version } from "./collection.ts";
import { type ApiContext, timestamp } from "./context.ts";
import { type DeleteOptions, deleteObject, parseDeleteOptions } from "./deletion.ts";
import { ApiError, forbidden } from "./errors.ts";
import { type Json, type JsonObject, listAt, numberAt, objectAt, textAt, valueAt, withPath } from "./json.ts";
import { createdStatus } from "./pod-actions.ts";
import { collectionKey } from "./registry.ts";
import { admittedBody, evictionKind, ownWrites, subresourceBody } from "./subresources.ts";
import { findObject, type Target, type WriteOptions } from "./writes.ts";

const budgetType = { group: "policy", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget" };
/** More evictions than this, none of them seen by the disruption controller, mean that it is not running. */
const unconfirmedLimit = 2000;
/** When to come again while the controller has not yet looked at the budget. */
const unprocessedRetrySeconds = 10;

/** Deletes a pod in the name of whoever empties its node; throws 429 when its disruption budget does not allow it. */
export function evictPod(context: ApiContext, target: Target, body: JsonObject, options: WriteOptions): JsonObject {
  const { dryRun } = options;
  const eviction = admittedBody(context, {
    operation: "CREATE",
    target,
    subresource: "eviction",
    kind: evictionKind,
    object: subresourceBody(evictionKind, target.name, body),
    oldObject: undefined,
    dryRun,
  });
  const deletion = parseDeleteOptions(objectAt(eviction, "deleteOptions"), options);
  const own = ownWrites(context);
  const pod = findObject(context, target);
  const budget = isBeyondBudgets(pod) ? undefined : budgetOf(context, pod);
  const isCharged = budget !== undefined && !isUnhealthyAndFree(pod, budget);
  if (isCharged) assertAllows(budget);
  // Preconditions come first: a budget must not be charged for a deletion that is refused.
  deleteObject(own, target, { ...deletion, dryRun: true });
  if (deletion.dryRun) return createdStatus;
  if (isCharged) charge(own, pod, budget);
  deleteEvicted(own, target, deletion);
  return createdStatus;
}

/** Says in the pod's status why it goes (KEP-3329), then deletes it. */
function deleteEvicted(context: ApiContext, target: Target, deletion: DeleteOptions): void {
  const pod = findObject(context, target);
  const marked = withCondition(context, pod.object, {
    type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
  });
  if (marked !== pod.object) context.store.replace(collectionKey(target.type), marked, pod);
  // The version that the client named was looked at; the mark has made another of it.
  deleteObject(context, target, { ...deletion, resourceVersion: undefined });
}

/** A pod that does not run, or is on its way out already, takes nothing from any budget. */
function isBeyondBudgets({ object }: Version): boolean {
  const isDeleted = textAt(object, "metadata", "deletionTimestamp") !== "";
  return isDeleted || ["Succeeded", "Failed", "Pending"].includes(textAt(object, "status", "phase"));
}

function budgetOf({ store }: ApiContext, pod: Version): Version | undefined {
  const [budget, ...more] = store
    .collection(collectionKey(budgetType))
    .list(pod.namespace)
    .filter(({ object }) => labelSelectorMatches(valueAt(object, "spec", "selector"), pod.labels));
  if (more.length === 0) return budget;
  const message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
  throw new ApiError(500, "", message);
}

/** A pod that is not ready may go when the budget holds without it, or always, as the budget says (KEP-3017). */
function isUnhealthyAndFree({ object }: Version, budget: Version): boolean {
  const ready = listAt(object, "status", "conditions").find((one) => textAt(one, "type") === "Ready");
  if (textAt(ready, "status") === "True") return false;
  if (textAt(budget.object, "spec", "unhealthyPodEvictionPolicy") === "AlwaysAllow") return true;
  const desired = statusCount(budget, "desiredHealthy");
  return desired > 0 && statusCount(budget, "currentHealthy") >= desired;
}

function assertAllows(budget: Version): void {
  const { name, object } = budget;
  if (statusCount(budget, "observedGeneration") < (numberAt(object, "metadata", "generation") ?? 0)) {
    throw tooManyRequests(`The disruption budget ${name} is still being processed by the server.`, {
      retryAfterSeconds: unprocessedRetrySeconds,
    });
  }
  const allowed = statusCount(budget, "disruptionsAllowed");
  if (allowed < 0) throw forbidden(budgetType, name, "pdb disruptions allowed is negative");
  if (Object.keys(objectAt(object, "status", "disruptedPods")).length > unconfirmedLimit) {
    throw forbidden(budgetType, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (allowed === 0) throw tooManyRequests(whyNone(budget), {});
}

function whyNone(budget: Version): string {
  const { name, object } = budget;
  const conditions = listAt(object, "status", "conditions");
  const failed = conditions.find((one) => textAt(one, "type") === "DisruptionAllowed");
  if (textAt(failed, "status") === "False" && textAt(failed, "reason") === "SyncFailed") {
    const why = textAt(failed, "message");
    return `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${why}`;
  }
  const [desired, current] = [statusCount(budget, "desiredHealthy"), statusCount(budget, "currentHealthy")];
  return `The disruption budget ${name} needs ${desired} healthy pods and has ${current} currently`;
}

function statusCount({ object }: Version, field: string): number {
  return numberAt(object, "status", field) ?? 0;
}

function tooManyRequests(cause: string, more: JsonObject): ApiError {
  const message = "Cannot evict pod as it would violate the pod's disruption budget.";
  return new ApiError(429, "TooManyRequests", message, {
    ...more,
    causes: [{ reason: "DisruptionBudget", message: cause }],
  });
}

function charge(context: ApiContext, pod: Version, budget: Version): void {
  const allowed = statusCount(budget, "disruptionsAllowed") - 1;
  const counted = withPath(budget.object, ["status", "disruptionsAllowed"], allowed);
  const charged = withPath(counted, ["status", "disruptedPods", pod.name], timestamp(context.clock));
  const told =
    allowed > 0
      ? charged
      : withCondition(context, charged, {
          type: "DisruptionAllowed",
          status: "False",
          reason: "InsufficientPods",
          message: "",
          observedGeneration: statusCount(budget, "observedGeneration"),
        });
  context.store.replace(collectionKey(budgetType), told, budget);
}

/** The object with a condition in its status; the same object when it says so already. */
function withCondition(context: ApiContext, object: JsonObject, condition: JsonObject): JsonObject {
  const conditions = listAt(object, "status", "conditions");
  const type = textAt(condition, "type");
  const known = conditions.find((one) => textAt(one, "type") === type);
  if (Object.keys(condition).every((key) => valueAt(known, key) === condition[key])) return object;
  const isSame = textAt(known, "status") === textAt(condition, "status");
  const since: Json = (isSame && valueAt(known, "lastTransitionTime")) || timestamp(context.clock);
  const next: Json = { ...condition, lastTransitionTime: since };
  const others = conditions.filter((one) => one !== known);
  return withPath(object, ["status", "conditions"], [...others, next]);
}
