/**
 * Reads `sharing` of a device-plugin file (NVIDIA k8s-device-plugin api/config/v1/sharing.go, replicas.go).
 */
import { readDeviceChoice } from "./device-refs.ts";
import { type FieldReader, isInteger, type JsonObject, mistyped, readBoolean, readList } from "./field-reader.ts";
import type { FieldPath } from "./places.ts";
import { readResourceName } from "./resource-names.ts";
import { exactFields, type Field, structFields } from "./struct-fields.ts";
import type { DeviceChoice, DeviceRef, SharedResource, SharingConfig } from "./types.ts";

/**
 * With more, the shares of one device alone are longer than the 4 MiB that a kubelet takes in one message, and some more
 * digits are more than any memory holds. NVIDIA's plugin has no limit, and dies of them.
 */
const MOST_REPLICAS = 65_536;

const noSharing: SharingConfig = {
  strategy: "none",
  renameByDefault: false,
  failRequestsGreaterThanOne: false,
  resources: [],
};

const replicatedFields = { names: ["renameByDefault", "failRequestsGreaterThanOne", "resources"] };
const itemNames = ["name", "rename", "devices", "replicas"];
const itemFields = {
  names: itemNames,
  elsewhere: new Map(
    replicatedFields.names.slice(0, 2).map((name) => [name.toLowerCase(), "the level of `resources`"]),
  ),
};

/** Reads `sharing`; MPS wins over time-slicing when a file has both. */
export function readSharing(reader: FieldReader, field: Field | undefined): SharingConfig {
  if (field === undefined) return noSharing;
  const fields = structFields(reader, field.path, field.value, { names: ["timeSlicing", "mps"] });
  const timeSlicing = fields.get("timeSlicing");
  const mps = fields.get("mps");
  // `mps` is a pointer in NVIDIA's struct, so null turns it off; `timeSlicing` is none, so null is an empty object.
  const sliced = timeSlicing === undefined ? undefined : readReplicated(reader, timeSlicing, "time-slicing");
  if (mps === undefined || mps.value === null) return sliced ?? noSharing;
  if (timeSlicing !== undefined) {
    const message = "`timeSlicing` has no effect beside `mps`";
    reader.report(
      "mps-hides-time-slicing",
      reader.keyPlaceOf(timeSlicing.path),
      message,
      "remove `timeSlicing` or `mps`",
    );
  }
  return readReplicated(reader, mps, "mps");
}

function readReplicated(reader: FieldReader, { value, path }: Field, strategy: "time-slicing" | "mps"): SharingConfig {
  const object = exactFields(reader, path, value, replicatedFields);
  if (object === undefined) return noSharing;
  const resources = readResources(reader, path, object);
  reportRepeatedNames(reader, path, resources);
  reportBeyondNvidia(reader, path, object);
  const failing = readBoolean(reader, [...path, "failRequestsGreaterThanOne"], object["failRequestsGreaterThanOne"]);
  return {
    strategy,
    renameByDefault: readBoolean(reader, [...path, "renameByDefault"], object["renameByDefault"]) ?? false,
    failRequestsGreaterThanOne: failing ?? strategy === "mps",
    resources: resources.filter((resource) => resource !== undefined),
  };
}

function readResources(
  reader: FieldReader,
  path: FieldPath,
  object: JsonObject,
): readonly (SharedResource | undefined)[] {
  const listPath = [...path, "resources"];
  const list = readList(reader, listPath, object["resources"]);
  const wrongType = list === undefined && (object["resources"] ?? null) !== null;
  if (!wrongType && (list === undefined || list.length === 0)) {
    const remedy = "add `resources` with at least one `name` and `replicas`";
    reader.report("missing-field", reader.keyPlaceOf(listPath), "no resources specified", remedy);
  }
  return (list ?? []).map((item, index) => readResource(reader, [...listPath, index], item));
}

