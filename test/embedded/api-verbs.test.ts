/** Reading and writing objects, verb by verb. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { type ConfigMap, KubeError, type KubeObject, type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, podNamed, startHarness } from "./api-support.ts";

let api: Harness;
let count = 0;
/** A name no other test uses. */
let fresh = "";

before(async () => {
  api = await startHarness();
});
after(() => api.stop());
beforeEach(() => {
  count += 1;
  fresh = `thing-${count}`;
});

function configMap(name: string, data: Record<string, string> = {}): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data };
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KubeError);
  return error.status;
}

test("gives a new object its uid, time and version", async () => {
  const made = await api.client.create(resources.configMaps, configMap(fresh, { a: "1" }));
  assert.match(made.metadata.uid ?? "", /^[0-9a-f-]{36}$/);
  assert.match(made.metadata.creationTimestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(await api.client.get(resources.configMaps, { namespace: "default", name: fresh }), made);
});

test("refuses a second object of the same name with AlreadyExists", async () => {
  await api.client.create(resources.configMaps, configMap(fresh));
  const reply = await api.call("/api/v1/namespaces/default/configmaps", { method: "POST", body: configMap(fresh) });
  assert.equal(reply.code, 409);
  assert.deepEqual(reply.body, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `configmaps "${fresh}" already exists`,
    reason: "AlreadyExists",
    details: { name: fresh, kind: "configmaps" },
    code: 409,
  });
});

test("of clients that update one version of an object at once exactly one wins", async () => {
  const path = `/api/v1/namespaces/default/configmaps/${fresh}`;
  await api.client.create(resources.configMaps, configMap(fresh, { writer: "nobody" }));
  for (let round = 0; round < 10; round++) {
    const { body: seen } = await api.call(path);
    const writers = ["a", "b", "c"].map((name) => `${name}${round}`);
    const replies = await Promise.all(
      writers.map((writer) => api.call(path, { method: "PUT", body: { ...seen, data: { writer } } })),
    );
    const winner = replies.findIndex(({ code }) => code === 200);
    const losers = replies.filter((_, index) => index !== winner);
    for (const { code, body } of losers) {
      assert.deepEqual([code, String(body["reason"])], [409, "Conflict"]);
      assert.equal(
        String(body["message"]),
        `Operation cannot be fulfilled on configmaps "${fresh}": the object has been modified; ` +
          "please apply your changes to the latest version and try again",
      );
    }
    assert.equal(String((await api.call(path)).body["data"]?.["writer"]), writers[winner]);
  }
});

test("clients that read again after a conflict lose no update", async () => {
  await api.client.create(resources.configMaps, configMap(fresh, { count: "0" }));
  const place = { namespace: "default", name: fresh };
  const countOne = async (): Promise<void> => {
    for (;;) {
      const seen = await api.client.get<ConfigMap>(resources.configMaps, place);
      const data = { count: String(Number(seen.data?.["count"]) + 1) };
      const written = await api.client.update(resources.configMaps, { ...seen, data }).catch((error: unknown) => error);
      if (!(written instanceof KubeError)) return;
      assert.equal(written.status, 409);
    }
  };
  await Promise.all(Array.from({ length: 12 }, countOne));
  const { data } = await api.client.get<ConfigMap>(resources.configMaps, place);
  assert.equal(data?.["count"], "12");
});

test("refuses an update from a stale version and takes one without a version", async () => {
  const first = await api.client.create(resources.configMaps, configMap(fresh, { a: "1" }));
  await api.client.update(resources.configMaps, { ...first, data: { a: "2" } });
  const stale = api.client.update(resources.configMaps, { ...first, data: { a: "3" } });
  await assert.rejects(stale, /the object has been modified; please apply your changes to the latest version/);
  const forced = await api.client.update(resources.configMaps, configMap(fresh, { a: "4" }));
  assert.deepEqual(forced.data, { a: "4" });
  assert.equal(forced.metadata.uid, first.metadata.uid);
});

test("keeps the version when an update changes nothing", async () => {
  const first = await api.client.create(resources.configMaps, configMap(fresh, { a: "1", b: "2" }));
  const again = await api.client.update(resources.configMaps, configMap(fresh, { b: "2", a: "1" }));
  assert.equal(again.metadata.resourceVersion, first.metadata.resourceVersion);
});

test("merges a patch and removes what it nulls", async () => {
  await api.client.create(resources.configMaps, configMap(fresh, { a: "1", b: "2" }));
  const ref = { namespace: "default", name: fresh };
  const patched = await api.client.mergePatch<ConfigMap>(resources.configMaps, ref, { data: { a: null, c: "3" } });
  assert.deepEqual(patched.data, { b: "2", c: "3" });
});

