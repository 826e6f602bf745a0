/**
 * The rules for names, labels and annotations (apimachinery, pkg/util/validation and pkg/api/validation).
 */
import type { Cause } from "./errors.ts";
import { type JsonObject, listAt, objectAt, textAt, textFields, valueAt } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomainPattern = new RegExp(`^${label}(\\.${label})*$`);
const labelPattern = new RegExp(`^${label}$`);
const label1035Pattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedPattern = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValuePattern = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with " +
  "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const label1035Rule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and " +
  "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is " +
  "'[a-z]([-a-z0-9]*[a-z0-9])?')";
const qualifiedRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric " +
  "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
  "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** All annotations of one object together; more is refused. */
const annotationsLimitBytes = 256 * 1024;

/** A value that breaks a rule of its field. */
export function invalidValue(field: string, value: unknown, rule: string): Cause {
  return { reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${rule}`, field };
}

/** A field that must be there. */
export function requiredValue(field: string, why = ""): Cause {
  return { reason: "FieldValueRequired", message: why === "" ? "Required value" : `Required value: ${why}`, field };
}

/** What is wrong with a DNS-1123 subdomain, `undefined` if nothing. */
function subdomainFault(text: string): string | undefined {
  if (text.length > 253) return "must be no more than 253 characters";
  return subdomainPattern.test(text) ? undefined : subdomainRule;
}

/** What is wrong with a DNS-1123 label, `undefined` if nothing. */
export function labelFault(text: string): string | undefined {
  if (text.length > 63) return "must be no more than 63 characters";
  return labelPattern.test(text) ? undefined : labelRule;
}

/** What is wrong with a key such as `nvidia.com/gpu`, `undefined` if nothing. */
export function qualifiedNameFault(key: string): string | undefined {
  const [name = "", prefix, more] = key.split("/").reverse();
  if (more !== undefined) return `a qualified name ${qualifiedRule.slice("name part ".length)} with an optional prefix`;
  if (prefix === "") return "prefix part must be non-empty";
  const fault = prefix === undefined ? undefined : subdomainFault(prefix);
  if (fault !== undefined) return `prefix part ${fault}`;
  if (name === "") return "name part must be non-empty";
  if (name.length > 63) return "name part must be no more than 63 characters";
  return qualifiedPattern.test(name) ? undefined : qualifiedRule;
}

/** The faults of an object's metadata. */
export function metadataFaults(type: ApiType, object: JsonObject): readonly Cause[] {
  return metadataFaultsAt(type, objectAt(object, "metadata"));
}

function metadataFaultsAt(type: ApiType, metadata: JsonObject): readonly Cause[] {
  const name = textAt(metadata, "name");
  const faults: Cause[] = [];
  if (name === "") faults.push(requiredValue("metadata.name", "name or generateName is required"));
  else {
    const fault = nameFault(type, name);
    if (fault !== undefined) faults.push(invalidValue("metadata.name", name, fault));
  }
  return [
    ...faults,
    ...labelFaults(metadata, "metadata"),
    ...annotationFaults(metadata),
    ...ownerFaults(metadata),
    ...finalizerFaults(metadata),
  ];
}

/** Types whose names follow another rule than the DNS subdomain. */
const nameRules: Readonly<Record<string, (name: string) => string | undefined>> = {
  "namespaces.": labelFault,
  "services.": (name) => (name.length <= 63 && label1035Pattern.test(name) ? undefined : label1035Rule),
  "roles.rbac.authorization.k8s.io": pathSegmentFault,
  "rolebindings.rbac.authorization.k8s.io": pathSegmentFault,
  "clusterroles.rbac.authorization.k8s.io": pathSegmentFault,
  "clusterrolebindings.rbac.authorization.k8s.io": pathSegmentFault,
};

function nameFault(type: ApiType, name: string): string | undefined {
  return (nameRules[collectionKey(type)] ?? subdomainFault)(name);
}

function pathSegmentFault(name: string): string | undefined {
  if (name === "." || name === "..") return `may not be '${name}'`;
  const bad = ["/", "%"].find((one) => name.includes(one));
  return bad === undefined ? undefined : `may not contain '${bad}'`;
}

/** The faults of `labels` in a metadata object that stands at `path`. */
export function labelFaults(metadata: JsonObject, path: string): readonly Cause[] {
  return Object.entries(textFields(metadata["labels"])).flatMap(([key, value]) => {
    const field = `${path}.labels`;
    const keyFault = qualifiedNameFault(key);
    const valueFault = labelValueFault(value);
    return [
      ...(keyFault === undefined ? [] : [invalidValue(field, key, keyFault)]),
      ...(valueFault === undefined ? [] : [invalidValue(field, value, valueFault)]),
    ];
  });
}

/** What is wrong with a label's value, `undefined` if nothing. */
export function labelValueFault(value: string): string | undefined {
  if (value.length > 63) return "must be no more than 63 characters";
  return labelValuePattern.test(value) ? undefined : labelValueRule;
}

function annotationFaults(metadata: JsonObject): readonly Cause[] {
  const annotations = Object.entries(textFields(metadata["annotations"]));
  const field = "metadata.annotations";
  const faults = annotations.flatMap(([key]) => {
    const fault = qualifiedNameFault(key.toLowerCase());
    return fault === undefined ? [] : [invalidValue(field, key, fault)];
  });
  const bytes = annotations.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  if (bytes <= annotationsLimitBytes) return faults;
  const message = `Too long: may not be more than ${annotationsLimitBytes} bytes`;
  return [...faults, { reason: "FieldValueTooLong", message, field }];
}

/** (apimachinery, pkg/api/validation/objectmeta.go, ValidateOwnerReferences) */
function ownerFaults(metadata: JsonObject): readonly Cause[] {
  const field = "metadata.ownerReferences";
  const owners = listAt(metadata, "ownerReferences");
  const faults = owners.flatMap((owner) =>
    ["apiVersion", "kind", "name", "uid"]
      .filter((key) => textAt(owner, key) === "")
      .map((key) => invalidValue(`${field}.${key}`, "", "must not be empty")),
  );
  const controllers = owners.filter((owner) => valueAt(owner, "controller") === true);
  if (controllers.length < 2) return faults;
  const rule = "Only one reference can have Controller set to true";
  return [...faults, invalidValue(field, owners, rule)];
}

function finalizerFaults(metadata: JsonObject): readonly Cause[] {
  const field = "metadata.finalizers";
  const finalizers = listAt(metadata, "finalizers");
  const faults = finalizers.flatMap((one, index) => {
    const fault = qualifiedNameFault(String(one));
    return fault === undefined ? [] : [invalidValue(`${field}[${index}]`, one, fault)];
  });
  // Dependents cannot be both let go and deleted first.
  if (!finalizers.includes("orphan") || !finalizers.includes("foregroundDeletion")) return faults;
  return [...faults, invalidValue(field, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")];
}
