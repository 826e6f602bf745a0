/** Deployments, replica sets and budgets against the API server; nobody runs pods. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KubeError, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { podNamed } from "./api-support.ts";
import { changedApi, containers, namespace, setSpec, template, withRig } from "./controllers-rig.ts";

test("a replica set takes an orphan in, lets go of a pod whose label changes, and replaces it", async (t) => {
  await withRig(t, async (rig) => {
    await rig.client.create(
      resources.pods,
      podNamed("orphan", { metadata: { name: "orphan", labels: { app: "web" } } }),
    );
    rig.start();
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(2));
    const orphan = await rig.get("Pod", "orphan");
    assert.equal(orphan.metadata.ownerReferences?.[0]?.name, "web");
    assert.equal((await rig.names()).length, 2);
    await rig.patch("Pod", "orphan", { metadata: { labels: { app: "debug" } } });
    assert.deepEqual((await rig.get("Pod", "orphan")).metadata.ownerReferences ?? [], []);
    assert.equal((await rig.names()).length, 3);
    assert.equal((await rig.status("ReplicaSet", "web"))["replicas"], 2);
  });
});

test("controllers that are replaced make nothing twice", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(3));
    await rig.makeReady();
    const before = await rig.names();
    await rig.stop();
    rig.start();
    await rig.rest();
    assert.deepEqual(await rig.names(), before);
    assert.equal((await rig.client.list(resources.replicaSets)).items.length, 1);
  });
});

test("an answer that was lost is no reason to make more pods than wanted", async (t) => {
  await withRig(t, async (rig) => {
    let lost = 0;
    const api = changedApi(rig.client, async (type, object) => {
      const created = await rig.client.create(type, object);
      if (type.kind !== "Pod" || lost > 0) return created;
      lost += 1;
      throw new KubeError("the connection broke", { status: 0, reason: "ConnectionFailed" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(3));
    await rig.clock.advance(1000);
    await rig.rest();
    assert.equal((await rig.names()).length, 3);
    assert.deepEqual(await rig.events("SuccessfulDelete"), []);
  });
});

test("pods that are refused are told of, and tried again when they are let in", async (t) => {
  await withRig(t, async (rig) => {
    let isFull = true;
    const api = changedApi(rig.client, async (type, object) => {
      if (type.kind !== "Pod" || !isFull) return await rig.client.create(type, object);
      throw new KubeError("exceeded quota: gpus", { status: 403, reason: "Forbidden" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "Deployment", "web", setSpec(2));
    const failure = await rig.condition("Deployment", "web", "ReplicaFailure");
    assert.deepEqual([failure?.reason, failure?.message], ["FailedCreate", "exceeded quota: gpus"]);
    assert.deepEqual(await rig.events("FailedCreate"), ["Error creating: exceeded quota: gpus"]);
    isFull = false;
    await rig.clock.advance(60_000);
    await rig.rest();
    assert.equal((await rig.names()).length, 2);
    assert.equal(await rig.condition("Deployment", "web", "ReplicaFailure"), undefined);
  });
});

test("a replica set that is refused is told of on its deployment, and comes when it is let in", async (t) => {
  await withRig(t, async (rig) => {
    let isFull = true;
    const api = changedApi(rig.client, async (type, object) => {
      if (type.kind !== "ReplicaSet" || !isFull) return await rig.client.create(type, object);
      throw new KubeError("too many sets", { status: 403, reason: "Forbidden" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    const told = await rig.condition("Deployment", "web", "Progressing");
    assert.equal(told?.reason, "ReplicaSetCreateError");
    assert.match(told?.message ?? "", /^Failed to create new replica set "web-\w+": too many sets$/);
    isFull = false;
    await rig.clock.advance(60_000);
    await rig.rest();
    assert.equal((await rig.names()).length, 1);
  });
});

test("a deployment's set gets another name when its own is taken", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    const [first] = (await rig.client.list(resources.replicaSets)).items;
    assert.ok(first);
    await rig.client.delete(resources.deployments, { namespace, name: "web" }, { propagationPolicy: "Orphan" });
    // What has this name now is not the deployment's, and is of another template.
    await rig.client.delete(resources.replicaSets, first.metadata);
    await rig.rest();
    const labels = { matchLabels: { app: "other" } };
    await rig.apply("apps/v1", "ReplicaSet", first.metadata.name, {
      replicas: 0,
      selector: labels,
      template: template(labels.matchLabels),
    });
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    await rig.clock.advance(1000);
    await rig.rest();
    assert.equal((await rig.status("Deployment", "web"))["collisionCount"], 1);
    const sets = (await rig.client.list(resources.replicaSets)).items;
    const [own] = sets.filter((one) => one.metadata.ownerReferences?.[0]?.kind === "Deployment");
    assert.ok(own && own.metadata.name !== first.metadata.name);
  });
});

test("a pod that fails as soon as it is made is replaced after a pause that grows", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(1));
    for (const pauseMs of [1000, 2000, 4000]) {
      const before = await rig.names();
      // The API's times have whole seconds.
      await rig.clock.advance(1000 - (rig.clock.now() % 1000));
      for (const pod of await rig.pods()) if (pod.status?.phase === "Pending") await rig.end(pod, "Failed");
      await until("the failure is seen", async () => (await rig.status("ReplicaSet", "web"))["replicas"] === 0);
      await rig.clock.advance(pauseMs / 2);
      assert.deepEqual(await rig.names(), before);
      await rig.clock.advance(pauseMs / 2 + 1000);
      await rig.rest();
      assert.equal((await rig.names()).length, before.length + 1);
    }
  });
});

test("ready pods are available after minReadySeconds", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", { ...setSpec(1), minReadySeconds: 20 });
    await rig.makeReady();
    assert.equal((await rig.status("Deployment", "web"))["readyReplicas"], 1);
    assert.equal((await rig.status("Deployment", "web"))["availableReplicas"], undefined);
    await rig.clock.advance(21_000);
    await rig.rest();
    assert.equal((await rig.status("Deployment", "web"))["availableReplicas"], 1);
  });
});

test("a rollout without progress is late after its deadline, and its old pod stays", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", { ...setSpec(1), progressDeadlineSeconds: 60 });
    await rig.makeReady();
    const [old] = await rig.names();
    const changed = {
      spec: { template: { spec: { containers: [{ ...containers[0], image: "registry.example/app:2" }] } } },
    };
    await rig.patch("Deployment", "web", changed);
    const reason = async () => (await rig.condition("Deployment", "web", "Progressing"))?.reason;
    assert.notEqual(await reason(), "ProgressDeadlineExceeded");
    await rig.clock.advance(62_000);
    await rig.rest();
    assert.equal(await reason(), "ProgressDeadlineExceeded");
    assert.ok((await rig.names()).includes(old ?? ""));
    await rig.makeReady();
    assert.equal(await reason(), "NewReplicaSetAvailable");
    assert.ok(!(await rig.names()).includes(old ?? ""));
  });
});

test("a budget counts what the deployment wants, and is told again when that changes", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(4));
    await rig.makeReady();
    const spec = { maxUnavailable: "50%", selector: { matchLabels: { app: "web" } } };
    await rig.apply("policy/v1", "PodDisruptionBudget", "web", spec);
    assert.equal((await rig.status("PodDisruptionBudget", "web"))["disruptionsAllowed"], 2);
    await rig.patch("Deployment", "web", { spec: { replicas: 6 } });
    const { expectedPods, desiredHealthy, disruptionsAllowed } = await rig.status("PodDisruptionBudget", "web");
    assert.deepEqual([expectedPods, desiredHealthy, disruptionsAllowed], [6, 3, 1]);
  });
});
