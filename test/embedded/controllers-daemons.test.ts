/** Daemon sets against the API server; nobody runs pods. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Node, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { namespace, setSpec, template, withRig } from "./controllers-rig.ts";

test("a daemon set follows the nodes: new ones, taints, and those that go", async (t) => {
  await withRig(t, async (rig) => {
    const node = (name: string): Node => ({ apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} });
    await rig.client.create(resources.nodes, node("a"));
    rig.start();
    const selector = { matchLabels: { app: "agent" } };
    await rig.apply("apps/v1", "DaemonSet", "agent", { selector, template: template({ app: "agent" }) });
    assert.equal((await rig.names()).length, 1);
    await rig.client.create(resources.nodes, node("b"));
    await rig.rest();
    assert.equal((await rig.names()).length, 2);
    await rig.patch("Node", "b", { spec: { unschedulable: true } });
    assert.equal((await rig.status("DaemonSet", "agent"))["desiredNumberScheduled"], 2);
    await rig.patch("Node", "b", { spec: { taints: [{ key: "reserved", effect: "NoSchedule" }] } });
    const { desiredNumberScheduled, numberMisscheduled } = await rig.status("DaemonSet", "agent");
    assert.deepEqual([desiredNumberScheduled, numberMisscheduled], [1, 1]);
    await rig.patch("Node", "b", { spec: { taints: [{ key: "broken", effect: "NoExecute" }] } });
    assert.equal((await rig.names()).length, 1);
  });
});

test("daemons are replaced one node after the other, and with OnDelete only when they are deleted", async (t) => {
  await withRig(t, async (rig) => {
    for (const name of ["a", "b", "c"]) {
      await rig.client.create<Node>(resources.nodes, { apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} });
    }
    rig.start();
    const selector = { matchLabels: { app: "agent" } };
    await rig.apply("apps/v1", "DaemonSet", "agent", { selector, template: template({ app: "agent" }) });
    await rig.makeReady();
    const change = async (image: string, type: string): Promise<void> => {
      const updateStrategy = { type, rollingUpdate: type === "OnDelete" ? null : { maxUnavailable: 1 } };
      const pod = { spec: { containers: [{ name: "main", image }] } };
      await rig.patch("DaemonSet", "agent", { spec: { updateStrategy, template: pod } });
    };
    const updated = async (): Promise<unknown> => (await rig.status("DaemonSet", "agent"))["updatedNumberScheduled"];
    await change("registry.example/app:2", "RollingUpdate");
    for (const count of [1, 2, 3]) {
      assert.equal(await updated(), count);
      await rig.makeReady();
    }
    assert.equal((await rig.names()).length, 3);
    await change("registry.example/app:3", "OnDelete");
    assert.equal(await updated(), undefined);
    const [one] = await rig.pods();
    assert.ok(one);
    await rig.client.delete(resources.pods, one.metadata);
    await rig.rest();
    assert.equal(await updated(), 1);
    const revisions = { ...resources.daemonSets, plural: "controllerrevisions", kind: "ControllerRevision" };
    assert.equal((await rig.client.list(revisions)).items.length, 3);
  });
});

test("a daemon set that is made anew takes over the history that the old one left", async (t) => {
  await withRig(t, async (rig) => {
    const revisions = { ...resources.daemonSets, plural: "controllerrevisions", kind: "ControllerRevision" };
    rig.start();
    const spec = { selector: { matchLabels: { app: "agent" } }, template: template({ app: "agent" }) };
    await rig.apply("apps/v1", "DaemonSet", "agent", spec);
    await rig.client.delete(resources.daemonSets, { namespace, name: "agent" }, { propagationPolicy: "Orphan" });
    await rig.rest();
    const [orphan] = (await rig.client.list(revisions)).items;
    assert.ok(orphan);
    assert.deepEqual(orphan.metadata.ownerReferences ?? [], []);
    await rig.apply("apps/v1", "DaemonSet", "agent", spec);
    const { uid } = (await rig.get("DaemonSet", "agent")).metadata;
    const { items } = await rig.client.list(revisions);
    assert.deepEqual(
      items.map(({ metadata }) => [metadata.name, metadata.ownerReferences?.map((one) => one.uid)]),
      [[orphan.metadata.name, [uid]]],
    );
  });
});

test("a daemon's pod that fails is replaced, the second time after a pause", async (t) => {
  await withRig(t, async (rig) => {
    await rig.client.create<Node>(resources.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "a" },
      spec: {},
    });
    rig.start();
    const selector = { matchLabels: { app: "agent" } };
    await rig.apply("apps/v1", "DaemonSet", "agent", { selector, template: template({ app: "agent" }) });
    const failNow = async (): Promise<string> => {
      const [pod] = await rig.pods();
      assert.ok(pod);
      await rig.end(pod, "Failed");
      return pod.metadata.name;
    };
    const first = await failNow();
    await rig.rest();
    assert.ok(!(await rig.names()).includes(first));
    const second = await failNow();
    await until("the second failure is told", async () => (await rig.status("Pod", second))["phase"] === "Failed");
    assert.deepEqual(await rig.names(), [second]);
    await rig.clock.advance(5000);
    await rig.rest();
    assert.ok(!(await rig.names()).includes(second));
    assert.equal((await rig.events("FailedDaemonPod")).length, 2);
  });
});

test("pods of a node that is gone for good are replaced, those of one that comes back stay", async (t) => {
  await withRig(t, async (rig) => {
    const node = (name: string): Node => ({ apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} });
    for (const name of ["a", "b"]) await rig.client.create(resources.nodes, node(name));
    rig.start();
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(2));
    const [onA, onB] = await rig.pods();
    assert.ok(onA && onB);
    for (const [pod, name] of [[onA, "a"] as const, [onB, "b"] as const]) {
      const binding = { apiVersion: "v1", kind: "Binding", metadata: { name: pod.metadata.name }, target: { name } };
      await rig.client.createSubresource(resources.pods, pod.metadata, "binding", binding);
    }
    for (const name of ["a", "b"]) await rig.client.delete(resources.nodes, { name });
    await rig.rest();
    await rig.clock.advance(30_000);
    await rig.rest();
    await rig.client.create(resources.nodes, node("b"));
    await rig.rest();
    assert.equal((await rig.names()).length, 2);
    await rig.clock.advance(11_000);
    await rig.rest();
    const names = await rig.names();
    assert.deepEqual(
      [names.length, names.includes(onA.metadata.name), names.includes(onB.metadata.name)],
      [2, false, true],
    );
  });
});
