import assert from "node:assert/strict";
import { test } from "node:test";
import { preflight } from "../../src/cli/up/preflight.ts";
import { type Gpu, SimulatedDriver } from "../../src/gpu/index.ts";
import { declaredOf, linesOf } from "./support/manifests.ts";

const manifests = `\
apiVersion: nvidia.com/v1
kind: ClusterPolicy
metadata:
  name: cluster-policy
spec:
  operator: {}
  daemonsets: {}
  driver: {}
  toolkit: {}
  dcgm: {}
  dcgmExporter: {}
  nodeStatusExporter: {}
  gfd: {}
  mig:
    strategy: mixed
  migManager:
    config:
      name: mig
  devicePlugin:
    config:
      name: plugin
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: mig
data:
  config.yaml: |
    version: v1
    mig-configs:
      good:
      - devices: all
        mig-enabled: true
        mig-devices:
          "1g.10gb": 7
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: plugin
data:
  shared: |
    version: v1
    sharing:
      timeSlicing:
        resources:
        - name: nvidia.com/gpu
          replicas: 4
`;

/** What stands in the way of the manifests, with `from` replaced by `to`, on these nodes. */
async function findingsOf(change: { from: string; to: string } | undefined, nodes: readonly string[]) {
  const text = change === undefined ? manifests : manifests.replace(change.from, change.to);
  assert.ok(change === undefined || text !== manifests, `${change?.from} is not in the manifests`);
  const declared = declaredOf(text, nodes);
  const gpusOf = new Map<string, readonly Gpu[]>();
  for (const { name, gpus: models } of declared.nodes) {
    gpusOf.set(name, await new SimulatedDriver({ models, seed: name }).list());
  }
  return preflight(declared, gpusOf);
}

const good = "a=A100-80GB,nvidia.com/mig.config=good,nvidia.com/device-plugin.config=shared";
const rows: readonly {
  name: string;
  change?: { from: string; to: string };
  nodes?: readonly string[];
  want: readonly RegExp[];
}[] = [
  { name: "nothing is wrong with manifests that every node can follow", want: [] },
  {
    name: "a profile that the GPU does not have is placed at its name, with those it has",
    change: { from: '"1g.10gb": 7', to: '"1g.11gb": 7' },
    want: [/^my\.yaml:35:11: error mig-profile-unknown: .*1g\.11gb.*1g\.10gb/],
  },
  {
    name: "more instances than fit are placed at their count",
    change: { from: '"1g.10gb": 7', to: '"3g.40gb": 3' },
    want: [/^my\.yaml:35:11: error mig-too-many-instances: .*3g\.40gb/],
  },
  {
    name: "a mix that no placement holds is refused although each profile fits alone",
    change: { from: '"1g.10gb": 7', to: '{"4g.40gb": 1, "2g.20gb": 2}' },
    want: [/^my\.yaml:\d+:\d+: error mig-too-many-instances: /],
  },
  {
    name: "a label that names a config the file does not have is told with the closest one",
    nodes: ["a=A100-80GB,nvidia.com/mig.config=goood"],
    want: [/error mig-config-missing: .*goood.*good/],
  },
  {
    name: "a label that names a device-plugin config the ConfigMap does not have is told with the closest one",
    nodes: ["a=A100-80GB,nvidia.com/device-plugin.config=shraed"],
    want: [/plugin-config-missing: .*shraed.*shared/],
  },
  {
    name: "a ConfigMap that is not declared is missing",
    change: { from: "      name: mig\n", to: "      name: gim\n" },
    want: [/^gim: error config-map-missing: the ClusterPolicy names ConfigMap gim, but there is no such ConfigMap/],
  },
  {
    name: "a mistake in a config is told though no node uses it",
    change: { from: "replicas: 4", to: "replicas: 0" },
    nodes: ["a=T4"],
    want: [/^my\.yaml:48:21: error bad-value: .*replicas/],
  },
  {
    name: "a mistake in a config that several nodes use is told once, at its place in the file",
    change: { from: "    sharing:\n", to: "    sahring: {}\n    sharing:\n" },
    nodes: [good, "b=T4,nvidia.com/device-plugin.config=shared", "c=T4,nvidia.com/device-plugin.config=shared"],
    want: [/^my\.yaml:44:5: warning ignored-key: key "sahring"/],
  },
  {
    name: "a mistake in the ClusterPolicy is told once, at its place in the file",
    change: { from: "  gfd: {}\n", to: "" },
    nodes: [good, "b=T4"],
    want: [/^my\.yaml:5:1: warning cluster-policy-incomplete: spec has no gfd/],
  },
];
for (const { name, change, nodes = [good], want } of rows) {
  test(name, async () => {
    const lines = linesOf(await findingsOf(change, nodes));
    assert.equal(lines.length, want.length, lines.join("\n"));
    for (const [at, pattern] of want.entries()) assert.match(lines[at] ?? "", pattern);
  });
}
