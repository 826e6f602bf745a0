/**
 * Faults of jobs (kubernetes, pkg/apis/batch/validation/validation.go), and what this cluster's controller does not know.
 */
import type { Cause } from "./errors.ts";
import { type JsonObject, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";
import { fixedFaults, negativeFaults, notHere, typeFaults } from "./workload-faults.ts";

const counts = ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"];
/** Known to the API, and refused rather than silently ignored. */
const unsupported = ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy", "managedBy"];

/** What is wrong beside template and selector. */
export function jobFaults(job: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  const spec = objectAt(job, "spec");
  return [
    ...negativeFaults(job, counts),
    ...restartFaults(spec),
    ...typeFaults(textAt(spec, "completionMode"), "spec.completionMode", ["Indexed", "NonIndexed"]),
    ...indexFaults(spec),
    ...policyFaults(spec),
    ...unsupported.filter((field) => spec[field] !== undefined).map((field) => notHere(`spec.${field}`)),
    ...(old === undefined ? [] : changeFaults(job, old)),
  ];
}

/** A job's pods end; whoever starts them again whenever they do would never let it finish. */
function restartFaults(spec: JsonObject): readonly Cause[] {
  const policy = textAt(spec, "template", "spec", "restartPolicy");
  if (policy === "OnFailure" || policy === "Never") return [];
  return [requiredValue("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')];
}

function indexFaults(spec: JsonObject): readonly Cause[] {
  if (textAt(spec, "completionMode") !== "Indexed" || numberAt(spec, "completions") !== undefined) return [];
  return [requiredValue("spec.completions", "when completion mode is Indexed")];
}

function policyFaults(spec: JsonObject): readonly Cause[] {
  if (spec["podFailurePolicy"] === undefined) return [];
  const faults: Cause[] = [];
  const policy = textAt(spec, "template", "spec", "restartPolicy");
  if (policy !== "Never") {
    const rule = 'only "Never" is supported when podFailurePolicy is specified';
    faults.push(invalidValue("spec.template.spec.restartPolicy", policy, rule));
  }
  listAt(spec, "podFailurePolicy", "rules").forEach((rule, at) => {
    const field = `spec.podFailurePolicy.rules[${at}]`;
    const action = textAt(rule, "action");
    if (action === "FailIndex") faults.push(notHere(`${field}.action`));
    else faults.push(...typeFaults(action, `${field}.action`, ["Count", "FailJob", "Ignore"]));
    const operator = objectAt(rule, "onExitCodes")["operator"];
    if (typeof operator === "string")
      faults.push(...typeFaults(operator, `${field}.onExitCodes.operator`, ["In", "NotIn"]));
  });
  return faults;
}

/** A template may change while the job is suspended and has never run; an indexed job may grow with its parallelism. */
function changeFaults(job: JsonObject, old: JsonObject): readonly Cause[] {
  const spec = objectAt(job, "spec");
  const isElastic = textAt(spec, "completionMode") === "Indexed" && spec["completions"] === spec["parallelism"];
  const isOpen = objectAt(old, "spec")["suspend"] === true && textAt(old, "status", "startTime") === "";
  const fixed = ["completionMode", "podFailurePolicy"];
  if (!isElastic) fixed.unshift("completions");
  if (!isOpen) fixed.push("template");
  return fixedFaults(job, old, fixed);
}
