import assert from "node:assert/strict";
import { test } from "node:test";
import { type DesiredState, desiredState, type InputValues } from "../../src/agent/index.ts";
import { noLocalInputs } from "../../src/agent/local-inputs.ts";
import { findingLine } from "../../src/base/index.ts";
import type { ConfigMap, KubeObject, Node } from "../../src/kube/index.ts";
import { gpu } from "../sharing/fixtures.ts";

const migText = `version: v1
mig-configs:
  small:
  - devices: all
    mig-enabled: true
    mig-devices: {"1g.10gb": 7}
  unknown:
  - devices: all
    mig-enabled: true
    mig-devices: {"1g.11gb": 1}
`;
const shared = (replicas: number): string => `version: v1
sharing:
  timeSlicing:
    resources: [{name: nvidia.com/gpu, replicas: ${replicas}}]
`;

function configMap(name: string, data: Record<string, string>, namespace = "gpu-operator"): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data };
}

function policy(spec: Readonly<Record<string, unknown>>, name = "cluster-policy", age = "2025-01-01"): KubeObject {
  const required = { operator: {}, daemonsets: {}, driver: {}, toolkit: {}, dcgm: {}, dcgmExporter: {}, gfd: {} };
  const metadata = { name, creationTimestamp: `${age}T00:00:00Z` };
  const whole = { ...required, nodeStatusExporter: {}, devicePlugin: {}, ...spec };
  return Object.assign({ apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata }, { spec: whole });
}

interface Parts {
  readonly labels?: Record<string, string>;
  readonly policies?: readonly KubeObject[];
  readonly configMaps?: readonly ConfigMap[];
}

const migMap = configMap("mig", { "config.yaml": migText });
const pluginMap = configMap("plugin", { four: shared(4), two: shared(2), broken: "version: v1\nsharing: 3\n" });
const names = { migManager: { config: { name: "mig" } }, devicePlugin: { config: { name: "plugin" } } };

function inputs({ labels = {}, policies = [policy(names)], configMaps = [migMap, pluginMap] }: Parts): InputValues {
  const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-a", labels } };
  return { node, policies, configMaps };
}

function desired(parts: Parts, lastGood?: DesiredState): DesiredState {
  return desiredState(inputs(parts), [gpu(0), gpu(1, undefined, "t4-16gb")], lastGood);
}

/** `GPU index: counts` of each wanted GPU. */
function wantedText({ wanted }: DesiredState): string {
  return wanted
    .map((one) => `${one.gpuIndex}: ${[...one.counts].map(([name, count]) => `${count}x${name}`)}`)
    .join("; ");
}

const lines = ({ findings }: DesiredState): string => findings.map(findingLine).join("\n");
const migLabel = "nvidia.com/mig.config";
const pluginLabel = "nvidia.com/device-plugin.config";

const migRows: readonly {
  name: string;
  parts: Parts;
  want: readonly [config: string | undefined, refused: boolean, wanted: string];
  told?: RegExp;
}[] = [
  { name: "without a label MIG is left as it is", parts: {}, want: [undefined, false, ""] },
  { name: "an empty label is none", parts: { labels: { [migLabel]: "" } }, want: [undefined, false, ""] },
  {
    name: "the label picks the config, which reaches the GPUs that can do MIG",
    parts: { labels: { [migLabel]: "small" } },
    want: ["small", false, "0: 7x1g.10gb"],
  },
  {
    name: "a label that names no config changes nothing",
    parts: { labels: { [migLabel]: "smal" } },
    want: ["smal", true, ""],
    told: /mig-config-missing: .*smal.*small/,
  },
  {
    name: "a config that a GPU cannot follow leaves that GPU as it is",
    parts: { labels: { [migLabel]: "unknown" } },
    want: ["unknown", true, ""],
    told: /^configmap\/gpu-operator\/mig\/config\.yaml:10:\d+: error mig-profile-unknown: /,
  },
  {
    name: "a policy that turns the MIG manager off leaves MIG as it is, whatever the label says",
    parts: {
      labels: { [migLabel]: "small" },
      policies: [policy({ ...names, migManager: { ...names.migManager, enabled: false } })],
    },
    want: [undefined, false, ""],
  },
  {
    name: "a ConfigMap that is not there changes nothing",
    parts: { labels: { [migLabel]: "small" }, configMaps: [pluginMap] },
    want: ["small", true, ""],
    told: /error config-map-missing: the ClusterPolicy names ConfigMap mig, but there is no such ConfigMap; create it/,
  },
  {
    name: "a ConfigMap without the key that is read changes nothing",
    parts: { labels: { [migLabel]: "small" }, configMaps: [configMap("mig", { "mig.yaml": migText }), pluginMap] },
    want: ["small", true, ""],
    told: /error config-map-missing: the ClusterPolicy names ConfigMap mig, but it has no key config\.yaml/,
  },
  {
    name: "a file that cannot be read changes nothing",
    parts: {
      labels: { [migLabel]: "small" },
      configMaps: [configMap("mig", { "config.yaml": "version: v1\nmig-configs: [" }), pluginMap],
    },
    want: ["small", true, ""],
    told: /^configmap\/gpu-operator\/mig\/config\.yaml:\d+:\d+: error yaml-syntax: /,
  },
  {
    name: "without a ConfigMap the configs are those made from the GPUs",
    parts: { labels: { [migLabel]: "all-balanced" }, policies: [], configMaps: [] },
    want: ["all-balanced", false, "0: 2x1g.10gb,1x2g.20gb,1x3g.40gb"],
  },
  {
    name: "of ConfigMaps of one name that of the operator's namespace counts",
    parts: {
      labels: { [migLabel]: "small" },
      configMaps: [configMap("mig", { "config.yaml": "version: v1\nmig-configs: {}\n" }, "default"), migMap, pluginMap],
    },
    want: ["small", false, "0: 7x1g.10gb"],
  },
];
for (const { name, parts, want, told } of migRows) {
  test(name, () => {
    const state = desired(parts);
    assert.deepEqual([state.migConfigName, state.refused, wantedText(state)], want);
    if (told === undefined) assert.equal(lines(state), "");
    else assert.match(lines(state), told);
  });
}

