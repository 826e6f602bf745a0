/**
 * Reads device-plugin files with the rules of NVIDIA k8s-device-plugin api/config/v1, version 0.20.
 *
 * What NVIDIA's reader accepts and ignores is a warning; `resources`, `rename` and `devices`, which it reads and
 * drops (DisableResourceNamingInConfig), are kept.
 */
import type { Outcome } from "../base/index.ts";
import { readDevicePluginFlags } from "./device-plugin-flags.ts";
import { readSharing } from "./device-plugin-sharing.ts";
import { readFirstDocument } from "./documents.ts";
import { type FieldReader, fieldReader, outcome, readList, readString } from "./field-reader.ts";
import { readImex } from "./imex.ts";
import { type FieldPath, type PlaceAt, placesIn } from "./places.ts";
import { readResourceName } from "./resource-names.ts";
import { exactFields, type Field, structFields } from "./struct-fields.ts";
import type { DevicePluginConfig, NamedResource } from "./types.ts";

/**
 * Reads a device-plugin file; an empty one is valid and shares nothing. `placeAt` tells where the text stands when
 * it is part of another file.
 */
export function parseDevicePluginConfig(
  text: string,
  file: string,
  placeAt: PlaceAt = placesIn(file),
): Outcome<DevicePluginConfig> {
  const { documents, findings } = readFirstDocument(text, file, placeAt);
  const [document] = documents;
  const nowhere = { placeOf: () => placeAt(1, 1), keyPlaceOf: () => placeAt(1, 1) };
  const reader = fieldReader({ kind: "file", name: file }, document ?? nowhere, findings);
  const fields = structFields(reader, [], document?.value, {
    names: ["version", "flags", "resources", "sharing", "imex"],
  });
  checkVersion(reader, fields.get("version"));
  const imex = fields.get("imex");
  const config = {
    flags: readDevicePluginFlags(reader, fields.get("flags")),
    resources: readResources(reader, fields.get("resources")),
    sharing: readSharing(reader, fields.get("sharing")),
    ...(imex === undefined ? {} : { imex: readImex(reader, imex) }),
  };
  return outcome(config, reader.findings);
}

function checkVersion(reader: FieldReader, field: Field | undefined): void {
  const version = field?.value ?? "";
  if (field === undefined || version === "" || version === "v1") return;
  if (typeof version === "object") readString(reader, field.path, version);
  else
    reader.report("unknown-version", reader.placeOf(field.path), `unknown version: ${version}`, "write `version: v1`");
}

function readResources(reader: FieldReader, field: Field | undefined): DevicePluginConfig["resources"] {
  if (field === undefined) return { gpus: [], mig: [] };
  const fields = structFields(reader, field.path, field.value, { names: ["gpus", "mig"] });
  const gpus = readNamedResources(reader, fields.get("gpus"));
  const mig = readNamedResources(reader, fields.get("mig"));
  if (gpus.length + mig.length > 0) {
    const message = "NVIDIA's device plugin ignores `resources`; Tranche names resources after it";
    reader.report("beyond-device-plugin", reader.keyPlaceOf(field.path), message, "");
  }
  return { gpus, mig };
}

function readNamedResources(reader: FieldReader, field: Field | undefined): readonly NamedResource[] {
  if (field === undefined) return [];
  const items = readList(reader, field.path, field.value) ?? [];
  return items
    .map((item, index) => readNamedResource(reader, [...field.path, index], item))
    .filter((item) => item !== undefined);
}

function readNamedResource(reader: FieldReader, path: FieldPath, value: unknown): NamedResource | undefined {
  const item = exactFields(reader, path, value, { names: ["pattern", "name"] });
  if (item === undefined) return undefined;
  const missing = ["pattern", "name"].filter((name) => !Object.hasOwn(item, name));
  for (const name of missing) {
    const remedy = name === "pattern" ? 'add `pattern`, for example "*A100*"' : "add `name`, for example a100";
    reader.report("missing-field", reader.placeOf(path), `resources must have a '${name}' field set`, remedy);
  }
  if (missing.length > 0) return undefined;
  const pattern = item["pattern"] === null ? "" : readString(reader, [...path, "pattern"], item["pattern"]);
  const name = readResourceName(reader, [...path, "name"], item["name"]);
  return pattern === undefined || name === undefined ? undefined : { pattern, name, place: reader.placeOf(path) };
}
