/**
 * Reads `flags` of a device-plugin file (NVIDIA k8s-device-plugin api/config/v1/flags.go, strategy.go, duration.go).
 *
 * NVIDIA checks the values of enumerations only when the plugin starts, after environment variables are merged;
 * here a value that no merge could make right is a mistake of the file.
 */
import { type FieldReader, fieldName, orList, readBoolean, readString } from "./field-reader.ts";
import { parseGoDuration } from "./go-duration.ts";
import type { FieldPath } from "./places.ts";
import { type Field, structFields } from "./struct-fields.ts";
import type {
  AllocationPolicy,
  DeviceIdStrategy,
  DeviceListStrategy,
  FeatureFlags,
  MigStrategy,
  PluginFlags,
} from "./types.ts";

export const migStrategies: readonly MigStrategy[] = ["none", "single", "mixed"];
export const deviceListStrategies: readonly DeviceListStrategy[] = [
  "envvar",
  "volume-mounts",
  "cdi-annotations",
  "cdi-cri",
];
export const deviceIdStrategies: readonly DeviceIdStrategy[] = ["uuid", "index"];
export const allocationPolicies: readonly AllocationPolicy[] = ["distributed", "packed"];
/** `vfio` exists for feature discovery only; the plugin refuses it. */
export const discoveryStrategies: readonly string[] = ["auto", "nvml", "tegra"];

const sharedFlags = [
  "migStrategy",
  "failOnInitError",
  "mpsRoot",
  "nvidiaDriverRoot",
  "nvidiaDevRoot",
  "gdrcopyEnabled",
  "gdsEnabled",
  "mofedEnabled",
  "useNodeFeatureAPI",
  "deviceDiscoveryStrategy",
  "plugin",
  "gfd",
];
const pluginFlags = [
  "passDeviceSpecs",
  "deviceListStrategy",
  "deviceIDStrategy",
  "cdiAnnotationPrefix",
  "nvidiaCTKPath",
  "containerDriverRoot",
  "sharedDevicesAllocationPolicy",
];
const gfdFlags = ["oneshot", "noTimestamp", "sleepInterval", "outputFile", "machineTypeFile"];
const homes = new Map([
  ...sharedFlags.map((name) => [name.toLowerCase(), "`flags`"] as const),
  ...pluginFlags.map((name) => [name.toLowerCase(), "`flags.plugin`"] as const),
  ...gfdFlags.map((name) => [name.toLowerCase(), "`flags.gfd`"] as const),
]);

/** Reads `flags` with `flags.plugin` and `flags.gfd`. */
export function readDevicePluginFlags(reader: FieldReader, field: Field | undefined): PluginFlags {
  if (field === undefined) return {};
  const fields = structFields(reader, field.path, field.value, { names: sharedFlags, elsewhere: homes });
  const plugin = section(reader, fields.get("plugin"), pluginFlags);
  const gfd = withoutUndefined<FeatureFlags>({
    useNodeFeatureApi: read(reader, fields.get("useNodeFeatureAPI"), readBoolean),
    ...readGfdFlags(reader, section(reader, fields.get("gfd"), gfdFlags)),
  });
  return withoutUndefined<PluginFlags>({
    ...readSharedFlags(reader, fields),
    ...readPluginFlags(reader, plugin),
    gfd: Object.keys(gfd).length === 0 ? undefined : gfd,
  });
}

function readSharedFlags(reader: FieldReader, fields: ReadonlyMap<string, Field>): Possible<PluginFlags> {
  return {
    migStrategy: choice(reader, fields.get("migStrategy"), {
      allowed: migStrategies,
      refusal: "unknown MIG strategy",
    }),
    failOnInitError: read(reader, fields.get("failOnInitError"), readBoolean),
    mpsRoot: read(reader, fields.get("mpsRoot"), readString),
    nvidiaDriverRoot: read(reader, fields.get("nvidiaDriverRoot"), readString),
    nvidiaDevRoot: read(reader, fields.get("nvidiaDevRoot"), readString),
    gdrcopyEnabled: read(reader, fields.get("gdrcopyEnabled"), readBoolean),
    gdsEnabled: read(reader, fields.get("gdsEnabled"), readBoolean),
    mofedEnabled: read(reader, fields.get("mofedEnabled"), readBoolean),
    deviceDiscoveryStrategy: choice(reader, fields.get("deviceDiscoveryStrategy"), {
      allowed: discoveryStrategies,
      refusal: "invalid --device-discovery-strategy option",
    }),
  };
}

function readPluginFlags(reader: FieldReader, fields: ReadonlyMap<string, Field>): Possible<PluginFlags> {
  return {
    passDeviceSpecs: read(reader, fields.get("passDeviceSpecs"), readBoolean),
    deviceListStrategy: readDeviceListStrategy(reader, fields.get("deviceListStrategy")),
    deviceIdStrategy: choice(reader, fields.get("deviceIDStrategy"), {
      allowed: deviceIdStrategies,
      refusal: "invalid --device-id-strategy option",
    }),
    cdiAnnotationPrefix: read(reader, fields.get("cdiAnnotationPrefix"), readString),
    nvidiaCtkPath: read(reader, fields.get("nvidiaCTKPath"), readString),
    containerDriverRoot: read(reader, fields.get("containerDriverRoot"), readString),
    sharedDevicesAllocationPolicy: choice(reader, fields.get("sharedDevicesAllocationPolicy"), {
      allowed: allocationPolicies,
      refusal: "invalid --shared-devices-allocation-policy option",
    }),
  };
}

