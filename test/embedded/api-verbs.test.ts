/** Reading and writing objects, verb by verb. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type ConfigMap, KubeError, type Pod, resources } from "../../src/kube/index.ts";
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