test("deletes, and answers 404 from then on", async () => {
  await api.client.create(resources.configMaps, configMap(fresh));
  const ref = { namespace: "default", name: fresh };
  await api.client.delete(resources.configMaps, ref);
  assert.equal(await codeOf(api.client.get(resources.configMaps, ref)), 404);
  assert.equal(await codeOf(api.client.delete(resources.configMaps, ref)), 404);
});

test("status changes the status alone, the object everything else", async () => {
  await api.client.create(resources.pods, podNamed(fresh));
  const ref = { namespace: "default", name: fresh };
  const patch = { metadata: { labels: { a: "b" } }, status: { phase: "Running" } };
  const viaStatus = await api.client.mergePatch<Pod>(resources.pods, ref, patch, { subresource: "status" });
  assert.deepEqual([viaStatus.status?.phase, viaStatus.metadata.labels], ["Running", undefined]);
  const viaObject = await api.client.mergePatch<Pod>(resources.pods, ref, {
    metadata: { labels: { a: "b" } },
    status: { phase: "Failed" },
  });
  assert.deepEqual([viaObject.status?.phase, viaObject.metadata.labels], ["Running", { a: "b" }]);
});

test("binds a pod to a node once", async () => {
  await api.client.create(resources.pods, podNamed(fresh));
  const ref = { namespace: "default", name: fresh };
  const binding = { apiVersion: "v1", kind: "Binding", metadata: ref, target: { kind: "Node" as const, name: "n1" } };
  await api.client.createSubresource(resources.pods, ref, "binding", binding);
  const bound = await api.client.get<Pod>(resources.pods, ref);
  assert.equal(bound.spec.nodeName, "n1");
  assert.deepEqual(
    bound.status?.conditions?.map(({ type, status }) => [type, status]),
    [["PodScheduled", "True"]],
  );
  const again = api.client.createSubresource(resources.pods, ref, "binding", binding);
  await assert.rejects(again, /is already assigned to node "n1"/);
});

test("completes generateName with five characters, each time others", async () => {
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: `${fresh}-` } };
  const calls = [1, 2].map(() => api.call("/api/v1/namespaces/default/configmaps", { method: "POST", body }));
  const names = (await Promise.all(calls)).map((reply) => String(reply.body["metadata"]?.["name"]));
  for (const name of names) assert.match(name, new RegExp(`^${fresh}-[bcdfghjklmnpqrstvwxz2456789]{5}$`));
  assert.notEqual(names[0], names[1]);
});

test("a dry run answers as the real thing and stores nothing", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const dry = await api.call(`${path}?dryRun=All`, { method: "POST", body: configMap(fresh, { a: "1" }) });
  assert.deepEqual([dry.code, String(dry.body["metadata"]?.["name"])], [201, fresh]);
  assert.equal((await api.call(`${path}/${fresh}`)).code, 404);
  const made = await api.client.create(resources.configMaps, configMap(fresh, { a: "1" }));
  const patched = await api.client.mergePatch<ConfigMap>(
    resources.configMaps,
    { namespace: "default", name: fresh },
    { data: { a: "2" } },
    { dryRun: true },
  );
  assert.deepEqual(patched.data, { a: "2" });
  assert.equal((await api.call(`${path}/${fresh}?dryRun=All`, { method: "DELETE" })).code, 200);
  assert.deepEqual(await api.client.get(resources.configMaps, { namespace: "default", name: fresh }), made);
});

test("counts generations by what is wanted, not by status or metadata", async () => {
  const type = resources.clusterPolicies;
  const policy: KubeObject = { apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata: { name: fresh } };
  const generation = async (patch: object, subresource?: string) => {
    const options = subresource === undefined ? {} : { subresource };
    return (await api.client.mergePatch(type, { name: fresh }, patch, options)).metadata.generation;
  };
  assert.equal((await api.client.create(type, policy)).metadata.generation, 1);
  assert.equal(await generation({ spec: { mig: { strategy: "mixed" } } }), 2);
  assert.equal(await generation({ metadata: { labels: { a: "b" } } }), 2);
  assert.equal(await generation({ status: { state: "ready" } }, "status"), 2);
  assert.equal(await generation({ spec: { mig: { strategy: "single" } } }), 3);
});

test("gives a pod on a node its grace period and lets the kubelet end it", async () => {
  await api.client.create(resources.pods, podNamed(fresh, { spec: { ...podNamed("x").spec, nodeName: "n1" } }));
  const ref = { namespace: "default", name: fresh };
  const path = `/api/v1/namespaces/default/pods/${fresh}`;
  const first = await api.call(path, { method: "DELETE" });
  assert.equal(Number(first.body["metadata"]?.["deletionGracePeriodSeconds"]), 30);
  const shortened = await api.call(`${path}?gracePeriodSeconds=5`, { method: "DELETE" });
  assert.equal(Number(shortened.body["metadata"]?.["deletionGracePeriodSeconds"]), 5);
  const lengthened = await api.call(`${path}?gracePeriodSeconds=60`, { method: "DELETE" });
  assert.equal(Number(lengthened.body["metadata"]?.["deletionGracePeriodSeconds"]), 5);
  await api.client.delete(resources.pods, ref, { gracePeriodSeconds: 0 });
  assert.equal(await codeOf(api.client.get(resources.pods, ref)), 404);
});

