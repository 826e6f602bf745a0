/**
 * Reads mig-parted files with the rules of NVIDIA mig-parted api/spec/v1/spec.go, and in its words.
 *
 * NVIDIA's reader stops at the first mistake; this one reports all of them.
 */
import { type Finding, finding, type Outcome } from "../base/index.ts";
import { parseDeviceFilter } from "./device-filter.ts";
import { readFirstDocument, type TextDocument } from "./documents.ts";
import {
  type FieldReader,
  fieldReader,
  isInteger,
  isObject,
  type JsonObject,
  jsonType,
  outcome,
  readBoolean,
  readInteger,
  readList,
  readObject,
  readString,
  suggestion,
} from "./field-reader.ts";
import { canonicalMigName, parseMigProfileName } from "./mig-profile-name.ts";
import { type FieldPath, type PlaceAt, placesIn } from "./places.ts";
import type { MigConfig, MigConfigEntry, MigPartedFile } from "./types.ts";

const entryFields = ["device-filter", "devices", "mig-enabled", "mig-devices"];

/**
 * Reads a mig-parted file. `placeAt` tells where the text stands when it is part of another file.
 *
 * The whole file is read: one bad entry in any named config makes it unusable, as with NVIDIA's reader.
 */
export function parseMigParted(text: string, file: string, placeAt: PlaceAt = placesIn(file)): Outcome<MigPartedFile> {
  const { documents, findings } = readFirstDocument(text, file, placeAt);
  const place = placeAt(1, 1);
  const [document] = documents;
  if (document === undefined || document.value === null) return outcome({ configs: new Map(), place }, findings);
  const reader = fieldReader({ kind: "file", name: file }, document, findings);
  const configs = readSpec(reader, document);
  return outcome({ configs, place }, reader.findings);
}

/** Picks the named config; with exactly one in the file, the name may be left out or empty. */
export function selectMigConfig(file: MigPartedFile, name: string | undefined): Outcome<MigConfig> {
  const names = [...file.configs.keys()];
  const wanted = name === undefined || name === "" ? (names.length === 1 ? names[0] : undefined) : name;
  const config = wanted === undefined ? undefined : file.configs.get(wanted);
  if (config !== undefined) return { ok: true, value: config, findings: [] };
  return { ok: false, findings: [selectionFinding(file, names, wanted)] };
}

function selectionFinding(file: MigPartedFile, names: readonly string[], wanted: string | undefined): Finding {
  const subject = { kind: "config", name: wanted ?? "mig-configs" } as const;
  if (wanted === undefined && names.length > 1) {
    const message = "missing required flag 'selected-config' when more than one config available";
    const remedy = `name one of ${names.join(", ")} in the node label nvidia.com/mig.config`;
    return finding("mig-config-ambiguous", subject, message, { place: file.place, remedy });
  }
  const remedy = names.length === 0 ? "add named configs under `mig-configs`" : suggestion(wanted ?? "", names);
  return finding("mig-config-missing", subject, `selected mig-config not present: ${wanted ?? ""}`, {
    place: file.place,
    remedy,
  });
}

function readSpec(reader: FieldReader, document: TextDocument): ReadonlyMap<string, MigConfig> {
  const spec = readObject(reader, [], document.value);
  if (spec === undefined) return new Map();
  if (!checkVersion(reader, spec)) return new Map();
  checkUnexpected(reader, [], spec, ["version", "mig-configs"]);
  return Object.hasOwn(spec, "mig-configs") ? readConfigs(reader, spec["mig-configs"]) : new Map();
}

function checkVersion(reader: FieldReader, spec: JsonObject): boolean {
  const remedy = "write `version: v1` at the top level";
  if (!Object.hasOwn(spec, "version") && Object.keys(spec).length > 0) {
    reader.report("missing-field", reader.placeOf([]), "unable to parse with missing 'version' field", remedy);
    return false;
  }
  const value = spec["version"] ?? "";
  if (value === "v1") return true;
  if (typeof value !== "string") readString(reader, ["version"], value);
  else reader.report("unknown-version", reader.placeOf(["version"]), `unknown version: ${value}`, remedy);
  return false;
}

function checkUnexpected(reader: FieldReader, path: FieldPath, object: JsonObject, known: readonly string[]): void {
  for (const key of Object.keys(object)) {
    if (known.includes(key)) continue;
    const place = reader.keyPlaceOf([...path, key]);
    reader.report("unexpected-field", place, `unexpected field: ${key}`, suggestion(key, known));
  }
}

