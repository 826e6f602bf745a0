/**
 * From a CustomResourceDefinition to the types it brings (apiextensions-apiserver, pkg/apis/apiextensions/v1).
 */
import type { ApiContext } from "./context.ts";
import { customVersion } from "./custom-version.ts";
import { definitionsKey, isEstablished } from "./definition-status.ts";
import { type Cause, forbidden } from "./errors.ts";
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt, valueAt } from "./json.ts";
import { parseJsonPath } from "./json-path.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";
import { schemaFaults } from "./schema-faults.ts";
import type { Store } from "./store.ts";
import type { ApiType, Subresource } from "./types.ts";

/** The types a definition serves, one a version. */
function typesOfDefinition(definition: JsonObject): readonly ApiType[] {
  const spec = objectAt(definition, "spec");
  const names = objectAt(spec, "names");
  const served = listAt(spec, "versions").filter((one) => objectAt(one)["served"] === true);
  return served.map((version) => ({
    group: textAt(spec, "group"),
    version: textAt(version, "name"),
    plural: textAt(names, "plural"),
    kind: textAt(names, "kind"),
    singular: textAt(names, "singular"),
    namespaced: textAt(spec, "scope") === "Namespaced",
    shortNames: listAt(names, "shortNames").map(String),
    categories: listAt(names, "categories").map(String),
    subresources: subresourcesOf(version),
    counted: true,
    stored: true,
    custom: true,
    definition: customVersion(objectAt(version)),
  }));
}

const customSubresources: readonly Subresource[] = ["status", "scale"];

function subresourcesOf(version: Json): readonly Subresource[] {
  return customSubresources.filter((one) => isObject(valueAt(version, "subresources", one)));
}

/** Fills the names a definition leaves to be derived. */
export function prepareDefinition(definition: JsonObject): JsonObject {
  const spec = objectAt(definition, "spec");
  const names = objectAt(spec, "names");
  const kind = textAt(names, "kind");
  const filled = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names };
  return { ...definition, spec: { conversion: { strategy: "None" }, ...spec, names: filled } };
}

/** The faults of a definition. */
export function definitionFaults(definition: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  const spec = objectAt(definition, "spec");
  const faults: Cause[] = [];
  for (const path of [["group"], ["scope"], ["names", "plural"], ["names", "kind"]]) {
    if (textAt(spec, ...path) === "") faults.push(requiredValue(`spec.${path.join(".")}`));
  }
  const wanted = `${textAt(spec, "names", "plural")}.${textAt(spec, "group")}`;
  const name = textAt(definition, "metadata", "name");
  if (name !== wanted) faults.push(invalidValue("metadata.name", name, `must be spec.names.plural+"."+spec.group`));
  if (!["Namespaced", "Cluster"].includes(textAt(spec, "scope"))) {
    const message = `Unsupported value: ${JSON.stringify(textAt(spec, "scope"))}: supported values: "Cluster", "Namespaced"`;
    faults.push({ reason: "FieldValueNotSupported", message, field: "spec.scope" });
  }
  const versions = listAt(spec, "versions");
  if (versions.filter((one) => objectAt(one)["storage"] === true).length !== 1) {
    faults.push(invalidValue("spec.versions", versions, "must have exactly one version marked as storage version"));
  }
  versions.forEach((one, index) => {
    const schema = objectAt(one, "schema", "openAPIV3Schema");
    const field = `spec.versions[${index}].schema.openAPIV3Schema`;
    if (Object.keys(schema).length === 0) faults.push(requiredValue(field, "schemas are required"));
    else faults.push(...schemaFaults(schema, field));
    faults.push(...columnFaults(objectAt(one), `spec.versions[${index}]`));
    faults.push(...scaleFaults(valueAt(one, "subresources", "scale"), `spec.versions[${index}].subresources.scale`));
  });
  return [...faults, ...changeFaults(spec, old)];
}

function columnFaults(version: JsonObject, field: string): readonly Cause[] {
  return listAt(version, "additionalPrinterColumns").flatMap((column, index) => {
    const path = textAt(column, "jsonPath");
    const place = `${field}.additionalPrinterColumns[${index}]`;
    if (textAt(column, "name") === "") return [requiredValue(`${place}.name`)];
    if (path === "") return [requiredValue(`${place}.jsonPath`)];
    if (parseJsonPath(path) !== undefined) return [];
    return [invalidValue(`${place}.jsonPath`, path, "is no path that a column can follow")];
  });
}

const scalePaths = [
  { key: "specReplicasPath", starts: [".spec."], rule: "should be a json path under .spec" },
  { key: "statusReplicasPath", starts: [".status."], rule: "should be a json path under .status" },
  {
    key: "labelSelectorPath",
    starts: [".spec.", ".status."],
    rule: "should be a json path under either .spec or .status",
  },
];

function scaleFaults(scale: Json | undefined, field: string): readonly Cause[] {
  if (!isObject(scale)) return [];
  return scalePaths.flatMap(({ key, starts, rule }) => {
    const path = textAt(scale, key);
    const place = `${field}.${key}`;
    if (path === "") return key === "labelSelectorPath" ? [] : [requiredValue(place)];
    if (!/^(\.[A-Za-z_][\w-]*)+$/.test(path)) {
      return [invalidValue(place, path, "must be a simple json path in dot notation")];
    }
    return starts.some((start) => path.startsWith(start)) ? [] : [invalidValue(place, path, rule)];
  });
}

function changeFaults(spec: JsonObject, old: JsonObject | undefined): readonly Cause[] {
  if (old === undefined) return [];
  const fixed = [["scope"], ["names", "kind"]];
  return fixed
    .filter((path) => textAt(spec, ...path) !== textAt(old, "spec", ...path))
    .map((path) => invalidValue(`spec.${path.join(".")}`, textAt(spec, ...path), "field is immutable"));
}

/** Throws 403 when a definition would take the place of a built-in type. */
export function assertDefinitionFits(definition: JsonObject, context: ApiContext): void {
  const taken = typesOfDefinition(definition).find((one) => {
    const there = context.registry.find(one.group, one.version, one.plural);
    return there !== undefined && !there.custom;
  });
  if (taken === undefined) return;
  const definitions = { group: "apiextensions.k8s.io", plural: "customresourcedefinitions", kind: "" };
  throw forbidden(definitions, textAt(definition, "metadata", "name"), `${taken.plural} is a built-in type`);
}

function establishedTypes(definition: JsonObject): readonly ApiType[] {
  return isEstablished(definition) ? typesOfDefinition(definition) : [];
}

/** Serves the types of the definitions that are there, and from then on as definitions come, change and go. */
export function followDefinitions({ store, registry }: ApiContext): void {
  const there = store.collection(definitionsKey).list();
  for (const type of there.flatMap(({ object }) => establishedTypes(object))) registry.add(type);
  store.listen((collection, { type, current, previous }) => {
    if (collection !== definitionsKey) return;
    const now = type === "DELETED" ? [] : establishedTypes(current.object);
    for (const gone of previous === undefined ? [] : establishedTypes(previous.object)) registry.remove(gone);
    for (const one of now) registry.add(one);
    if (type === "DELETED") removeObjects(store, current.object);
  });
}

/** Without its definition an object cannot be reached, so it goes with it. */
function removeObjects(store: Store, definition: JsonObject): void {
  const key = textAt(definition, "metadata", "name");
  for (const version of store.collection(key).list()) store.remove(key, version.object, version);
}