function readResource(reader: FieldReader, path: FieldPath, value: unknown): SharedResource | undefined {
  const item = exactFields(reader, path, value, itemFields);
  if (item === undefined) return undefined;
  const name = readName(reader, path, item);
  const devices = Object.hasOwn(item, "devices")
    ? readDeviceChoice(reader, [...path, "devices"], item["devices"])
    : ({ kind: "all" } as const);
  const replicas = readReplicas(reader, path, item);
  const rename = Object.hasOwn(item, "rename")
    ? readResourceName(reader, [...path, "rename"], item["rename"])
    : undefined;
  if (name === undefined || devices === undefined || replicas === undefined) return undefined;
  return { name, rename, devices, replicas, place: reader.placeOf(path) };
}

function readName(reader: FieldReader, path: FieldPath, item: JsonObject): string | undefined {
  if (Object.hasOwn(item, "name")) return readResourceName(reader, [...path, "name"], item["name"]);
  reader.report("missing-field", reader.placeOf(path), "no resource name specified", "add `name: nvidia.com/gpu`");
  return undefined;
}

function readReplicas(reader: FieldReader, path: FieldPath, item: JsonObject): number | undefined {
  if (!Object.hasOwn(item, "replicas")) {
    reader.report("missing-field", reader.placeOf(path), "no replicas specified", "add `replicas: 2` or more");
    return undefined;
  }
  const replicasPath = [...path, "replicas"];
  const value = item["replicas"] ?? 0;
  if (!isInteger(value)) {
    return mistyped(reader, replicasPath, value, { type: "int", remedy: "write a whole number without quotes" });
  }
  if (value >= 2 && value <= MOST_REPLICAS) return value;
  const [rule, remedy] =
    value < 2
      ? [">= 2", "write 2 or more, or leave the resource out of `sharing`"]
      : [`<= ${MOST_REPLICAS}`, "write how many pods shall share a device; no kubelet takes a longer list of devices"];
  reader.report("bad-value", reader.placeOf(replicasPath), `number of replicas must be ${rule}, not ${value}`, remedy);
  return undefined;
}

/** The same name for different devices is how devices get different numbers of replicas; for equal ones it is not. */
function reportRepeatedNames(
  reader: FieldReader,
  path: FieldPath,
  resources: readonly (SharedResource | undefined)[],
): void {
  const byName = new Map<string, SharedResource[]>();
  for (const [index, resource] of resources.entries()) {
    if (resource === undefined) continue;
    const before = byName.get(resource.name) ?? [];
    byName.set(resource.name, before);
    const earlier = before.find((one) => overlap(one.devices, resource.devices));
    before.push(resource);
    if (earlier === undefined) continue;
    const message = `${resource.name} is listed in line ${earlier.place.line} already for the same devices; the greater number of replicas counts`;
    const remedy = "give each entry its own `devices`, or remove one";
    reader.report("resource-listed-twice", reader.placeOf([...path, "resources", index]), message, remedy);
  }
}

function overlap(a: DeviceChoice, b: DeviceChoice): boolean {
  if (a.kind === "all" || b.kind === "all") return true;
  if (a.kind === "count" || b.kind === "count") return false;
  const keys = new Set(a.devices.map(refKey));
  return b.devices.some((device) => keys.has(refKey(device)));
}

function refKey(ref: DeviceRef): string {
  return JSON.stringify(ref);
}

function reportBeyondNvidia(reader: FieldReader, path: FieldPath, object: JsonObject): void {
  const items: readonly unknown[] = Array.isArray(object["resources"]) ? object["resources"] : [];
  for (const field of ["rename", "devices"]) {
    const index = items.findIndex((item) => isSet(item, field));
    if (index === -1) continue;
    const message = `NVIDIA's device plugin ignores \`${field}\`; Tranche honours it`;
    reader.report("beyond-device-plugin", reader.keyPlaceOf([...path, "resources", index, field]), message, "");
  }
}

function isSet(item: unknown, field: string): boolean {
  if (typeof item !== "object" || item === null) return false;
  const value = Object.entries(item).find(([key]) => key === field)?.[1];
  return value !== undefined && value !== null && value !== "all";
}