function readConfigs(reader: FieldReader, value: unknown): ReadonlyMap<string, MigConfig> {
  const path = ["mig-configs"];
  if (value !== null && !isObject(value)) readObject(reader, path, value);
  else if (value === null || Object.keys(value).length === 0) reportEmpty(reader, path, "mig-configs");
  const configs = new Map<string, MigConfig>();
  for (const [name, entries] of Object.entries(isObject(value) ? value : {})) {
    configs.set(name, readConfig(reader, name, entries));
  }
  return configs;
}

function readConfig(reader: FieldReader, name: string, value: unknown): MigConfig {
  const path = ["mig-configs", name];
  const list = readList(reader, path, value);
  if (value === null || list?.length === 0) reportEmpty(reader, path, name);
  const entries = (list ?? []).map((entry, index) => readEntry(reader, [...path, index], entry));
  return { name, entries: entries.filter((entry) => entry !== undefined), place: reader.keyPlaceOf(path) };
}

function reportEmpty(reader: FieldReader, path: FieldPath, name: string): void {
  const remedy = "add an entry with `devices` and `mig-enabled`, or remove the key";
  reader.report("missing-field", reader.keyPlaceOf(path), `at least one entry in '${name}' is required`, remedy);
}

function readEntry(reader: FieldReader, path: FieldPath, value: unknown): MigConfigEntry | undefined {
  const entry = value === null ? {} : readObject(reader, path, value);
  if (entry === undefined) return undefined;
  for (const field of ["devices", "mig-enabled"]) {
    if (Object.hasOwn(entry, field)) continue;
    const remedy =
      field === "devices" ? "add `devices: all` or a list of indexes" : "add `mig-enabled: true` or `false`";
    reader.report("missing-field", reader.placeOf(path), `missing required field: ${field}`, remedy);
  }
  checkUnexpected(reader, path, entry, entryFields);
  const migEnabled = readBoolean(reader, [...path, "mig-enabled"], entry["mig-enabled"]) ?? false;
  const { migDevices, written } = readMigDevices(reader, [...path, "mig-devices"], entry["mig-devices"]);
  checkModeAgainstDevices(reader, path, { entry, migEnabled, count: migDevices.size });
  return {
    deviceFilter: readDeviceFilter(reader, [...path, "device-filter"], entry["device-filter"]),
    devices: readDevices(reader, [...path, "devices"], entry),
    migEnabled,
    migDevices,
    place: reader.placeOf(path),
    placeOf: ([field, step, ...rest]) => {
      const at = [field, step, ...rest].filter((one) => one !== undefined);
      // The file may spell a profile differently from its canonical name; its name is what people look for.
      if (field !== "mig-devices" || step === undefined) return reader.placeOf([...path, ...at]);
      return reader.keyPlaceOf([...path, field, written.get(`${step}`) ?? step]);
    },
  };
}

function checkModeAgainstDevices(
  reader: FieldReader,
  path: FieldPath,
  { entry, migEnabled, count }: { readonly entry: JsonObject; readonly migEnabled: boolean; readonly count: number },
): void {
  if (migEnabled && (entry["mig-devices"] ?? null) === null) {
    const message = "missing required field 'mig-devices' when 'mig-enabled' is true";
    reader.report("missing-field", reader.placeOf(path), message, "add `mig-devices`, `{}` for MIG without devices");
  }
  if (!migEnabled && count > 0) {
    const message = "MIG devices included when 'mig-enabled' is false";
    reader.report(
      "bad-value",
      reader.keyPlaceOf([...path, "mig-devices"]),
      message,
      "set `mig-enabled: true` or remove `mig-devices`",
    );
  }
}

function readDeviceFilter(reader: FieldReader, path: FieldPath, value: unknown): readonly string[] {
  if (value === undefined || value === null || value === "") return [];
  const filters = typeof value === "string" ? [value] : value;
  if (!Array.isArray(filters) || !filters.every((one) => typeof one === "string" || one === null)) {
    return reportBothTypes(reader, path, {
      value,
      types: ["string", "[]string"],
      remedy: 'quote the PCI id, for example "0x20B210DE"',
    });
  }
  const texts = filters.map((one: string | null) => one ?? "");
  for (const [index, text] of texts.entries()) {
    if (parseDeviceFilter(text) !== undefined) continue;
    const place = reader.placeOf(typeof value === "string" ? path : [...path, index]);
    const remedy = "write the device and vendor id as NVIDIA's files do, for example 0x20B210DE";
    reader.report("mig-filter-unreadable", place, `device-filter "${text}" is no PCI id and matches no GPU`, remedy);
  }
  return texts;
}

