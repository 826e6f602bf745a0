import assert from "node:assert/strict";
import { test } from "node:test";
import { type Adopted, adoptConfigMaps } from "../../src/cli/up/adopt.ts";
import { readClusterPolicy } from "../../src/config/index.ts";
import { declaredOf, linesOf } from "./support/manifests.ts";

function configMap(name: string, data: Readonly<Record<string, string>>): string {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
  return JSON.stringify(object);
}

function policy(name: string, spec: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata: { name }, spec });
}

function pod(resource: string): string {
  const containers = [{ name: "main", resources: { limits: { [resource]: 1 } } }];
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers } });
}

const migParted = "version: v1\nmig-configs:\n  all-enabled:\n  - devices: all\n    mig-enabled: true\n";
const sharing = "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - {name: nvidia.com/gpu, replicas: 4}\n";
const mig = configMap("mig", { "config.yaml": migParted });
const plugin = configMap("plugin", { any: sharing });

/** Adopts what these documents, each on a line of its own between separators, declare. */
function adopted(...documents: readonly string[]): Adopted {
  return adoptConfigMaps(declaredOf(documents.join("\n---\n")));
}

function specOf({ policy: changed }: Adopted): unknown {
  return changed !== undefined && "spec" in changed ? changed.spec : undefined;
}

test("a policy that names no ConfigMaps gets those that are there, and keeps what it says", () => {
  const result = adopted(policy("gpu-policy", { mig: { strategy: "mixed" }, migManager: { env: [] } }), mig, plugin);
  assert.deepEqual(specOf(result), {
    mig: { strategy: "mixed" },
    migManager: { env: [], config: { name: "mig" } },
    devicePlugin: { config: { name: "plugin", default: "any" } },
  });
  assert.deepEqual(result.declared.policies, [result.policy]);
  assert.deepEqual(linesOf(result.findings), [
    `my.yaml:3:1: info config-map-adopted: ClusterPolicy gpu-policy names none, so it uses ConfigMap mig as spec.migManager.config; on a real cluster: kubectl patch clusterpolicy gpu-policy --type merge -p '{"spec":{"migManager":{"config":{"name":"mig"}}}}'`,
    `my.yaml:5:1: info config-map-adopted: ClusterPolicy gpu-policy names none, so it uses ConfigMap plugin as spec.devicePlugin.config with the default any; on a real cluster: kubectl patch clusterpolicy gpu-policy --type merge -p '{"spec":{"devicePlugin":{"config":{"name":"plugin","default":"any"}}}}'`,
  ]);
});

test("a field beside the name stays, as it does with kubectl patch --type merge", () => {
  const result = adopted(policy("a", { migManager: { config: { default: "all-disabled" } } }), mig);
  assert.deepEqual(specOf(result), { migManager: { config: { default: "all-disabled", name: "mig" } } });
});

test("of several policies the one that counts comes first, for whoever chooses configs by it", () => {
  const named = { migManager: { config: { name: "m" } }, devicePlugin: { config: { name: "p" } } };
  const { declared } = adopted(policy("b", named), policy("a", named), mig, plugin);
  assert.deepEqual(
    declared.policies.map((one) => one.metadata.name),
    ["a", "b"],
  );
});

const unchanged = [
  {
    name: "a policy that names its ConfigMaps is not changed, even if others are there",
    documents: [
      policy("a", { migManager: { config: { name: "mine" } }, devicePlugin: { config: { name: "mine" } } }),
      mig,
      plugin,
    ],
  },
  {
    name: "a policy that turns MIG manager and device plugin off is not changed",
    documents: [policy("a", { migManager: { enabled: false }, devicePlugin: { enabled: false } }), mig, plugin],
  },
  {
    name: "a policy that cannot be read is not changed",
    documents: [policy("a", { mig: { strategy: "both" } }), mig, plugin],
  },
  {
    name: "ConfigMaps that hold something else are not taken for configs",
    documents: [configMap("a", { "app.properties": "x=1" })],
  },
  { name: "without ConfigMaps nothing is made up", documents: [pod("nvidia.com/gpu")] },
];
for (const { name, documents } of unchanged) {
  test(name, () => {
    const declared = declaredOf(documents.join("\n---\n"));
    assert.deepEqual(adoptConfigMaps(declared), { declared, policy: undefined, findings: [] });
  });
}

test("of several policies the one that counts on the cluster is completed", () => {
  const result = adopted(policy("b", {}), policy("a", {}), mig);
  assert.equal(result.policy?.metadata.name, "a");
  assert.deepEqual(
    result.declared.policies.map((one) => one.metadata.name),
    ["a", "b"],
  );
});

const strategies = [
  {
    name: "pods that ask for profiles by name need the mixed strategy",
    wants: "nvidia.com/mig-1g.10gb",
    want: "mixed",
  },
  { name: "pods that ask for GPUs need one name for all slices", wants: "nvidia.com/gpu", want: "single" },
];
for (const { name, wants, want } of strategies) {
  test(`without a policy one is made that a cluster takes: ${name}`, () => {
    const { policy: made, findings } = adopted(mig, pod(wants));
    assert.ok(made !== undefined);
    const read = readClusterPolicy({ ...made }, () => ({ file: "", line: 1, column: 1 }));
    assert.ok(read.ok);
    assert.deepEqual(read.findings, []);
    assert.deepEqual([read.value.migStrategy, read.value.migManager.configName], [want, "mig"]);
    assert.match(findings[0]?.message ?? "", /^there is no ClusterPolicy, so one is made that names ConfigMap mig /);
  });
}

test("of several device-plugin configs none is forced on nodes; labels say which", () => {
  const result = adopted(policy("a", {}), configMap("plugin", { fast: sharing, slow: sharing }));
  assert.deepEqual(specOf(result), { devicePlugin: { config: { name: "plugin" } } });
  assert.match(
    result.findings[0]?.message ?? "",
    /as spec\.devicePlugin\.config; label nodes with nvidia\.com\/device-plugin\.config=fast or slow$/,
  );
});

test("MIG configs under a key that nobody reads are pointed out, and nothing is adopted", () => {
  const result = adopted(`kind: ConfigMap
apiVersion: v1
metadata: {name: mig}
data:
  mig.yaml: |
    version: v1
    mig-configs: {}`);
  assert.equal(result.policy, undefined);
  assert.deepEqual(linesOf(result.findings), [
    "my.yaml:5:3: warning config-key-unread: ConfigMap mig has MIG configs under mig.yaml; the MIG manager reads the key config.yaml only; rename the key to config.yaml",
  ]);
});

test("a pod without a readable spec does not stand in the way; the API server refuses it later", () => {
  const broken = ["{}", '{"containers": 3}', '{"containers": ["a"]}', "null"].map(
    (spec, at) => `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p${at}"}, "spec": ${spec}}`,
  );
  const declared = declaredOf([mig, ...broken].join("\n---\n"));
  assert.deepEqual([declared.pods, declared.manifests.length], [[], 5]);
  assert.equal(adoptConfigMaps(declared).findings.length, 1);
});
