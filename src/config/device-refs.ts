/**
 * Which devices a `devices` field names (NVIDIA k8s-device-plugin api/config/v1/replicas.go, ReplicatedDevices).
 */
import { type FieldReader, isInteger, jsonType } from "./field-reader.ts";
import type { FieldPath } from "./places.ts";
import type { DeviceChoice, DeviceRef } from "./types.ts";

const decimal = /^[0-9]+$/;
// The spellings that google/uuid takes.
const uuid =
  /^(?:(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{32})$/i;
const remedy = 'write all, a number of devices, or a list such as [0, "1:2", GPU-<uuid>]';

/** Reads `devices`; `undefined` after a mistake. */
export function readDeviceChoice(reader: FieldReader, path: FieldPath, value: unknown): DeviceChoice | undefined {
  if (value === "all") return { kind: "all" };
  const place = reader.placeOf(path);
  if (typeof value === "string" || value === null) {
    const message = `devices set as '${value ?? ""}' but the only valid string input is 'all'`;
    reader.report("bad-value", place, message, remedy);
    return undefined;
  }
  if (isInteger(value)) {
    if (value > 0) return { kind: "count", count: value };
    reader.report("bad-value", place, `devices set as '${value}' but a count of devices must be > 0`, remedy);
    return undefined;
  }
  if (Array.isArray(value)) return readList(reader, path, value);
  const message = `unrecognized type for devices spec: ${JSON.stringify(value)}`;
  reader.report("bad-value", place, message, remedy);
  return undefined;
}

/** Reads one item of a list of devices as text; `undefined` when it names no device. */
export function parseDeviceRef(text: string): DeviceRef | undefined {
  if (decimal.test(text)) return { kind: "gpu-index", gpu: Number(text) };
  const [gpu = "", mig = ""] = text.split(/:(.*)/s);
  if (decimal.test(gpu) && decimal.test(mig)) return { kind: "mig-index", gpu: Number(gpu), mig: Number(mig) };
  return isGpuUuid(text) || isMigUuid(text) ? { kind: "uuid", uuid: text } : undefined;
}

function readList(reader: FieldReader, path: FieldPath, items: readonly unknown[]): DeviceChoice | undefined {
  const devices = items.map((item, index) => readItem(reader, [...path, index], item));
  const known = devices.filter((device) => device !== undefined);
  return known.length === devices.length ? { kind: "list", devices: known } : undefined;
}

function readItem(reader: FieldReader, path: FieldPath, item: unknown): DeviceRef | undefined {
  // Go decodes null into any number as 0.
  if (item === null) return { kind: "gpu-index", gpu: 0 };
  if (isInteger(item) && item >= 0) return { kind: "gpu-index", gpu: item };
  const device = typeof item === "string" ? parseDeviceRef(item) : undefined;
  if (device !== undefined) return device;
  const shown = typeof item === "string" || typeof item === "number" ? `${item}` : jsonType(item);
  const message = `unsupported type for device in devices list: ${shown}`;
  const how = 'name devices as 0, "1:2", GPU-<uuid>, MIG-<uuid> or MIG-GPU-<uuid>/<gi>/<ci>';
  reader.report("bad-value", reader.placeOf(path), message, how);
  return undefined;
}

function isGpuUuid(text: string): boolean {
  return text.startsWith("GPU-") && uuid.test(text.slice("GPU-".length));
}

/** `MIG-<uuid>`, or the older `MIG-GPU-<uuid>/<gi>/<ci>`. */
function isMigUuid(text: string): boolean {
  if (!text.startsWith("MIG-")) return false;
  const rest = text.slice("MIG-".length);
  if (uuid.test(rest)) return true;
  const [gpu = "", ...ids] = rest.split("/");
  return isGpuUuid(gpu) && ids.length === 2 && ids.every((id) => decimal.test(id));
}
