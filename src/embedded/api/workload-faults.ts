/**
 * Faults of workloads and budgets (kubernetes, pkg/apis/apps/validation, batch/validation and policy/validation).
 */
import { matchesLabels, parseLabelSelector } from "../../kube/index.ts";
import type { Cause } from "./errors.ts";
import { isObject, type Json, type JsonObject, numberAt, objectAt, sameJson, textAt, textFields } from "./json.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";
import { podSpecFaults } from "./pod-validation.ts";

/** The template's pod and the selector that must meet its labels; the selector never changes. */
export function templateFaults(object: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  const template = objectAt(object, "spec", "template");
  return [...selectorFaults(object, old), ...podSpecFaults(objectAt(template, "spec"), "spec.template.spec")];
}

function selectorFaults(object: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  const selector = objectAt(object, "spec", "selector");
  if (Object.keys(selector).length === 0) return [requiredValue("spec.selector")];
  const labels = objectAt(object, "spec", "template", "metadata", "labels");
  const parsed = parseLabelSelector(selector);
  if (parsed === undefined) return [invalidValue("spec.selector", selector, "not a valid selector")];
  const faults: Cause[] = [];
  if (!matchesLabels(parsed, textFields(labels))) {
    const rule = "`selector` does not match template `labels`";
    faults.push(invalidValue("spec.template.metadata.labels", labels, rule));
  }
  if (old !== undefined) faults.push(...fixedFaults(object, old, ["selector"]));
  return faults;
}

/** Fields of the spec that never change. */
export function fixedFaults(object: JsonObject, old: JsonObject, fields: readonly string[]): readonly Cause[] {
  return fields
    .filter((field) => !sameJson(objectAt(object, "spec")[field], objectAt(old, "spec")[field]))
    .map((field) => invalidValue(`spec.${field}`, objectAt(object, "spec")[field], "field is immutable"));
}

/** A field of the API that the controllers here do not follow. */
export function notHere(field: string): Cause {
  return { reason: "FieldValueForbidden", message: "Forbidden: this cluster does not follow it", field };
}

/** What keeps running has pods that are started again whenever they end. */
export function alwaysFaults(object: JsonObject): readonly Cause[] {
  const pod = objectAt(object, "spec", "template", "spec");
  const policy = textAt(pod, "restartPolicy");
  const faults: Cause[] = [];
  if (policy !== "Always") {
    const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`;
    faults.push({ reason: "FieldValueNotSupported", message, field: "spec.template.spec.restartPolicy" });
  }
  if (pod["activeDeadlineSeconds"] !== undefined) {
    const message = "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported";
    faults.push({ reason: "FieldValueForbidden", message, field: "spec.template.spec.activeDeadlineSeconds" });
  }
  return faults;
}

/** Counts and seconds of the spec that may not be negative. */
export function negativeFaults(object: JsonObject, fields: readonly string[]): readonly Cause[] {
  return fields.flatMap((field) => {
    const value = numberAt(object, "spec", field) ?? 0;
    return value < 0 ? [invalidValue(`spec.${field}`, value, "must be greater than or equal to 0")] : [];
  });
}

/** The faults of a deployment's strategy and deadline. */
export function strategyFaults(object: JsonObject): readonly Cause[] {
  const spec = objectAt(object, "spec");
  const strategy = objectAt(spec, "strategy");
  const type = textAt(strategy, "type");
  const deadline = numberAt(spec, "progressDeadlineSeconds");
  const faults = [...typeFaults(type, "spec.strategy.type", ["Recreate", "RollingUpdate"])];
  if (type === "Recreate" && strategy["rollingUpdate"] !== undefined) {
    const message = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
    faults.push({ reason: "FieldValueForbidden", message, field: "spec.strategy.rollingUpdate" });
  }
  if (type === "RollingUpdate") faults.push(...rollingFaults(objectAt(strategy, "rollingUpdate"), "spec.strategy"));
  if (deadline !== undefined && deadline <= (numberAt(spec, "minReadySeconds") ?? 0)) {
    faults.push(invalidValue("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  }
  return faults;
}

/** One of a few words. */
export function typeFaults(value: string, field: string, choices: readonly string[]): readonly Cause[] {
  if (choices.includes(value)) return [];
  const supported = choices.map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
  return [{ reason: "FieldValueNotSupported", message, field }];
}

/** The faults of `rollingUpdate`, which must leave a way to go on. */
export function rollingFaults(rolling: JsonObject, path: string): readonly Cause[] {
  const field = `${path}.rollingUpdate.maxUnavailable`;
  const { maxUnavailable, maxSurge } = rolling;
  const faults = [...shareFaults(maxUnavailable, field), ...shareFaults(maxSurge, `${path}.rollingUpdate.maxSurge`)];
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    faults.push(invalidValue(field, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  if (typeof maxUnavailable === "string" && Number.parseInt(maxUnavailable, 10) > 100) {
    faults.push(invalidValue(field, maxUnavailable, "must not be greater than 100%"));
  }
  return faults;
}

function isZero(share: Json | undefined): boolean {
  return share === 0 || share === "0%";
}

const percentRule =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for " +
  "validation is '[0-9]+%')";

/** The faults of a number that may be a percentage. */
function shareFaults(share: Json | undefined, field: string): readonly Cause[] {
  if (share !== undefined && typeof share !== "string" && !Number.isInteger(share)) {
    return [invalidValue(field, share, "must be a whole number or a percentage")];
  }
  if (typeof share === "string") return /^[0-9]+%$/.test(share) ? [] : [invalidValue(field, share, percentRule)];
  if (typeof share !== "number" || share >= 0) return [];
  return [invalidValue(field, share, "must be greater than or equal to 0")];
}

/** The faults of a disruption budget. */
export function budgetFaults(budget: JsonObject): readonly Cause[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy } = objectAt(budget, "spec");
  const faults: Cause[] = [];
  // Without a selector it keeps nobody, which is allowed; one that cannot be read would do so by mistake.
  if (isObject(selector) && parseLabelSelector(selector) === undefined) {
    faults.push(invalidValue("spec.selector", selector, "not a valid selector"));
  }
  if (typeof unhealthyPodEvictionPolicy === "string") {
    const choices = ["AlwaysAllow", "IfHealthyBudget"];
    faults.push(...typeFaults(unhealthyPodEvictionPolicy, "spec.unhealthyPodEvictionPolicy", choices));
  }
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    faults.push(invalidValue("spec", {}, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const [name, share] of Object.entries({ minAvailable, maxUnavailable })) {
    const field = `spec.${name}`;
    faults.push(...shareFaults(share, field));
    if (typeof share === "string" && Number.parseInt(share, 10) > 100) {
      faults.push(invalidValue(field, share, "must not be greater than 100%"));
    }
  }
  return faults;
}