function readDevices(reader: FieldReader, path: FieldPath, entry: JsonObject): "all" | readonly number[] {
  if (!Object.hasOwn(entry, "devices")) return [];
  const value = entry["devices"] ?? "";
  if (value === "all") return value;
  const remedy = "write `all` or a list of GPU indexes such as [0, 1]";
  if (typeof value === "string") {
    reader.report("bad-value", reader.placeOf(path), `invalid string input for 'devices': ${value}`, remedy);
    return [];
  }
  if (!Array.isArray(value) || !value.every((one) => isInteger(one) || one === null)) {
    return reportBothTypes(reader, path, { value, types: ["string", "[]int"], remedy });
  }
  return value.map((one: number | null) => one ?? 0);
}

/** NVIDIA tries a string, then a list, and gives both errors. */
function reportBothTypes(
  reader: FieldReader,
  path: FieldPath,
  { value, types, remedy }: { readonly value: unknown; readonly types: readonly string[]; readonly remedy: string },
): readonly never[] {
  const wrong = Array.isArray(value) ? value.find((one) => typeof one !== "string" || types[1] === "[]int") : value;
  const errors = types.map((type) => {
    const seen = jsonType(type === "string" ? value : wrong);
    return `cannot unmarshal ${seen} into '${path.at(-1)}' of type ${type}`;
  });
  reader.report("bad-value", reader.placeOf(path), `(${errors.join(", ")})`, remedy);
  return [];
}

interface MigDevicesRead {
  /** Canonical name to count. */
  readonly migDevices: Map<string, number>;
  /** Canonical name to the name in the file. */
  readonly written: Map<string, string>;
}

function readMigDevices(reader: FieldReader, path: FieldPath, value: unknown): MigDevicesRead {
  const migDevices = new Map<string, number>();
  const written = new Map<string, string>();
  const object = readObject(reader, path, value) ?? {};
  for (const [key, count] of Object.entries(object)) {
    const name = readProfileName(reader, [...path, key], key);
    const number = readCount(reader, [...path, key], count);
    if (name === undefined || number === undefined) continue;
    migDevices.set(name, (migDevices.get(name) ?? 0) + number);
    written.set(name, key);
  }
  reportZeroCounts(reader, path, { migDevices, written });
  return { migDevices, written };
}

function readProfileName(reader: FieldReader, path: FieldPath, key: string): string | undefined {
  const read = parseMigProfileName(key);
  if (!read.ok) {
    const message = `error validating values in 'mig-devices' field: invalid format for '${key}': ${read.reason}`;
    reader.report(
      "bad-mig-profile-name",
      reader.keyPlaceOf(path),
      message,
      "write the profile as nvidia-smi mig -lgip shows it, for example 1g.10gb",
    );
    return undefined;
  }
  const name = canonicalMigName(read.name);
  if (name !== key) {
    const message = `MIG profile "${key}" is called "${name}" by the driver`;
    reader.report("mig-name-not-canonical", reader.keyPlaceOf(path), message, `write "${name}"`);
  }
  return name;
}

function readCount(reader: FieldReader, path: FieldPath, value: unknown): number | undefined {
  if (value === null) return 0;
  const count = readInteger(reader, path, value);
  if (count === undefined || count >= 0) return count;
  const message = `error validating values in 'mig-devices' field: invalid count for '${count}'`;
  reader.report("bad-value", reader.placeOf(path), message, "write a count of 0 or more");
  return undefined;
}

function reportZeroCounts(reader: FieldReader, path: FieldPath, { migDevices, written }: MigDevicesRead): void {
  const zeros = [...migDevices].filter(([, count]) => count === 0);
  if (zeros.length > 0 && zeros.length === migDevices.size) {
    const message = "error validating values in 'mig-devices' field: all counts for all MigProfiles are 0";
    reader.report("bad-value", reader.keyPlaceOf(path), message, "write `mig-devices: {}` for MIG without devices");
    return;
  }
  for (const [name] of zeros) {
    const key = written.get(name) ?? name;
    reader.report("mig-count-zero", reader.placeOf([...path, key]), `count of "${key}" is 0`, "remove the line");
  }
}
