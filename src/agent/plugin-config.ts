/**
 * The device-plugin config of a node: chosen among those of a ConfigMap or directory, or the one file there is. Pure.
 */
import { createHash } from "node:crypto";
import { type Finding, finding, type Outcome } from "../base/index.ts";
import {
  type ClusterPolicyConfig,
  type DevicePluginConfig,
  type PlaceAt,
  parseDevicePluginConfig,
  pickDevicePluginConfig,
} from "../config/index.ts";
import { configMapFile, configMapNamed, missingConfigMap } from "./config-maps.ts";
import type { InputValues } from "./inputs.ts";
import { type ConfigChoice, noLocalInputs } from "./local-inputs.ts";

export const PLUGIN_CONFIG_LABEL = "nvidia.com/device-plugin.config";

/** A config and how people tell it from others. */
export interface NamedPluginConfig {
  readonly pluginConfig: DevicePluginConfig;
  /** Key of the ConfigMap or name of the file; `undefined` for the defaults. */
  readonly pluginConfigName: string | undefined;
  /** First digits of the SHA-256 of its text; `undefined` for the defaults. */
  readonly pluginConfigHash: string | undefined;
  /** What it was read from; `undefined` for the defaults. */
  readonly pluginConfigSource: ConfigText | undefined;
}

export interface PluginPart {
  /** `undefined` when none can be chosen, or the chosen one cannot be read. */
  readonly inForce: NamedPluginConfig | undefined;
  readonly findings: readonly Finding[];
}

/** What the node runs with when nobody says anything. */
export const noPluginConfig: NamedPluginConfig = {
  pluginConfig: {
    flags: {},
    resources: { gpus: [], mig: [] },
    sharing: { strategy: "none", renameByDefault: false, failRequestsGreaterThanOne: false, resources: [] },
  },
  pluginConfigName: undefined,
  pluginConfigHash: undefined,
  pluginConfigSource: undefined,
};

/** Configs that a node chooses from. */
interface ConfigSet {
  readonly texts: ReadonlyMap<string, string>;
  readonly choice: ConfigChoice;
  /** How findings cite the config. */
  fileOf(name: string): string;
  placeAtOf(name: string): PlaceAt | undefined;
}

/** The config in force as the inputs say it. */
export function pluginPart(inputs: InputValues, policy: ClusterPolicyConfig | undefined): PluginPart {
  const { configs } = inputs.local ?? noLocalInputs;
  switch (configs.kind) {
    case "policy": {
      const { configName: name, configDefault: defaultName = "" } = policy?.devicePlugin ?? {};
      if (name === undefined) return { inForce: noPluginConfig, findings: [] };
      const choice = { label: PLUGIN_CONFIG_LABEL, defaultName, fallback: ["empty"] };
      return chosen(inputs, configMapSet(inputs, { name, choice }, "the ClusterPolicy"));
    }
    case "config-map":
      return chosen(inputs, configMapSet(inputs, configs, "--config-map"));
    case "directory": {
      const { path, texts, choice } = configs;
      const fileOf = (name: string): string => `${path}/${name}`;
      return chosen(inputs, { ok: true, value: { texts, choice, fileOf, placeAtOf: () => undefined }, findings: [] });
    }
    case "file":
      return namedPluginConfig({ name: configs.path, text: configs.text, file: configs.path });
    case "unreadable": {
      const { path, reason } = configs;
      const message = `cannot read ${path}: ${reason}`;
      const remedy = "check the path and its permissions; the config before stays in force";
      const found = finding("file-not-found", { kind: "file", name: path }, message, { remedy });
      return { inForce: undefined, findings: [found] };
    }
    default:
      return configs satisfies never;
  }
}

function configMapSet(
  { configMaps, placeAtOf }: InputValues,
  wanted: { readonly namespace?: string | undefined; readonly name: string; readonly choice: ConfigChoice },
  by: string,
): Outcome<ConfigSet> {
  const { namespace, name, choice } = wanted;
  const map = configMapNamed(configMaps, name, namespace);
  if (map === undefined) {
    const full = namespace === undefined ? name : `${namespace}/${name}`;
    return { ok: false, findings: [missingConfigMap(full, "there is no such ConfigMap", by)] };
  }
  const set: ConfigSet = {
    texts: new Map(Object.entries(map.data ?? {})),
    choice,
    fileOf: (key) => configMapFile(map, key),
    placeAtOf: (key) => placeAtOf?.(map, key),
  };
  return { ok: true, value: set, findings: [] };
}

function chosen({ node }: InputValues, set: Outcome<ConfigSet>): PluginPart {
  if (!set.ok) return { inForce: undefined, findings: set.findings };
  const { texts, choice, fileOf, placeAtOf } = set.value;
  const picked = pickDevicePluginConfig({
    configs: [...texts.keys()],
    label: node.metadata.labels?.[choice.label],
    defaultName: choice.defaultName,
    fallback: choice.fallback,
  });
  if (!picked.ok) return { inForce: undefined, findings: picked.findings };
  const { name } = picked.value;
  if (name === undefined) return { inForce: noPluginConfig, findings: picked.findings };
  const text = texts.get(name) ?? "";
  const { inForce, findings } = namedPluginConfig({ name, text, file: fileOf(name), placeAt: placeAtOf(name) });
  return { inForce, findings: [...picked.findings, ...findings] };
}

export interface ConfigText {
  readonly name: string;
  readonly text: string;
  /** How findings cite it. */
  readonly file: string;
  readonly placeAt?: PlaceAt | undefined;
}

/** Reads one config. */
export function namedPluginConfig({ name, text, file, placeAt }: ConfigText): PluginPart {
  const { findings, ...parsed } = parseDevicePluginConfig(text, file, placeAt);
  if (!parsed.ok) return { inForce: undefined, findings };
  const pluginConfigHash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  const named = { pluginConfigName: name, pluginConfigHash, pluginConfigSource: { name, text, file } };
  return { inForce: { pluginConfig: parsed.value, ...named }, findings };
}
