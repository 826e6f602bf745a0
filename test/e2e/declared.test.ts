/** What a user has of a real cluster and nothing more: configs, a policy, pods. `up` makes a cluster of it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Report } from "../../src/insight/index.ts";
import { phases, runTranche, runUp } from "../support/run-up.ts";
import { writtenFiles } from "../support/temporary.ts";

const policy = `\
apiVersion: nvidia.com/v1
kind: ClusterPolicy
metadata:
  name: cluster-policy
spec:
  operator: {}
  daemonsets: {}
  driver: {}
  toolkit: {}
  devicePlugin: {}
  dcgm: {}
  dcgmExporter: {}
  nodeStatusExporter: {}
  gfd: {}
  mig:
    strategy: mixed
`;

const migConfigs = `\
version: v1
mig-configs:
  all-3g.40gb:
  - devices: all
    mig-enabled: true
    mig-devices:
      "3g.40gb": 2
  all-1g.10gb:
  - devices: all
    mig-enabled: true
    mig-devices:
      "1g.10gb": 7
`;

const sharing = `\
version: v1
sharing:
  timeSlicing:
    resources:
    - name: nvidia.com/gpu
      replicas: 4
`;

const configMaps = [
  { name: "mig-parted-config", key: "config.yaml", text: migConfigs },
  { name: "time-slicing-config", key: "any", text: sharing },
].map(
  ({ name, key, text }) => `\
apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
data:
  ${key}: |
${text.replaceAll(/^/gm, "    ").trimEnd()}
`,
);

const pods = ["1g.10gb", "3g.40gb"].map(
  (profile) => `\
apiVersion: v1
kind: Pod
metadata:
  name: wants-${profile}
spec:
  containers:
  - name: main
    image: nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04
    resources:
      limits:
        nvidia.com/mig-${profile}: 1
`,
);

const ways = [
  {
    name: "a ClusterPolicy that names no config",
    files: { "all.yaml": [policy, ...configMaps, ...pods].join("---\n") },
  },
  { name: "no ClusterPolicy", files: { "all.yaml": [...configMaps, ...pods].join("---\n") } },
  {
    name: "the configs as bare files",
    files: { "mig.yaml": migConfigs, "plugin.yaml": sharing, "pods.yaml": pods.join("---\n") },
  },
];

for (const { name, files } of ways) {
  test(`pods get slices of their profile and whole GPUs are shared by four: ${name}`, async (t: TestContext) => {
    const paths = await writtenFiles(t, files);
    const { code, report, run } = await runUp(paths.flatMap((path) => ["-f", path]));
    assert.equal(code, 0, run.progress);
    assert.deepEqual(phases(report), { "wants-1g.10gb": "Running", "wants-3g.40gb": "Running" });
    for (const profile of ["1g.10gb", "3g.40gb"]) {
      assert.deepEqual(profilesHeld(report, `wants-${profile}`), [profile]);
    }
    const whole = report.nodes.filter((node) => node.gpus.every((gpu) => !gpu.mig.enabled));
    assert.deepEqual(
      whole.map((node) => node.name),
      ["node-t4"],
    );
    for (const node of whole) assert.equal(node.allocatable["nvidia.com/gpu"], "4");
    const choices = report.findings.filter(
      (one) => one.code === "mig-config-chosen" || one.code === "config-map-adopted",
    );
    assert.equal(choices.length, 4, JSON.stringify(report.findings, undefined, 2));
    for (const one of choices) assert.match(one.remedy, /kubectl (label|patch)/);
  });
}

test("a label that is there is obeyed, and nothing is chosen", async (t) => {
  const paths = await writtenFiles(t, { "all.yaml": [policy, ...configMaps, ...pods].join("---\n") });
  const node = "node-a=A100-80GB:2,nvidia.com/mig.config=all-3g.40gb";
  const { report } = await runUp([...paths.flatMap((path) => ["-f", path]), "--node", node]);
  assert.deepEqual(phases(report), { "wants-1g.10gb": "Pending", "wants-3g.40gb": "Running" });
  assert.ok(!report.findings.some((one) => one.code === "mig-config-chosen"));
  assert.ok(report.findings.some((one) => one.code === "resource-not-offered"));
});

test("a namespace is made for what lives in it, and for nothing else", async (t) => {
  const kinds = ["v1 ConfigMap made", "v1 PersistentVolume unneeded", "example.com/v1 Unknown left-out"];
  const manifests = kinds.map((one) => {
    const [apiVersion, kind, namespace] = one.split(" ");
    return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a, namespace: ${namespace}}\n`;
  });
  const [file = ""] = await writtenFiles(t, { "all.yaml": manifests.join("---\n") });
  const run = await runTranche(["up", "-f", file, "--node", "a=T4", "--once"]);
  assert.deepEqual(run.progress.match(/namespace \S+ is not declared/g), ["namespace made is not declared"]);
});

/** Profiles of the instances whose UUIDs the pod holds. */
function profilesHeld(report: Report, name: string): readonly string[] {
  const pod = report.pods.find((one) => one.name === name);
  const ids = new Set(pod?.containers.flatMap((one) => one.devices.map((device) => device.id)));
  const instances = report.nodes.flatMap((node) => node.gpus.flatMap((gpu) => gpu.instances));
  return instances.filter((one) => one.uuid !== null && ids.has(one.uuid)).map((one) => one.profile);
}