test("removes a pod without a node, or one that has ended, at once", async () => {
  const ended = `${fresh}-ended`;
  await api.client.create(resources.pods, podNamed(fresh));
  await api.client.create(resources.pods, podNamed(ended, { spec: { ...podNamed("x").spec, nodeName: "n1" } }));
  const status = { status: { phase: "Succeeded" } };
  const endedRef = { namespace: "default", name: ended };
  await api.client.mergePatch(resources.pods, endedRef, status, { subresource: "status" });
  for (const name of [fresh, ended]) {
    await api.client.delete(resources.pods, { namespace: "default", name });
    assert.equal(await codeOf(api.client.get(resources.pods, { namespace: "default", name })), 404);
  }
});

test("keeps an object until its last finalizer lets go, and takes no new one", async () => {
  const ref = { namespace: "default", name: fresh };
  const object = configMap(fresh);
  await api.client.create(resources.configMaps, {
    ...object,
    metadata: { ...object.metadata, finalizers: ["example.com/a", "example.com/b"] },
  });
  await api.client.delete(resources.configMaps, ref);
  const waiting = await api.client.get(resources.configMaps, ref);
  assert.ok(waiting.metadata.deletionTimestamp);
  const finalizers = (list: string[]) =>
    api.client.mergePatch(resources.configMaps, ref, { metadata: { finalizers: list } });
  await assert.rejects(finalizers(["example.com/a", "example.com/c"]), /no new finalizers can be added/);
  await finalizers(["example.com/b"]);
  await finalizers([]);
  assert.equal(await codeOf(api.client.get(resources.configMaps, ref)), 404);
});

test("deletes only when the preconditions hold", async () => {
  const made = await api.client.create(resources.configMaps, configMap(fresh));
  const path = `/api/v1/namespaces/default/configmaps/${fresh}`;
  const remove = (preconditions: object) => api.call(path, { method: "DELETE", body: { preconditions } });
  const otherUid = await remove({ uid: "another" });
  assert.deepEqual([otherUid.code, String(otherUid.body["reason"])], [409, "Conflict"]);
  assert.equal((await remove({ resourceVersion: "1" })).code, 409);
  const gone = await remove({ uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion });
  assert.deepEqual([gone.code, String(gone.body["status"])], [200, "Success"]);
});

test("deletes what a collection's selector picks", async () => {
  const labelled = (name: string, value: string) => {
    const object = configMap(name);
    return { ...object, metadata: { ...object.metadata, labels: { test: fresh, keep: value } } };
  };
  await api.client.create(resources.configMaps, labelled(`${fresh}-a`, "no"));
  await api.client.create(resources.configMaps, labelled(`${fresh}-b`, "yes"));
  const path = `/api/v1/namespaces/default/configmaps?labelSelector=test%3D${fresh},keep%3Dno`;
  assert.equal((await api.call(path, { method: "DELETE" })).code, 200);
  const { items } = await api.client.list(resources.configMaps, { labelSelector: `test=${fresh}` });
  assert.deepEqual(
    items.map((one) => one.metadata.name),
    [`${fresh}-b`],
  );
});

test("evicts a pod, which then ends like a deleted one", async () => {
  const ref = { namespace: "default", name: fresh };
  await api.client.create(resources.pods, podNamed(fresh, { spec: { ...podNamed("x").spec, nodeName: "n1" } }));
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: ref };
  await api.client.createSubresource(resources.pods, ref, "eviction", eviction);
  assert.ok((await api.client.get(resources.pods, ref)).metadata.deletionTimestamp);
});

test("ends a namespace with all that is in it", async () => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: fresh } };
  await api.client.create(resources.namespaces, namespace);
  const inside = configMap("inside");
  await api.client.create(resources.configMaps, { ...inside, metadata: { ...inside.metadata, namespace: fresh } });
  const pod = podNamed("held", { metadata: { name: "held", namespace: fresh } });
  await api.client.create(resources.pods, { ...pod, spec: { ...pod.spec, nodeName: "n1" } });
  await api.client.delete(resources.namespaces, { name: fresh });
  const ending = await api.call(`/api/v1/namespaces/${fresh}`);
  assert.equal(String(ending.body["status"]?.["phase"]), "Terminating");
  const late = await api.call(`/api/v1/namespaces/${fresh}/configmaps`, {
    method: "POST",
    body: { metadata: { name: "late" } },
  });
  assert.deepEqual(
    [late.code, String(late.body["details"]?.["causes"]?.["0"]?.["reason"])],
    [403, "NamespaceTerminating"],
  );
  await api.client.delete(resources.pods, { namespace: fresh, name: "held" }, { gracePeriodSeconds: 0 });
  assert.equal((await api.call(`/api/v1/namespaces/${fresh}`)).code, 404);
  assert.equal((await api.call(`/api/v1/namespaces/${fresh}/configmaps/inside`)).code, 404);
});

