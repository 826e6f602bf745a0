/**
 * Reads what concerns GPU sharing in a ClusterPolicy (NVIDIA gpu-operator api/nvidia/v1/clusterpolicy_types.go and
 * the CRD made from it).
 */
import type { Outcome, Place } from "../base/index.ts";
import { migStrategies } from "./device-plugin-flags.ts";
import {
  type FieldReader,
  fieldName,
  fieldReader,
  isObject,
  type JsonObject,
  orList,
  outcome,
  readBoolean,
  readList,
  readObject,
  readString,
} from "./field-reader.ts";
import type { FieldPath } from "./places.ts";
import { exactFields } from "./struct-fields.ts";
import type { ClusterPolicyConfig, MigStrategy } from "./types.ts";

const requiredSections = [
  "daemonsets",
  "dcgm",
  "dcgmExporter",
  "devicePlugin",
  "driver",
  "gfd",
  "nodeStatusExporter",
  "operator",
  "toolkit",
];
const optionalSections = [
  "mig",
  "migManager",
  "psp",
  "psa",
  "validator",
  "gds",
  "gdrcopy",
  "sandboxWorkloads",
  "vfioManager",
  "sandboxDevicePlugin",
  "vgpuManager",
  "vgpuDeviceManager",
  "cdi",
  "kataManager",
  "ccManager",
  "hostPaths",
  "kataSandboxDevicePlugin",
];
const operandFields = [
  "enabled",
  "repository",
  "image",
  "version",
  "imagePullPolicy",
  "imagePullSecrets",
  "resources",
  "args",
  "env",
  "hostNetwork",
];

/** Reads a ClusterPolicy object; `placeOf` tells where its fields stand. */
export function readClusterPolicy(
  object: JsonObject,
  placeOf: (path: FieldPath) => Place,
): Outcome<ClusterPolicyConfig> {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const name = typeof metadata["name"] === "string" ? metadata["name"] : "cluster-policy";
  const places = { placeOf, keyPlaceOf: placeOf };
  const reader = fieldReader({ kind: "config", name: `ClusterPolicy ${name}` }, places);
  const spec = section(reader, ["spec"], { value: object["spec"], known: [...requiredSections, ...optionalSections] });
  reportMissingSections(reader, spec);
  reportWithoutEffect(reader, spec);
  const policy: ClusterPolicyConfig = {
    name,
    migStrategy: readMigStrategy(reader, spec["mig"]),
    migManager: readMigManager(reader, spec["migManager"]),
    devicePlugin: readDevicePlugin(reader, spec["devicePlugin"]),
    gfd: readGfd(reader, spec["gfd"]),
    cdiEnabled: readCdi(reader, spec["cdi"]),
    place: placeOf([]),
  };
  return outcome(policy, reader.findings);
}

/** The environment the GPU operator gives the device plugin's container for a policy, in two parts. */
export interface DevicePluginEnvironment {
  /**
   * What the operator's DaemonSet says on its own, and for CDI. There it overrides the plugin's file, whatever that
   * says; here the file comes first, since whoever writes a flag there means it.
   */
  readonly defaults: ReadonlyMap<string, string>;
  /** What the policy says: MIG strategy and MPS root, then its `env`; it overrides the file. */
  readonly settings: ReadonlyMap<string, string>;
}

/** Reads it from the policy as gpu-operator assets/state-device-plugin and controllers/object_controls.go do. */
export function devicePluginEnvironment(policy: ClusterPolicyConfig): DevicePluginEnvironment {
  const { env, mpsRoot } = policy.devicePlugin;
  const strategy = policy.migStrategy === undefined ? [] : [["MIG_STRATEGY", policy.migStrategy] as const];
  return {
    defaults: new Map([
      ["PASS_DEVICE_SPECS", "true"],
      ["FAIL_ON_INIT_ERROR", "true"],
      ["DEVICE_LIST_STRATEGY", policy.cdiEnabled ? "cdi-annotations,cdi-cri" : "envvar"],
      ["DEVICE_ID_STRATEGY", "uuid"],
      ["CDI_ANNOTATION_PREFIX", "cdi.k8s.io/"],
    ]),
    settings: new Map([["MPS_ROOT", mpsRoot], ...strategy, ...env]),
  };
}

function section(
  reader: FieldReader,
  path: FieldPath,
  { value, known }: { readonly value: unknown; readonly known: readonly string[] },
): JsonObject {
  return value === undefined ? {} : (exactFields(reader, path, value, { names: known }) ?? {});
}

function reportMissingSections(reader: FieldReader, spec: JsonObject): void {
  const missing = requiredSections.filter((name) => !Object.hasOwn(spec, name));
  if (missing.length === 0) return;
  const message = `spec has no ${missing.join(", ")}, which the CRD requires`;
  const remedy = `add ${missing.map((name) => `${name}: {}`).join(", ")} before applying it to a cluster`;
  reader.report("cluster-policy-incomplete", reader.placeOf(["spec"]), message, remedy);
}

