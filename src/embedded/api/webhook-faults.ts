/**
 * What makes a webhook configuration valid, and what it leaves to be filled in (kubernetes,
 * pkg/apis/admissionregistration/validation).
 */
import type { Cause } from "./errors.ts";
import { isObject, type Json, type JsonObject, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";

/** Fills what a configuration leaves out (kubernetes, pkg/apis/admissionregistration/v1/defaults.go). */
export function defaultWebhooks(configuration: JsonObject): JsonObject {
  const webhooks = listAt(configuration, "webhooks").map((one) => {
    if (!isObject(one)) return one;
    const rules = listAt(one, "rules").map((rule) => (isObject(rule) ? { scope: "*", ...rule } : rule));
    const own = { failurePolicy: "Fail", matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} };
    return { ...own, timeoutSeconds: 10, ...one, rules };
  });
  return { ...configuration, webhooks };
}

/** The faults of a configuration. */
export function webhookFaults(configuration: JsonObject): readonly Cause[] {
  return listAt(configuration, "webhooks").flatMap((webhook, index) =>
    faultsOf(objectAt(webhook), `webhooks[${index}]`),
  );
}

function faultsOf(webhook: JsonObject, field: string): readonly Cause[] {
  const faults: Cause[] = [];
  const name = textAt(webhook, "name");
  if (name === "") faults.push(requiredValue(`${field}.name`));
  else if (name.split(".").length < 3) {
    faults.push(
      invalidValue(`${field}.name`, name, "should be a domain with at least three segments separated by dots"),
    );
  }
  const versions = listAt(webhook, "admissionReviewVersions");
  const versionsField = `${field}.admissionReviewVersions`;
  if (versions.length === 0) faults.push(requiredValue(versionsField, "must specify one of v1, v1beta1"));
  else if (!versions.includes("v1")) faults.push(invalidValue(versionsField, versions, "must include v1"));
  const timeout = numberAt(webhook, "timeoutSeconds") ?? 10;
  if (timeout < 1 || timeout > 30) {
    faults.push(invalidValue(`${field}.timeoutSeconds`, timeout, "the timeout value must be between 1 and 30 seconds"));
  }
  const effects = webhook["sideEffects"];
  if (effects === undefined)
    faults.push(requiredValue(`${field}.sideEffects`, "must specify one of None, NoneOnDryRun"));
  else faults.push(...oneOf(effects, ["None", "NoneOnDryRun"], `${field}.sideEffects`));
  faults.push(...oneOf(webhook["failurePolicy"] ?? "Fail", ["Fail", "Ignore"], `${field}.failurePolicy`));
  if (listAt(webhook, "matchConditions").length > 0) {
    const message = "Forbidden: the embedded cluster does not evaluate CEL expressions";
    faults.push({ reason: "FieldValueForbidden", message, field: `${field}.matchConditions` });
  }
  return [...faults, ...clientFaults(objectAt(webhook, "clientConfig"), `${field}.clientConfig`)];
}

function oneOf(value: Json, supported: readonly string[], field: string): readonly Cause[] {
  if (typeof value === "string" && supported.includes(value)) return [];
  const names = supported.map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${names}`;
  return [{ reason: "FieldValueNotSupported", message, field }];
}

function clientFaults(client: JsonObject, field: string): readonly Cause[] {
  const url = textAt(client, "url");
  const hasService = isObject(client["service"]);
  if ((url === "") !== hasService) return [requiredValue(field, "exactly one of url or service is required")];
  if (hasService) return [];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== "https:") {
    return [invalidValue(`${field}.url`, url, "'https' is the only allowed URL scheme")];
  }
  if (isLoopback(parsed.hostname)) return [];
  const message = `Forbidden: ${parsed.hostname} is not this machine; the embedded cluster calls webhooks on loopback addresses only`;
  return [{ reason: "FieldValueForbidden", message, field: `${field}.url` }];
}

/** Whether a host of a URL is this machine, whatever its resolver says. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
