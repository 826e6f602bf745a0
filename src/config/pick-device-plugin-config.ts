/**
 * Which config of a ConfigMap a node uses: the rules of NVIDIA k8s-device-plugin cmd/config-manager/main.go.
 *
 * Where the config manager exits and is restarted for ever, this gives a finding; the caller keeps what it has.
 */
import { type FindingCode, finding, type Outcome } from "../base/index.ts";
import { orList, suggestion } from "./field-reader.ts";

export interface PickRequest {
  /** Keys of the ConfigMap. */
  readonly configs: readonly string[];
  /** Value of the node label `nvidia.com/device-plugin.config`; empty counts as none. */
  readonly label: string | undefined;
  /** The policy's or chart's default; empty counts as none. */
  readonly defaultName: string | undefined;
  /** In order: `named` takes the key `default`, `single` the only key, `empty` no config. A ClusterPolicy has `empty`. */
  readonly fallback: readonly string[];
}

/** The chosen key; `undefined` stands for the empty config. */
export interface PickedConfig {
  readonly name: string | undefined;
  readonly by: "label" | "default" | "named" | "single" | "empty";
}

/** Picks by label, then default, then fallbacks in their order. */
export function pickDevicePluginConfig(request: PickRequest): Outcome<PickedConfig> {
  // A mounted ConfigMap has entries of its own that start with two dots.
  const configs = request.configs.filter((name) => !name.startsWith(".."));
  if (configs.length === 0) {
    return failed(
      "plugin-config-unset",
      "no configuration files available",
      "add a key with a config to the ConfigMap",
    );
  }
  if (request.label !== undefined && request.label !== "") return existing(configs, request.label, "label");
  if (request.defaultName !== undefined && request.defaultName !== "") {
    return existing(configs, request.defaultName, "default");
  }
  return pickFallback(configs, request.fallback);
}

function existing(configs: readonly string[], name: string, by: "label" | "default"): Outcome<PickedConfig> {
  if (configs.includes(name)) return picked({ name, by });
  const where = by === "label" ? "node label nvidia.com/device-plugin.config" : "default";
  const message = `specified config ${name} does not exist (named by the ${where})`;
  return failed("plugin-config-missing", message, suggestion(name, configs));
}

function pickFallback(configs: readonly string[], fallbacks: readonly string[]): Outcome<PickedConfig> {
  for (const fallback of fallbacks) {
    if (fallback === "named") {
      if (configs.includes("default")) return picked({ name: "default", by: "named" });
    } else if (fallback === "single") {
      if (configs.length === 1) return picked({ name: configs[0], by: "single" });
    } else if (fallback === "empty") {
      return picked({ name: undefined, by: "empty" });
    } else {
      return failed("plugin-config-unset", `unknown fallback strategy: ${fallback}`, "use named, single or empty");
    }
  }
  const message = "no config was set, no default was provided, and all fallbacks failed";
  return failed(
    "plugin-config-unset",
    message,
    `label the node with nvidia.com/device-plugin.config=${orList(configs)}`,
  );
}

function picked(value: PickedConfig): Outcome<PickedConfig> {
  return { ok: true, value, findings: [] };
}

function failed(code: FindingCode, message: string, remedy: string): Outcome<PickedConfig> {
  return { ok: false, findings: [finding(code, { kind: "config", name: "device plugin" }, message, { remedy })] };
}