/** Replicas of the only shared resource; 1 when nothing is shared. */
function replicas({ pluginConfig }: DesiredState): number {
  return pluginConfig.sharing.resources[0]?.replicas ?? 1;
}

const withDefault = policy({ ...names, devicePlugin: { config: { name: "plugin", default: "two" } } });
const pluginRows: readonly {
  name: string;
  parts: Parts;
  want: readonly [config: string | undefined, replicas: number];
  told?: RegExp;
}[] = [
  { name: "without label and default nothing is shared", parts: {}, want: [undefined, 1] },
  { name: "the policy's default is used", parts: { policies: [withDefault] }, want: ["two", 2] },
  {
    name: "the label counts before the policy's default",
    parts: { policies: [withDefault], labels: { [pluginLabel]: "four" } },
    want: ["four", 4],
  },
  {
    name: "a label that names no config is told, with the closest one",
    parts: { labels: { [pluginLabel]: "fuor" } },
    want: [undefined, 1],
    told: /plugin-config-missing: .*fuor.*four/,
  },
  {
    name: "a policy that names no ConfigMap leaves the label without effect",
    parts: { policies: [policy({})], labels: { [pluginLabel]: "four" } },
    want: [undefined, 1],
  },
  {
    name: "a ConfigMap that is not there is told",
    parts: { configMaps: [migMap] },
    want: [undefined, 1],
    told: /error config-map-missing: the ClusterPolicy names ConfigMap plugin, but there is no such ConfigMap/,
  },
];
for (const { name, parts, want, told } of pluginRows) {
  test(name, () => {
    const state = desired(parts);
    assert.deepEqual([state.pluginConfigName, replicas(state)], want);
    if (told === undefined) assert.equal(lines(state), "");
    else assert.match(lines(state), told);
  });
}

const good = desired({ labels: { [pluginLabel]: "four" } });
const stays: readonly { name: string; parts: Parts; code: string }[] = [
  { name: "a config that cannot be read", parts: { labels: { [pluginLabel]: "broken" } }, code: "bad-value" },
  { name: "a label without config", parts: { labels: { [pluginLabel]: "x" } }, code: "plugin-config-missing" },
  { name: "a ConfigMap that is gone", parts: { configMaps: [migMap] }, code: "config-map-missing" },
];
for (const { name, parts, code } of stays) {
  test(`${name} leaves the last good config in force, and is told`, () => {
    const state = desired(parts, good);
    assert.equal(replicas(state), 4);
    assert.ok(
      state.findings.some((one) => one.code === code && one.severity === "error"),
      lines(state),
    );
  });
}

test("a config that is taken back is no longer in force, however good it was", () => {
  assert.equal(replicas(desired({}, good)), 1);
  assert.equal(replicas(desired({ policies: [] }, good)), 1);
});

const fileStrategy = configMap("plugin", { c: "version: v1\nflags: {migStrategy: single}\n" });
const pluginC = { config: { name: "plugin", default: "c" } };
const strategies: readonly { name: string; spec: Readonly<Record<string, unknown>>; want: string }[] = [
  {
    name: "the file decides on the MIG strategy where the policy says nothing",
    spec: { devicePlugin: pluginC },
    want: "single",
  },
  {
    name: "the policy decides before the file",
    spec: { mig: { strategy: "mixed" }, devicePlugin: pluginC },
    want: "mixed",
  },
  {
    name: "the environment in the policy decides before the policy's own field",
    spec: { mig: { strategy: "mixed" }, devicePlugin: { ...pluginC, env: [{ name: "MIG_STRATEGY", value: "none" }] } },
    want: "none",
  },
  { name: "nobody decides: slices are not offered as such", spec: {}, want: "none" },
];
for (const { name, spec, want } of strategies) {
  test(name, () => {
    const state = desired({ policies: [policy(spec)], configMaps: [fileStrategy] });
    assert.equal(state.settings.migStrategy, want);
  });
}

