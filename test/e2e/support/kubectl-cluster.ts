/** The cluster that `kubectl` is tried on: sliced, shared and whole GPUs, with pods on them. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finding, findingLine, silentLogger, systemClock } from "../../../src/base/index.ts";
import { applyManifests } from "../../../src/cli/up/apply.ts";
import { type Cluster, startCluster } from "../../../src/cli/up/cluster.ts";
import { sortManifests } from "../../../src/cli/up/declared.ts";
import { settle } from "../../../src/cli/up/settle.ts";
import { openStateDir } from "../../../src/cli/up/state-dir.ts";
import { isWorkload } from "../../../src/cli/up/workloads.ts";
import { readManifests } from "../../../src/config/index.ts";
import { Kubectl, kubectlPath } from "../../support/kubectl.ts";
import { until } from "../../support/until.ts";

/** A running cluster with a kubectl that talks to it. */
export interface KubectlCluster {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  /** Free to write to; removed at the end. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Nodes that only pods with a toleration land on, so that emptying and tainting them hurts nobody else. */
const reservedNodes = ["node-l4", "node-l40s"].map(
  (name) => `\
---
apiVersion: v1
kind: Node
metadata:
  name: ${name}
  annotations:
    tranche.dev/simulated-gpus: L4
spec:
  taints:
  - key: reserved
    effect: NoSchedule
`,
);

/** Starts the cluster of the quick start and two reserved nodes, and lets it come to rest. */
export async function startKubectlCluster(): Promise<KubectlCluster> {
  const path = await kubectlPath();
  const directory = await mkdtemp(join(tmpdir(), "e2e-"));
  const quickStart = await readFile(new URL("../../../examples/quick-start.yaml", import.meta.url), "utf8");
  const read = readManifests([{ file: "quick-start.yaml", text: [quickStart, ...reservedNodes].join("") }]);
  assert.ok(read.ok, JSON.stringify(read.findings));
  const sorted = sortManifests(read.value, []);
  assert.ok(sorted.ok, JSON.stringify(sorted.findings));
  const { nodes, manifests } = sorted.value;
  const opened = await openStateDir(join(directory, "s"));
  assert.ok(opened.ok, JSON.stringify(opened.findings));
  const tell = (one: Finding): void => assert.fail(findingLine(one));
  const common = { port: undefined, clock: systemClock, log: silentLogger };
  const started = await startCluster({ nodes, stateDir: opened.value, tell, ...common });
  assert.ok(started.ok, JSON.stringify(started.findings));
  const cluster = started.value;
  const stop = async (): Promise<void> => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const { client } = cluster;
    await applyManifests(
      client,
      manifests.filter((one) => !isWorkload(one)),
    );
    cluster.startWork();
    await until("every agent's first turn", () => cluster.nodes.every((node) => node.agent.idle()));
    await applyManifests(client, manifests.filter(isWorkload));
    const { signal } = new AbortController();
    const state = await settle(cluster, { clock: systemClock, timeoutMs: 20_000, signal });
    assert.ok(state.settled, "the cluster does not come to rest");
    const home = join(directory, "home");
    await mkdir(home);
    return { cluster, kubectl: new Kubectl(path, cluster.kubeconfigPath, home), directory, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