/** What tells NVIDIA's containers to do something that no agent does in their place. */
function reportWithoutEffect(reader: FieldReader, spec: JsonObject): void {
  const report = (path: FieldPath, why: string): void => {
    const message = `${fieldName(path)} has no effect: ${why}`;
    reader.report("setting-without-effect", reader.placeOf(path), message, `leave out ${fieldName(path)}`);
  };
  for (const name of ["devicePlugin", "gfd", "migManager"]) {
    const { enabled, args } = objectAt(spec, name);
    if (enabled !== false && Array.isArray(args) && args.length > 0)
      report(["spec", name, "args"], "Tranche runs no such container");
  }
  const { enabled, env, gpuClientsConfig } = objectAt(spec, "migManager");
  if (enabled === false) return;
  for (const [index, item] of (Array.isArray(env) ? env : []).entries()) {
    const { name, value } = isObject(item) ? item : {};
    if ((value ?? "") === "" || value === "false") continue;
    report(["spec", "migManager", "env", index], `the MIG manager that reads ${name} does not run`);
  }
  if (isObject(gpuClientsConfig) && (gpuClientsConfig["name"] ?? "") !== "") {
    report(["spec", "migManager", "gpuClientsConfig"], "no host service is stopped; what one holds is not cut");
  }
}

function objectAt(spec: JsonObject, name: string): JsonObject {
  const value = spec[name];
  return isObject(value) ? value : {};
}

function readMigStrategy(reader: FieldReader, value: unknown): MigStrategy | undefined {
  const mig = section(reader, ["spec", "mig"], { value, known: ["strategy"] });
  return readWord(reader, ["spec", "mig", "strategy"], { value: mig["strategy"], allowed: migStrategies });
}

function readMigManager(reader: FieldReader, value: unknown): ClusterPolicyConfig["migManager"] {
  const path = ["spec", "migManager"];
  const operand = section(reader, path, { value, known: [...operandFields, "config", "gpuClientsConfig"] });
  const config = section(reader, [...path, "config"], { value: operand["config"], known: ["name", "default"] });
  const named = readWord(reader, [...path, "config", "default"], {
    value: config["default"],
    allowed: ["all-disabled", ""],
  });
  // The CRD's own default; it only comes with a `config` object.
  const standard = isObject(operand["config"]) ? "all-disabled" : "";
  return {
    enabled: readBoolean(reader, [...path, "enabled"], operand["enabled"]) ?? true,
    configName: readString(reader, [...path, "config", "name"], config["name"]) || undefined,
    configDefault: (named ?? standard) || undefined,
  };
}

function readDevicePlugin(reader: FieldReader, value: unknown): ClusterPolicyConfig["devicePlugin"] {
  const path = ["spec", "devicePlugin"];
  const operand = section(reader, path, { value, known: [...operandFields, "config", "mps"] });
  const config = section(reader, [...path, "config"], { value: operand["config"], known: ["name", "default"] });
  const mps = section(reader, [...path, "mps"], { value: operand["mps"], known: ["root"] });
  return {
    enabled: readBoolean(reader, [...path, "enabled"], operand["enabled"]) ?? true,
    configName: readString(reader, [...path, "config", "name"], config["name"]) || undefined,
    configDefault: readString(reader, [...path, "config", "default"], config["default"]) || undefined,
    env: readEnv(reader, [...path, "env"], operand["env"]),
    mpsRoot: readString(reader, [...path, "mps", "root"], mps["root"]) || "/run/nvidia/mps",
  };
}

function readGfd(reader: FieldReader, value: unknown): ClusterPolicyConfig["gfd"] {
  const path = ["spec", "gfd"];
  const operand = section(reader, path, { value, known: operandFields });
  return {
    enabled: readBoolean(reader, [...path, "enabled"], operand["enabled"]) ?? true,
    env: readEnv(reader, [...path, "env"], operand["env"]),
  };
}

function readCdi(reader: FieldReader, value: unknown): boolean {
  const path = ["spec", "cdi"];
  const cdi = section(reader, path, { value, known: ["enabled", "default", "nriPluginEnabled"] });
  return readBoolean(reader, [...path, "enabled"], cdi["enabled"]) ?? true;
}

/** Names and values only; the CRD has no `valueFrom`. */
function readEnv(reader: FieldReader, path: FieldPath, value: unknown): ReadonlyMap<string, string> {
  const env = new Map<string, string>();
  for (const [index, item] of (readList(reader, path, value) ?? []).entries()) {
    const variable = readObject(reader, [...path, index], item) ?? {};
    exactFields(reader, [...path, index], variable, { names: ["name", "value"] });
    const name = readString(reader, [...path, index, "name"], variable["name"]);
    const text = readString(reader, [...path, index, "value"], variable["value"]);
    if (name !== undefined && name !== "") env.set(name, text ?? "");
    else if (name === "" || (variable["name"] ?? null) === null) {
      reader.report(
        "missing-field",
        reader.placeOf([...path, index]),
        "environment variable has no name",
        "add `name`",
      );
    }
  }
  return env;
}

function readWord<T extends string>(
  reader: FieldReader,
  path: FieldPath,
  { value, allowed }: { readonly value: unknown; readonly allowed: readonly T[] },
): T | undefined {
  const word = readString(reader, path, value);
  const known = allowed.find((one) => one === word);
  if (word === undefined || known !== undefined) return known;
  const list = orList(allowed.map((one) => `"${one}"`));
  reader.report(
    "bad-value",
    reader.placeOf(path),
    `Unsupported value: "${word}": supported values: ${list}`,
    `use ${list}`,
  );
  return undefined;
}
