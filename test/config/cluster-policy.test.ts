import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Outcome } from "../../src/base/index.ts";
import {
  type ClusterPolicyConfig,
  devicePluginEnvironment,
  readClusterPolicy,
  readManifests,
} from "../../src/config/index.ts";
import { errors, marks, valueFrom } from "./support/outcomes.ts";

const required =
  "{daemonsets: {}, dcgm: {}, dcgmExporter: {}, driver: {}, gfd: {}, nodeStatusExporter: {}, operator: {}, toolkit: {}";

function read(text: string): Outcome<ClusterPolicyConfig> {
  const [manifest] = valueFrom(readManifests([{ file: "policy.yaml", text }]));
  assert.ok(manifest);
  return readClusterPolicy(manifest.object, (path) => manifest.placeOf(path));
}

/** A complete policy; `sections` follow after the required ones. */
function policy(sections: string): Outcome<ClusterPolicyConfig> {
  const head = "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: cluster-policy}\n";
  return read(`${head}spec: ${required}, ${sections}}\n`);
}

// NVIDIA gpu-operator api/nvidia/v1/clusterpolicy_types.go.
describe("ClusterPolicy", () => {
  test("what is left out has the operator's defaults", () => {
    const outcome = policy("devicePlugin: {}");
    assert.deepEqual(outcome.findings, []);
    assert.deepEqual(valueFrom(outcome), {
      name: "cluster-policy",
      migStrategy: undefined,
      migManager: { enabled: true, configName: undefined, configDefault: undefined },
      devicePlugin: {
        enabled: true,
        configName: undefined,
        configDefault: undefined,
        env: new Map(),
        mpsRoot: "/run/nvidia/mps",
      },
      gfd: { enabled: true, env: new Map() },
      cdiEnabled: true,
      place: { file: "policy.yaml", line: 1, column: 1 },
    });
  });

  test("everything set", () => {
    const value = valueFrom(
      policy(
        "mig: {strategy: mixed}, migManager: {enabled: false, image: x, config: {name: m}}, cdi: {enabled: off}, devicePlugin: {enabled: true, config: {name: p, default: any}, mps: {root: /mps}, env: [{name: A, value: b}, {name: MIG_STRATEGY, value: single}]}",
      ),
    );
    assert.equal(value.migStrategy, "mixed");
    assert.deepEqual(value.migManager, { enabled: false, configName: "m", configDefault: "all-disabled" });
    assert.deepEqual(value.devicePlugin, {
      enabled: true,
      configName: "p",
      configDefault: "any",
      env: new Map([
        ["A", "b"],
        ["MIG_STRATEGY", "single"],
      ]),
      mpsRoot: "/mps",
    });
    assert.equal(value.cdiEnabled, false);
  });

  test("empty names are none, and an explicit empty default labels no node", () => {
    const value = valueFrom(
      policy('migManager: {config: {name: "", default: ""}}, devicePlugin: {config: {name: ""}}'),
    );
    assert.deepEqual(value.migManager, { enabled: true, configName: undefined, configDefault: undefined });
    assert.equal(value.devicePlugin.configName, undefined);
  });

  test("missing sections are one warning, since people write short files by hand", () => {
    const text =
      "apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  mig: {strategy: single}\n";
    const outcome = read(text);
    assert.equal(valueFrom(outcome).migStrategy, "single");
    assert.deepEqual(marks(outcome.findings), ["4:1 cluster-policy-incomplete"]);
  });

  const refused: readonly (readonly [name: string, sections: string, want: string])[] = [
    [
      "unknown strategy",
      "mig: {strategy: both}",
      'Unsupported value: "both": supported values: "none", "single" or "mixed"',
    ],
    ["empty strategy", 'mig: {strategy: ""}', 'Unsupported value: "": supported values: "none", "single" or "mixed"'],
    [
      "another default config",
      "migManager: {config: {default: all-enabled}}",
      'Unsupported value: "all-enabled": supported values: "all-disabled" or ""',
    ],
    [
      "quoted boolean",
      'migManager: {enabled: "true"}',
      "cannot unmarshal string into 'spec.migManager.enabled' of type bool",
    ],
    [
      "number as name",
      "devicePlugin: {config: {name: 4}}",
      "cannot unmarshal number into 'spec.devicePlugin.config.name' of type string",
    ],
    [
      "env as a mapping",
      "devicePlugin: {env: {A: b}}",
      "cannot unmarshal object into 'spec.devicePlugin.env' of type array",
    ],
    [
      "boolean as variable",
      "devicePlugin: {env: [{name: A, value: true}]}",
      "cannot unmarshal bool into 'spec.devicePlugin.env[0].value' of type string",
    ],
    ["variable without name", "devicePlugin: {env: [{value: b}]}", "environment variable has no name"],
    ["section as text", "mig: mixed", "cannot unmarshal string into 'spec.mig' of type object"],
  ];
  for (const [name, sections, want] of refused) test(name, () => assert.deepEqual(errors(policy(sections)), [want]));

  test("what only NVIDIA's containers would do is told to have no effect", () => {
    const sections =
      'migManager: {env: [{name: WITH_REBOOT, value: "true"}, {name: A, value: "false"}], gpuClientsConfig: {name: x}}, devicePlugin: {args: [--x]}';
    const outcome = policy(sections);
    assert.ok(outcome.ok);
    assert.deepEqual(
      outcome.findings.map((one) => [one.code, one.message]),
      [
        ["setting-without-effect", "spec.devicePlugin.args has no effect: Tranche runs no such container"],
        [
          "setting-without-effect",
          "spec.migManager.env[0] has no effect: the MIG manager that reads WITH_REBOOT does not run",
        ],
        [
          "setting-without-effect",
          "spec.migManager.gpuClientsConfig has no effect: no host service is stopped; what one holds is not cut",
        ],
      ],
    );
    const off = "migManager: {enabled: false, env: [{name: A, value: b}], args: [c]}, devicePlugin: {args: []}";
    assert.deepEqual(policy(off).findings, []);
  });

  test("unknown keys have no effect and are reported with the closest known", () => {
    const outcome = policy("migmanager: {}, mig: {stategy: mixed}, devicePlugin: {}");
    assert.deepEqual(
      outcome.findings.map((one) => [one.code, one.remedy]),
      [
        ["ignored-key", 'write "migManager": upper and lower case count here'],
        ["ignored-key", "did you mean strategy?"],
      ],
    );
  });
});

describe("the environment the operator gives the plugin", () => {
  test("without CDI and strategy", () => {
    assert.deepEqual(devicePluginEnvironment(valueFrom(policy("cdi: {enabled: false}, devicePlugin: {}"))), {
      defaults: new Map([
        ["PASS_DEVICE_SPECS", "true"],
        ["FAIL_ON_INIT_ERROR", "true"],
        ["DEVICE_LIST_STRATEGY", "envvar"],
        ["DEVICE_ID_STRATEGY", "uuid"],
        ["CDI_ANNOTATION_PREFIX", "cdi.k8s.io/"],
      ]),
      settings: new Map([["MPS_ROOT", "/run/nvidia/mps"]]),
    });
  });

  test("the policy's own env comes last", () => {
    const { defaults, settings } = devicePluginEnvironment(
      valueFrom(policy("mig: {strategy: mixed}, devicePlugin: {env: [{name: MIG_STRATEGY, value: none}, {name: X}]}")),
    );
    assert.equal(settings.get("MIG_STRATEGY"), "none");
    assert.equal(defaults.get("DEVICE_LIST_STRATEGY"), "cdi-annotations,cdi-cri");
    assert.equal(settings.get("X"), "");
  });
});
