import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type PickedConfig, pickDevicePluginConfig } from "../../src/config/index.ts";

interface Row {
  readonly name: string;
  readonly configs: readonly string[];
  readonly label?: string;
  readonly defaultName?: string;
  readonly fallback: readonly string[];
  readonly want: PickedConfig | string;
}

// NVIDIA k8s-device-plugin cmd/config-manager/main.go.
describe("choosing a node's device-plugin config", () => {
  const operator = ["empty"];
  const chart = ["named", "single"];
  const rows: readonly Row[] = [
    {
      name: "the label names it",
      configs: ["a", "b"],
      label: "b",
      defaultName: "a",
      fallback: chart,
      want: { name: "b", by: "label" },
    },
    {
      name: "a label that names none is no reason to fall back",
      configs: ["any"],
      label: "ani",
      defaultName: "any",
      fallback: operator,
      want: "specified config ani does not exist (named by the node label nvidia.com/device-plugin.config); did you mean any?",
    },
    {
      name: "an empty label is none",
      configs: ["a", "b"],
      label: "",
      defaultName: "a",
      fallback: operator,
      want: { name: "a", by: "default" },
    },
    {
      name: "a default that does not exist",
      configs: ["a"],
      defaultName: "b",
      fallback: chart,
      want: "specified config b does not exist (named by the default); did you mean a?",
    },
    {
      name: "an empty default is none",
      configs: ["a", "b"],
      defaultName: "",
      fallback: operator,
      want: { name: undefined, by: "empty" },
    },
    {
      name: "named takes the key default",
      configs: ["a", "default"],
      fallback: chart,
      want: { name: "default", by: "named" },
    },
    { name: "single takes the only key", configs: ["a"], fallback: chart, want: { name: "a", by: "single" } },
    {
      name: "several and none named",
      configs: ["a", "b"],
      fallback: chart,
      want: "no config was set, no default was provided, and all fallbacks failed; label the node with nvidia.com/device-plugin.config=a or b",
    },
    {
      name: "the order of fallbacks counts",
      configs: ["default"],
      fallback: ["empty", "named"],
      want: { name: undefined, by: "empty" },
    },
    {
      name: "an unknown fallback",
      configs: ["a", "b"],
      fallback: ["single", "first"],
      want: "unknown fallback strategy: first; use named, single or empty",
    },
    {
      name: "an unknown fallback that is not reached",
      configs: ["a"],
      fallback: ["single", "first"],
      want: { name: "a", by: "single" },
    },
    {
      name: "no configs",
      configs: [],
      fallback: operator,
      want: "no configuration files available; add a key with a config to the ConfigMap",
    },
    {
      name: "entries of the mount itself are none",
      configs: ["..data", "a"],
      fallback: chart,
      want: { name: "a", by: "single" },
    },
  ];
  for (const { name, configs, label, defaultName, fallback, want } of rows) {
    test(name, () => {
      const outcome = pickDevicePluginConfig({ configs, label, defaultName, fallback });
      const [first] = outcome.findings;
      assert.deepEqual(outcome.ok ? outcome.value : `${first?.message}; ${first?.remedy}`, want);
    });
  }
});