/** Labels follow what they tell of, at once and for ever, so `sleepInterval` is only checked and `oneshot` told of. */
function readGfdFlags(reader: FieldReader, fields: ReadonlyMap<string, Field>): Possible<FeatureFlags> {
  const oneshot = fields.get("oneshot");
  if (oneshot !== undefined && read(reader, oneshot, readBoolean) === true) {
    const message = `${fieldName(oneshot.path)} has no effect: labels follow what they tell of`;
    reader.report("setting-without-effect", reader.placeOf(oneshot.path), message, "remove it");
  }
  const interval = fields.get("sleepInterval");
  if (interval !== undefined) checkDuration(reader, interval);
  return {
    noTimestamp: read(reader, fields.get("noTimestamp"), readBoolean),
    outputFile: read(reader, fields.get("outputFile"), readString),
    machineTypeFile: read(reader, fields.get("machineTypeFile"), readString),
  };
}

/** A bare number counts nanoseconds; `infinite` is a word of NVIDIA's. */
function checkDuration(reader: FieldReader, { value, path }: Field): void {
  if (value === undefined || value === null || value === "infinite") return;
  const place = reader.placeOf(path);
  if (typeof value === "number") {
    const message = `${path.at(-1)}: ${value} is ${value} nanoseconds`;
    reader.report("duration-in-nanoseconds", place, message, `write the unit: ${value}s`);
  } else if (typeof value === "string") {
    const duration = parseGoDuration(value);
    if (!duration.ok) reader.report("bad-value", place, duration.reason, "write for example 60s, 1m30s or infinite");
  } else {
    reader.report("bad-value", place, "invalid duration", "write for example 60s, 1m30s or infinite");
  }
}

function readDeviceListStrategy(
  reader: FieldReader,
  field: Field | undefined,
): readonly DeviceListStrategy[] | undefined {
  if (field === undefined || field.value === null) return undefined;
  const { value, path } = field;
  const names: unknown = typeof value === "string" ? [value] : value;
  const remedy = `write a list of ${orList(deviceListStrategies)}`;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string" || name === null)) {
    const message = `invalid deviceListStrategy: ${JSON.stringify(value)}`;
    reader.report("bad-value", reader.placeOf(path), message, remedy);
    return undefined;
  }
  if (names.length === 0) {
    const message = "deviceListStrategy is an empty list: containers are told of no device";
    reader.report("device-list-strategy-empty", reader.placeOf(path), message, "remove it for the default [envvar]");
  }
  return names
    .map((name: string | null, index) => {
      const at = typeof value === "string" ? path : [...path, index];
      return readStrategy(reader, at, name ?? "");
    })
    .filter((name) => name !== undefined);
}

function readStrategy(reader: FieldReader, path: FieldPath, name: string): DeviceListStrategy | undefined {
  const known = deviceListStrategies.find((strategy) => strategy === name);
  if (known !== undefined) return known;
  const parts = name.split(",").map((part) => part.trim());
  const remedy =
    parts.length > 1
      ? `a text is one strategy, commas are not split; write the list [${parts.join(", ")}]`
      : `use ${orList(deviceListStrategies)}`;
  const message = `invalid --device-list-strategy option: invalid strategy: ${name}`;
  reader.report("bad-value", reader.placeOf(path), message, remedy);
  return undefined;
}

interface Choice<T extends string> {
  readonly allowed: readonly T[];
  /** In the plugin's words. */
  readonly refusal: string;
}

function choice<T extends string>(
  reader: FieldReader,
  field: Field | undefined,
  { allowed, refusal }: Choice<T>,
): T | undefined {
  const word = read(reader, field, readString);
  const known = allowed.find((one) => one === word);
  if (field !== undefined && word !== undefined && known === undefined) {
    reader.report("bad-value", reader.placeOf(field.path), `${refusal}: ${word}`, `use ${orList(allowed)}`);
  }
  return known;
}

function read<T>(
  reader: FieldReader,
  field: Field | undefined,
  as: (reader: FieldReader, path: FieldPath, value: unknown) => T | undefined,
): T | undefined {
  return field === undefined ? undefined : as(reader, field.path, field.value);
}

function section(reader: FieldReader, field: Field | undefined, names: readonly string[]): ReadonlyMap<string, Field> {
  return field === undefined ? new Map() : structFields(reader, field.path, field.value, { names, elsewhere: homes });
}

type Possible<T> = { readonly [Name in keyof T]: T[Name] | undefined };

function withoutUndefined<T extends object>(flags: Possible<T>): T {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as T;
}
