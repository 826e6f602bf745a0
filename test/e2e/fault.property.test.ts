/**
 * A running cluster under random faults and random pods: when all faults are over, it comes to the state that it would
 * have without them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { findingLine, silentLogger } from "../../src/base/index.ts";
import type { Fault } from "../../src/cli/up/control-protocol.ts";
import { Faults } from "../../src/cli/up/faults.ts";
import { KubeError, type KubeObject, type Pod, resources } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const clock = fastClock(20);
const nodes = ["node-a", "node-h", "node-t4"] as const;
const SLICE = "nvidia.com/mig-1g.10gb";
const SHARE = "nvidia.com/gpu";

/** What a node offers when nothing is wrong. */
const offered = [
  { node: "node-a", resource: SLICE, count: 4 },
  { node: "node-h", resource: SLICE, count: 2 },
  { node: "node-t4", resource: SHARE, count: 4 },
] as const;

/** Together with the single pods these are never more than there is room for. */
const workloads = [
  { name: "slices", replicas: 3, resource: SLICE },
  { name: "shares", replicas: 2, resource: SHARE },
] as const;
const SINGLE_PODS = 2;
/** On a busy machine, and with clients that wait longer after each outage. */
const DEADLINE_MS = 30_000;

const fleet: readonly KubeObject[] = [
  nodeManifest("node-a", "A100-80GB:2", { "nvidia.com/mig.config": "small" }),
  nodeManifest("node-h", "H100-80GB", { "nvidia.com/mig.config": "small" }),
  nodeManifest("node-t4", "T4", { "nvidia.com/device-plugin.config": "four" }),
  clusterPolicy({ mig: "mig", plugin: "plugin" }),
  configMap("mig", { "config.yaml": migParted({ small: { "1g.10gb": 2 } }) }),
  configMap("plugin", { four: timeSliced(4) }),
  ...workloads.map(replicaSet),
];

type Action =
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "pod"; readonly resource: string | undefined }
  | { readonly kind: "sleep"; readonly ms: number };

const node = fc.constantFrom(...nodes);
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({
    kind: fc.constant("gpu" as const),
    node,
    index: fc.nat(1),
    xid: fc.constantFrom(31, 48, 79, 94, 119),
  }),
  fc.record({ kind: fc.constant("driver" as const), node, forMs: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ kind: fc.constant("driver" as const), node }),
  fc.record({ kind: fc.constant("driver-end" as const), node }),
  fc.record({ kind: fc.constant("kubelet-restart" as const), node }),
  fc.record({ kind: fc.constant("node-reboot" as const), node }),
  fc.record({ kind: fc.constant("api-outage" as const), forMs: fc.integer({ min: 1, max: 60_000 }) }),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("fault" as const), fault }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("pod" as const), resource: fc.constantFrom(SLICE, SHARE, undefined) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sleep" as const), ms: fc.integer({ min: 1, max: 5_000 }) }) },
);

test("whatever goes wrong, afterwards every node offers what it did and every workload has its pods", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 12 }), async (actions) => {
      await withCluster(t, { objects: fleet, clock }, (cluster) => play(cluster, actions));
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

async function play(cluster: TestCluster, actions: readonly Action[]): Promise<void> {
  const faults = new Faults({ cluster: cluster.cluster, clock, log: silentLogger });
  await rested(cluster);
  const layouts = await layoutsOf(cluster);
  const made: Pod[] = [];
  for (const one of actions) {
    if (one.kind === "fault") await faults.cause(one.fault);
    else if (one.kind === "sleep") await clock.sleep(one.ms);
    else if (made.filter((other) => resourceOf(other) === one.resource).length < SINGLE_PODS) {
      const next = pod(`pod-${made.length}`, one.resource === undefined ? {} : { [one.resource]: "1" });
      made.push(next);
      await createSurely(cluster, next);
    }
  }
  // All is over: drivers answer, the API server is back, and what only a reboot heals is rebooted.
  await faults.close();
  for (const name of nodes) await cluster.node(name).reboot();
  await rested(cluster);

  for (const { node: name, resource, count } of offered) await cluster.offers(resource, count, name);
  assert.deepEqual(await layoutsOf(cluster), layouts);
  await noPodIsLost(cluster, made);
  await noDeviceTwice(cluster);
  const errors = (await Promise.all(nodes.map((name) => cluster.snapshot(name)))).flatMap((one) => one.findings);
  assert.deepEqual(errors.filter((one) => one.severity === "error").map(findingLine), []);
}

/** Waits until workloads have their pods and nothing is going on. */
async function rested(cluster: TestCluster): Promise<void> {
  for (const { name, replicas } of workloads) {
    const isThere = async (): Promise<boolean> => {
      const running = (await allPods(cluster)).filter((one) => one.status?.phase === "Running");
      return running.filter((one) => one.metadata.labels?.["app"] === name).length === replicas;
    };
    await until(`${name} has its pods`, isThere, DEADLINE_MS);
  }
  await cluster.settle();
}

/** Creates a pod although the API server may be away, as a client that tries again. */
async function createSurely(cluster: TestCluster, made: Pod): Promise<void> {
  await until(`${made.metadata.name} is created`, async () => {
    try {
      await cluster.createPods(made);
      return true;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // A try whose answer was lost may have succeeded.
      return error.status === 409;
    }
  });
}

/** A single pod runs, unless it held devices when its node went down. */
async function noPodIsLost(cluster: TestCluster, made: readonly Pod[]): Promise<void> {
  for (const one of made) {
    const status = (await cluster.pod(one.metadata.name))?.status;
    const holdsDevices = resourceOf(one) !== undefined;
    const wanted = holdsDevices && status?.phase === "Failed" ? "UnexpectedAdmissionError" : undefined;
    assert.deepEqual([status?.phase, status?.reason], [wanted === undefined ? "Running" : "Failed", wanted]);
  }
}

async function noDeviceTwice(cluster: TestCluster): Promise<void> {
  const running = (await allPods(cluster)).filter((one) => one.status?.phase === "Running");
  const names = new Set(running.filter((one) => resourceOf(one) !== undefined).map((one) => one.metadata.name));
  const held = nodes.flatMap((name) => cluster.node(name).kubelet.pods());
  const ids = held.flatMap((one) => one.deviceIds);
  assert.equal(new Set(ids).size, ids.length, "a device is held once");
  assert.deepEqual(new Set(held.map((one) => one.pod)), names, "whoever runs holds what it asked for");
}

/** By GPU: MIG mode, and the profiles with their places. */
async function layoutsOf(cluster: TestCluster): Promise<readonly unknown[]> {
  const lists = await Promise.all(nodes.map((name) => cluster.node(name).driver.list()));
  return lists.flat().map(({ uuid, mig, instances }) => {
    return [uuid, mig, instances.map((one) => `${one.profile.name}@${one.placement.start}`)];
  });
}

async function allPods(cluster: TestCluster): Promise<readonly Pod[]> {
  return (await cluster.client.list<Pod>(resources.pods)).items;
}

function resourceOf({ spec }: Pick<Pod, "spec">): string | undefined {
  return Object.keys(spec.containers[0]?.resources?.limits ?? {})[0];
}

function replicaSet({ name, replicas, resource }: (typeof workloads)[number]): KubeObject {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: pod(name, { [resource]: "1" }).spec };
  const spec = { replicas, selector: { matchLabels: labels }, template };
  const set = { apiVersion: "apps/v1", kind: "ReplicaSet", metadata: { name, namespace: "default" }, spec };
  return set;
}