test("the policy's directory for MPS is the one containers get", () => {
  const mps = { devicePlugin: { mps: { root: "/srv/mps" } } };
  assert.equal(desired({ policies: [policy(mps)] }).settings.mpsRoot, "/srv/mps");
});

const ofPolicy = policy({
  mig: { strategy: "mixed" },
  devicePlugin: {
    mps: { root: "/srv/mps" },
    env: [
      { name: "NVIDIA_CDI_HOOK_PATH", value: "/policy/hook" },
      { name: "IMEX_CHANNEL_IDS", value: "0" },
    ],
  },
});
const ofNode: readonly {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly want: Partial<DesiredState["settings"] & DesiredState["imex"]>;
  readonly codes?: readonly string[];
}[] = [
  {
    name: "an agent that is told nothing itself does as the policy says",
    settings: {},
    want: { migStrategy: "mixed", mpsRoot: "/srv/mps", nvidiaCtkPath: "/policy/hook", channelIds: [0] },
  },
  {
    name: "what its own environment says comes first",
    settings: { MIG_STRATEGY: "none" },
    want: { migStrategy: "none" },
  },
  {
    name: "by whatever name of the setting",
    settings: { NVIDIA_CTK_PATH: "/own/hook" },
    want: { nvidiaCtkPath: "/own/hook", mpsRoot: "/srv/mps" },
  },
  {
    name: "where its own cannot be used, the policy counts and not the default",
    settings: { MIG_STRATEGY: "", IMEX_CHANNEL_IDS: "7" },
    want: { migStrategy: "mixed", channelIds: [0] },
    codes: ["bad-environment", "bad-environment"],
  },
];
for (const { name, settings, want, codes = [] } of ofNode) {
  test(name, () => {
    const local = { ...noLocalInputs, settings: new Map(Object.entries(settings)) };
    const state = desiredState({ ...inputs({ policies: [ofPolicy] }), local }, [], undefined);
    assert.partialDeepStrictEqual({ ...state.settings, ...state.imex }, want);
    assert.deepEqual(
      state.findings.map(({ code }) => code),
      codes,
    );
  });
}

const young = policy({ mig: { strategy: "single" } }, "a-young", "2025-06-01");
const old = policy({ mig: { strategy: "mixed" } }, "z-old", "2025-01-01");
const policies = [
  { name: "the oldest policy counts, whatever its name", policies: [young, old], want: "mixed", ignored: "a-young" },
  {
    name: "of policies of one age the first name counts",
    policies: [policy({ mig: { strategy: "single" } }, "z-other"), policy({ mig: { strategy: "mixed" } }, "b")],
    want: "mixed",
    ignored: "z-other",
  },
];
for (const { name, policies: two, want, ignored } of policies) {
  test(name, () => {
    for (const order of [two, two.toReversed()]) {
      const state = desired({ policies: order });
      assert.equal(state.settings.migStrategy, want);
      assert.deepEqual(
        state.findings.map((one) => [one.code, one.subject.name, one.remedy]),
        [["cluster-policy-ignored", ignored, `delete it: kubectl delete clusterpolicy ${ignored}`]],
      );
    }
  });
}

test("a policy that cannot be read is told and has no effect", () => {
  const state = desired({
    policies: [policy({ ...names, mig: { strategy: "both" } })],
    labels: { [migLabel]: "small" },
  });
  assert.match(lines(state), /^clusterpolicy\/cluster-policy:1:1: error bad-value: .*both/);
  assert.equal(replicas(state), 1);
});

test("a policy that cannot be read is the only thing told, and nothing is cut by a config that it did not mean", () => {
  // The label names a config that GPUs have of themselves, when a policy names no ConfigMap.
  const state = desired({ policies: [policy({ mig: { strategy: "both" } })], labels: { [migLabel]: "all-1g.10gb" } });
  assert.deepEqual(
    state.findings.map((one) => one.code),
    ["bad-value"],
  );
  assert.deepEqual([state.refused, state.wanted.length], [true, 0]);
});

test("a policy that an edit made unreadable stays in force as it was", () => {
  const labels = { [migLabel]: "small" };
  const good = desired({ policies: [policy({ ...names, mig: { strategy: "mixed" } })], labels });
  const edited = desired({ policies: [policy({ ...names, mig: { strategy: "both" } })], labels }, good);
  assert.equal(edited.settings.migStrategy, "mixed");
  assert.deepEqual(edited.wanted, good.wanted);
  assert.ok(edited.findings.some((one) => one.code === "bad-value"));
});