test("an empty namespace waits for its own finalizers, and for the right precondition", async () => {
  const namespace = {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: fresh, finalizers: ["example.com/hold"] },
  };
  const { metadata } = await api.client.create<KubeObject>(resources.namespaces, namespace);
  const other = api.client.delete(resources.namespaces, { name: fresh }, { preconditions: { uid: "other" } });
  assert.equal(await codeOf(other), 409);
  await api.client.delete(resources.namespaces, { name: fresh }, { preconditions: { uid: metadata.uid ?? "" } });
  const watch = api.watch(`/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3D${fresh}`);
  await until("the watch tells of it", () => watch.events.length === 1);
  assert.equal((await api.call(`/api/v1/namespaces/${fresh}`)).code, 200);
  await api.client.mergePatch(resources.namespaces, { name: fresh }, { metadata: { finalizers: null } });
  assert.equal((await api.call(`/api/v1/namespaces/${fresh}`)).code, 404);
  await until("the watch tells of its end", () => watch.events.length >= 3);
  assert.deepEqual(watch.summary, [`ADDED ${fresh}`, `MODIFIED ${fresh}`, `DELETED ${fresh}`]);
});

test("serves a custom type as soon as it is defined, and no longer than that", async () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "gadgets.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "gadgets", kind: "Gadget" },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } },
        { name: "v2", served: true, storage: false, schema: { openAPIV3Schema: { type: "object" } } },
      ],
    },
  };
  const made = await api.client.create(resources.customResourceDefinitions, definition);
  const gadgets = { group: "example.com", version: "v1", plural: "gadgets", kind: "Gadget", namespaced: true };
  const gadget = { apiVersion: "example.com/v1", kind: "Gadget", metadata: { name: "g", namespace: "default" } };
  await api.client.create(gadgets, gadget);
  const asV2 = await api.client.get({ ...gadgets, version: "v2" }, { namespace: "default", name: "g" });
  assert.equal(asV2.apiVersion, "example.com/v2");
  await api.client.delete(resources.customResourceDefinitions, { name: made.metadata.name });
  assert.equal(await codeOf(api.client.list(gadgets)), 404);
  await api.client.create(resources.customResourceDefinitions, definition);
  assert.deepEqual((await api.client.list(gadgets)).items, []);
});

test("reads logs through the kubelet's hook, of the only container if none is named", async () => {
  const spec = { ...podNamed("x").spec, nodeName: "n1" };
  await api.client.create(resources.pods, podNamed(fresh, { spec }));
  api.server.setLogs(async (namespace, name, container, options) =>
    [namespace, name, container, options.tailLines, options.previous].join(" "),
  );
  const path = `/api/v1/namespaces/default/pods/${fresh}/log`;
  assert.equal((await api.call(`${path}?tailLines=7&previous=true`)).text, `default ${fresh} main 7 true`);
  const wrong = await api.call(`${path}?container=other`);
  assert.deepEqual([wrong.code, String(wrong.body["message"])], [400, `container other is not valid for pod ${fresh}`]);
});

test("keeps an event for an hour after its last change", async () => {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const own = await startHarness({ clock });
  try {
    const event = (name: string) => ({
      metadata: { name },
      involvedObject: { kind: "Pod", name: "p" },
      reason: "Testing",
      message: "seen",
      type: "Normal",
    });
    const path = "/api/v1/namespaces/default/events";
    for (const name of ["quiet", "again"]) await own.call(path, { method: "POST", body: event(name) });
    const names = async (): Promise<readonly string[]> =>
      (await own.client.list(resources.events)).items.map((one) => one.metadata.name);
    const minutes = async (count: number): Promise<void> => {
      for (let minute = 0; minute < count; minute++) await clock.advance(60_000);
    };
    await minutes(30);
    await own.client.mergePatch(resources.events, { namespace: "default", name: "again" }, { count: 2 });
    await minutes(29);
    assert.deepEqual(await names(), ["again", "quiet"]);
    await minutes(3);
    assert.deepEqual(await names(), ["again"]);
    await minutes(30);
    assert.deepEqual(await names(), []);
  } finally {
    await own.stop();
  }
});
