/**
 * The rules for pods (kubernetes, pkg/apis/core/validation/validation.go), as far as clients here can break them.
 */
import type { Cause } from "./errors.ts";
import { isObject, type Json, type JsonObject, listAt, objectAt, sameJson, textAt, without } from "./json.ts";
import {
  invalidValue,
  labelFault,
  labelFaults,
  labelValueFault,
  qualifiedNameFault,
  requiredValue,
} from "./metadata-validation.ts";
import { amountOf } from "./quantities.ts";

/** The faults of a pod's spec that stands at `path`. */
export function podSpecFaults(spec: JsonObject, path: string): readonly Cause[] {
  const containers = listAt(spec, "containers");
  const initContainers = listAt(spec, "initContainers");
  const faults: Cause[] = containers.length === 0 ? [requiredValue(`${path}.containers`)] : [];
  return [
    ...faults,
    ...containers.flatMap((one, index) => containerFaults(one, `${path}.containers[${index}]`)),
    ...initContainers.flatMap((one, index) => containerFaults(one, `${path}.initContainers[${index}]`)),
    ...duplicateNames([...initContainers, ...containers], initContainers.length, path),
    ...chosenFrom(spec, "restartPolicy", { path, choices: ["Always", "OnFailure", "Never"] }),
    ...chosenFrom(spec, "dnsPolicy", { path, choices: ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"] }),
    ...nodeSelectorFaults(spec, path),
    ...gateFaults(spec, path),
    ...tolerationFaults(spec, path),
  ];
}

function containerFaults(container: Json, path: string): readonly Cause[] {
  if (!isObject(container)) return [requiredValue(path)];
  const name = textAt(container, "name");
  const fault = labelFault(name);
  const faults: Cause[] = [];
  if (name === "") faults.push(requiredValue(`${path}.name`));
  else if (fault !== undefined) faults.push(invalidValue(`${path}.name`, name, fault));
  if (textAt(container, "image") === "") faults.push(requiredValue(`${path}.image`));
  listAt(container, "env").forEach((one, index) => {
    if (textAt(one, "name") === "") faults.push(requiredValue(`${path}.env[${index}].name`));
  });
  return [...faults, ...resourceFaults(objectAt(container, "resources"), `${path}.resources`)];
}

function duplicateNames(containers: readonly Json[], initCount: number, path: string): readonly Cause[] {
  const seen = new Set<string>();
  const faults: Cause[] = [];
  containers.forEach((one, index) => {
    const name = textAt(one, "name");
    const place = index < initCount ? `initContainers[${index}]` : `containers[${index - initCount}]`;
    if (name !== "" && seen.has(name)) faults.push(duplicateValue(`${path}.${place}.name`, name));
    seen.add(name);
  });
  return faults;
}

function duplicateValue(field: string, value: string): Cause {
  return { reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(value)}`, field };
}

interface Choice {
  readonly path: string;
  readonly choices: readonly string[];
}

function chosenFrom(from: JsonObject, key: string, { path, choices }: Choice): readonly Cause[] {
  const value = textAt(from, key);
  if (value === "" || choices.includes(value)) return [];
  const supported = choices.map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
  return [{ reason: "FieldValueNotSupported", message, field: `${path}.${key}` }];
}

function nodeSelectorFaults(spec: JsonObject, path: string): readonly Cause[] {
  return labelFaults({ labels: objectAt(spec, "nodeSelector") }, `${path}.nodeSelector`).map((fault) => ({
    ...fault,
    field: `${path}.nodeSelector`,
  }));
}

function gateFaults(spec: JsonObject, path: string): readonly Cause[] {
  const names = gateNames(spec);
  const faults = names.flatMap((name, index) => {
    const field = `${path}.schedulingGates[${index}]`;
    const fault = qualifiedNameFault(name);
    if (fault !== undefined) return [invalidValue(field, name, fault)];
    return names.indexOf(name) < index ? [duplicateValue(field, name)] : [];
  });
  if (names.length === 0 || textAt(spec, "nodeName") === "") return faults;
  return [...faults, forbidden(`${path}.nodeName`, "cannot be set until all schedulingGates have been cleared")];
}

function tolerationFaults(spec: JsonObject, path: string): readonly Cause[] {
  return listAt(spec, "tolerations").flatMap((one, index) => {
    const field = `${path}.tolerations[${index}]`;
    const [operator, key, value] = [textAt(one, "operator"), textAt(one, "key"), textAt(one, "value")];
    const faults: Cause[] = [];
    if (key === "" && operator !== "Exists") {
      faults.push(invalidValue(`${field}.operator`, operator, "operator must be Exists when `key` is empty"));
    }
    if (operator === "Exists" && value !== "") {
      faults.push(invalidValue(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    }
    const fault = labelValueFault(value);
    if (fault !== undefined) faults.push(invalidValue(`${field}.value`, value, fault));
    return [...faults, ...chosenFrom(objectAt(one), "effect", { path: field, choices: effects })];
  });
}

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const standardResource = /^(cpu|memory|ephemeral-storage|storage|hugepages-.+)$/;

/** Resources that are counted in whole units and never promised twice: those with a domain of their own. */
function isExtended(resource: string): boolean {
  return resource.includes("/") && !resource.startsWith("kubernetes.io/") && !resource.includes(".kubernetes.io/");
}

/** Memory pages of a fixed size are not promised twice either. */
function isOvercommitAllowed(resource: string): boolean {
  return !isExtended(resource) && !resource.startsWith("hugepages-");
}

/** The faults of a container's `resources` (validation.go, ValidateResourceRequirements). */
function resourceFaults(resources: JsonObject, path: string): readonly Cause[] {
  const limits = objectAt(resources, "limits");
  const requests = objectAt(resources, "requests");
  return [
    ...Object.keys(limits).flatMap((name) => amountFaults(limits, name, `${path}.limits[${name}]`)),
    ...Object.keys(requests).flatMap((name) => amountFaults(requests, name, `${path}.requests[${name}]`)),
    ...Object.keys(requests).flatMap((name) => requestFaults({ limits, requests }, name, path)),
  ];
}

function amountFaults(amounts: JsonObject, resource: string, field: string): readonly Cause[] {
  const amount = amountOf(amounts, resource) ?? 0;
  const shown = textAt(amounts, resource);
  const faults: Cause[] = [];
  const nameFault = qualifiedNameFault(resource);
  if (nameFault !== undefined) faults.push(invalidValue(field, resource, nameFault));
  else if (!resource.includes("/") && !standardResource.test(resource)) {
    faults.push(invalidValue(field, resource, "must be a standard resource type or fully qualified"));
    faults.push(invalidValue(field, resource, "must be a standard resource for containers"));
  }
  if (amount < 0) faults.push(invalidValue(field, shown, "must be greater than or equal to 0"));
  if (isExtended(resource) && !Number.isInteger(amount)) faults.push(invalidValue(field, shown, "must be an integer"));
  return faults;
}

interface Requirements {
  readonly limits: JsonObject;
  readonly requests: JsonObject;
}

function requestFaults({ limits, requests }: Requirements, resource: string, path: string): readonly Cause[] {
  const requested = amountOf(requests, resource) ?? 0;
  const limit = amountOf(limits, resource);
  const field = `${path}.requests`;
  const shown = textAt(requests, resource);
  if (limit === undefined) {
    const why = "Limit must be set for non overcommitable resources";
    return isOvercommitAllowed(resource) ? [] : [requiredValue(`${path}.limits`, why)];
  }
  const limitText = `${resource} limit of ${textAt(limits, resource)}`;
  if (requested !== limit && !isOvercommitAllowed(resource)) {
    return [invalidValue(field, shown, `must be equal to ${limitText}`)];
  }
  return requested > limit ? [invalidValue(field, shown, `must be less than or equal to ${limitText}`)] : [];
}

const mutableFields =
  "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only " +
  "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was " +
  "previously negative)";

/** What an update of a pod's spec may not change. */
export function podUpdateFaults(spec: JsonObject, old: JsonObject): readonly Cause[] {
  if (sameJson(spec, old)) return [];
  const tolerations = listAt(spec, "tolerations");
  const faults: Cause[] = [];
  if (!listAt(old, "tolerations").every((one) => tolerations.some((other) => sameToleration(one, other)))) {
    faults.push(forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
  }
  faults.push(...addedGateFaults(spec, old), ...gatedSelectorFaults(spec, old));
  if (!sameJson(fixedPart(spec, old), fixedPart(old, old))) {
    faults.push(forbidden("spec", `pod updates may not change fields other than ${mutableFields}`));
  }
  return faults;
}

function forbidden(field: string, why: string): Cause {
  return { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field };
}

function gateNames(spec: JsonObject): readonly string[] {
  return listAt(spec, "schedulingGates").map((one) => textAt(one, "name"));
}

/** Gates are there from the start and only ever taken away (KEP-3521). */
function addedGateFaults(spec: JsonObject, old: JsonObject): readonly Cause[] {
  const known = gateNames(old);
  return gateNames(spec).flatMap((name, index) => {
    const why = `only deletion is allowed, but found new scheduling gate '${name}'`;
    return known.includes(name) ? [] : [forbidden(`spec.schedulingGates[${index}].name`, why)];
  });
}

/** While a gate holds it, a pod may still be narrowed to fewer nodes (KEP-3838). */
function gatedSelectorFaults(spec: JsonObject, old: JsonObject): readonly Cause[] {
  if (gateNames(old).length === 0) return [];
  const selector = objectAt(spec, "nodeSelector");
  const isKept = Object.entries(objectAt(old, "nodeSelector")).every(([key, value]) => selector[key] === value);
  const rule = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
  return isKept ? [] : [invalidValue("spec.nodeSelector", selector, rule)];
}

function sameToleration(one: Json, other: Json): boolean {
  return sameJson(without(objectAt(one), "tolerationSeconds"), without(objectAt(other), "tolerationSeconds"));
}

/** All of a spec that an update of `old` has to leave as it is, but for what has rules of its own. */
function fixedPart(spec: JsonObject, old: JsonObject): JsonObject {
  const mutable = ["tolerations", "activeDeadlineSeconds", "containers", "initContainers", "schedulingGates"];
  const gated = gateNames(old).length > 0 ? ["nodeSelector"] : [];
  return {
    ...without(spec, ...mutable, ...gated),
    containers: listAt(spec, "containers").map(withoutImage),
    initContainers: listAt(spec, "initContainers").map(withoutImage),
  };
}

function withoutImage(container: Json): Json {
  return isObject(container) ? without(container, "image", "imagePullPolicy") : container;
}
