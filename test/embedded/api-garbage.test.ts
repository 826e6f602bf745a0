/** Garbage collection by owner references (kubernetes, pkg/controller/garbagecollector). */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type ConfigMap, type KubeObject, type OwnerReference, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, type Reply, startHarness } from "./api-support.ts";

let api: Harness;
let namespace = "";
let count = 0;

before(async () => {
  api = await startHarness();
});
after(() => api.stop());
beforeEach(async () => {
  count += 1;
  namespace = `garbage-${count}`;
  await api.client.create(resources.namespaces, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
});

interface More {
  readonly finalizers?: string[];
  /** Owners that must wait for this object when they are deleted in the foreground. */
  readonly blocks?: readonly KubeObject[];
}

/** Creates a ConfigMap of this name that belongs to `owners`. */
async function create(name: string, owners: readonly KubeObject[] = [], { finalizers = [], blocks = [] }: More = {}) {
  const ownerReferences = [
    ...owners.map((one) => referenceTo(one)),
    ...blocks.map((one) => ({ ...referenceTo(one), blockOwnerDeletion: true })),
  ];
  return api.client.create<ConfigMap>(resources.configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, ownerReferences, finalizers },
  });
}

function referenceTo({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? "" };
}

function remove(name: string, propagationPolicy?: "Background" | "Foreground" | "Orphan"): Promise<void> {
  const options = propagationPolicy === undefined ? {} : { propagationPolicy };
  return api.client.delete(resources.configMaps, { namespace, name }, options);
}

/** What is left once the collector rests, as `a b`; what is being deleted in brackets. */
async function left(): Promise<string> {
  await until("the collector rests", () => api.server.idle());
  const { items } = await api.client.list<ConfigMap>(resources.configMaps, { namespace });
  return items
    .map(({ metadata }) => (metadata.deletionTimestamp === undefined ? metadata.name : `(${metadata.name})`))
    .join(" ");
}

async function ownersOf(name: string): Promise<readonly string[]> {
  const { metadata } = await api.client.get<ConfigMap>(resources.configMaps, { namespace, name });
  return (metadata.ownerReferences ?? []).map((one) => one.name);
}

async function release(name: string): Promise<void> {
  await api.client.mergePatch(resources.configMaps, { namespace, name }, { metadata: { finalizers: null } });
}

test("dependents go after their owner, and theirs after them", async () => {
  const a = await create("a");
  const b = await create("b", [a]);
  await create("c", [b]);
  await create("other");
  await remove("a");
  assert.equal(await left(), "other");
});

test("in the foreground an owner waits for those that block it", async () => {
  const a = await create("a");
  await create("b", [], { blocks: [a], finalizers: ["example.com/hold"] });
  await create("c", [a], { finalizers: ["example.com/hold"] });
  await remove("a", "Foreground");
  assert.equal(await left(), "(a) (b) (c)");
  const { metadata } = await api.client.get<ConfigMap>(resources.configMaps, { namespace, name: "a" });
  assert.deepEqual(metadata.finalizers, ["foregroundDeletion"]);
  await release("b");
  // c is still there, but a does not wait for it.
  assert.equal(await left(), "(c)");
  await release("c");
  assert.equal(await left(), "");
});

test("in the foreground those go first that are furthest down", async () => {
  const a = await create("a");
  const b = await create("b", [], { blocks: [a] });
  await create("c", [], { blocks: [b], finalizers: ["example.com/hold"] });
  const seen = api.watch(`/api/v1/namespaces/${namespace}/configmaps?watch=1&fieldSelector=metadata.name!%3Dnone`);
  await remove("a", "Foreground");
  assert.equal(await left(), "(a) (b) (c)");
  await release("c");
  assert.equal(await left(), "");
  const gone = () => seen.summary.filter((one) => one.startsWith("DELETED"));
  await until("the watch has seen all go", () => gone().length === 3);
  assert.deepEqual(gone(), ["DELETED c", "DELETED b", "DELETED a"]);
});

test("a circle of owners in the foreground comes to an end", async () => {
  const a = await create("a");
  const b = await create("b", [], { blocks: [a] });
  const ownerReferences = [{ ...referenceTo(b), blockOwnerDeletion: true }];
  await api.client.mergePatch(resources.configMaps, { namespace, name: "a" }, { metadata: { ownerReferences } });
  await remove("a", "Foreground");
  assert.equal(await left(), "");
});

test("an owner stops waiting for a dependent that is let go", async () => {
  const a = await create("a");
  await create("b", [], { blocks: [a], finalizers: ["example.com/hold"] });
  await remove("a", "Foreground");
  assert.equal(await left(), "(a) (b)");
  await api.client.mergePatch(
    resources.configMaps,
    { namespace, name: "b" },
    { metadata: { ownerReferences: [{ ...referenceTo(a), blockOwnerDeletion: false }] } },
  );
  assert.equal(await left(), "(b)");
});

test("an orphan loses only the reference to the owner that went", async () => {
  const [a, other] = [await create("a"), await create("other")];
  await create("b", [a]);
  await create("c", [a, other]);
  await remove("a", "Orphan");
  assert.equal(await left(), "b c other");
  assert.deepEqual([await ownersOf("b"), await ownersOf("c")], [[], ["other"]]);
});

test("what has another owner stays, with the reference to that one", async () => {
  const [a, b] = [await create("a"), await create("b")];
  await create("c", [a, b]);
  await remove("a");
  assert.equal(await left(), "b c");
  assert.deepEqual(await ownersOf("c"), ["b"]);
  await remove("b");
  assert.equal(await left(), "");
});

test("a reference to an owner that never was is one to nobody", async () => {
  const a = await create("a");
  const stranger = { ...a, metadata: { ...a.metadata, uid: "11111111-2222-3333-4444-555555555555" } };
  await create("b", [stranger]);
  await create("c", [stranger, a]);
  assert.equal(await left(), "a c");
  assert.deepEqual(await ownersOf("c"), ["a"]);
});

test("a reference that is added later counts as one from the start", async () => {
  const a = await create("a");
  await create("b");
  const add = (uid: string): Promise<unknown> =>
    api.client.mergePatch(
      resources.configMaps,
      { namespace, name: "b" },
      { metadata: { ownerReferences: [{ ...referenceTo(a), uid }] } },
    );
  await add(a.metadata.uid ?? "");
  assert.equal(await left(), "a b");
  await add("never");
  assert.equal(await left(), "a");
});

test("an owner of another namespace is none", async () => {
  const a = await create("a");
  const elsewhere = { ...a.metadata, namespace: "default", name: `of-${namespace}` };
  await api.client.create(resources.configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: elsewhere.name, namespace: "default", ownerReferences: [referenceTo(a)] },
  });
  await until("it is collected", async () => {
    const { items } = await api.client.list(resources.configMaps, { namespace: "default" });
    return items.length === 0;
  });
  assert.equal(await left(), "a");
});

function define(group: string, plural: string): Promise<Reply> {
  const schema = { openAPIV3Schema: { type: "object" } };
  return api.call("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    method: "POST",
    body: {
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: "Namespaced",
        names: { plural, kind: "Gizmo" },
        versions: [{ name: "v1", served: true, storage: true, schema }],
      },
    },
  });
}

test("an owner of a type that is not served cannot be looked up, so what belongs to it stays until it is", async () => {
  const group = `${namespace}.example.org`;
  await create("b", [{ apiVersion: `${group}/v1`, kind: "Gizmo", metadata: { name: "x", uid: "y" } }]);
  assert.equal(await left(), "b");
  assert.equal((await define(group, "gizmos")).code, 201);
  assert.equal(await left(), "");
});

test("what belongs to a custom object goes with its definition", async () => {
  const plural = "gizmos";
  const group = `${namespace}.example.org`;
  await define(group, plural);
  const type = { group, version: "v1", plural, kind: "Gizmo", namespaced: true };
  const apiVersion = `${group}/v1`;
  const owner = await api.client.create(type, { apiVersion, kind: "Gizmo", metadata: { name: "g", namespace } });
  await create("b", [owner]);
  assert.equal(await left(), "b");
  await api.call(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.${group}`, { method: "DELETE" });
  assert.equal(await left(), "");
});

test("a second deletion may change its mind about dependents", async () => {
  const a = await create("a");
  await create("b", [], { blocks: [a], finalizers: ["example.com/hold"] });
  await remove("a", "Foreground");
  assert.equal(await left(), "(a) (b)");
  await remove("a");
  assert.equal(await left(), "(a) (b)", "without a wish of its own it changes nothing");
  await remove("a", "Background");
  assert.equal(await left(), "(b)");
});

test("the deletion of a whole collection takes dependents along, or leaves them", async () => {
  const [a, b] = [await create("a"), await create("b")];
  const path = `/api/v1/namespaces/${namespace}`;
  for (const owner of [a, b]) {
    const metadata = { name: `pod-of-${owner.metadata.name}`, ownerReferences: [referenceTo(owner)] };
    const spec = { containers: [{ name: "main", image: "registry.example/app:1" }] };
    await api.call(`${path}/pods`, { method: "POST", body: { metadata, spec } });
  }
  const pods = async (): Promise<number> => {
    await left();
    return (await api.client.list(resources.pods, { namespace })).items.length;
  };
  await api.call(`${path}/configmaps?fieldSelector=metadata.name%3Da`, {
    method: "DELETE",
    body: { propagationPolicy: "Orphan" },
  });
  assert.equal(await pods(), 2);
  await api.call(`${path}/configmaps`, { method: "DELETE" });
  assert.equal(await pods(), 1);
});

const jobs = { group: "batch", version: "v1", plural: "jobs", kind: "Job", namespaced: true };

for (const { propagationPolicy, want } of [
  { propagationPolicy: undefined, want: "b" },
  { propagationPolicy: "Background" as const, want: "" },
]) {
  test(`a job that is deleted with ${propagationPolicy ?? "no"} policy leaves behind: ${want || "nothing"}`, async () => {
    const template = {
      spec: { restartPolicy: "Never", containers: [{ name: "main", image: "registry.example/app:1" }] },
    };
    const job = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "job", namespace }, spec: { template } };
    await create("b", [await api.client.create(jobs, job)]);
    await api.client.delete(jobs, job.metadata, propagationPolicy === undefined ? {} : { propagationPolicy });
    assert.equal(await left(), want);
    await until("the job is gone", async () => (await api.client.list(jobs, { namespace })).items.length === 0);
  });
}

test("a namespace ends although owners in it wait for dependents", async () => {
  const a = await create("a");
  await create("b", [], { blocks: [a], finalizers: ["example.com/hold"] });
  await remove("a", "Foreground");
  await api.client.delete(resources.namespaces, { name: namespace });
  assert.equal(await left(), "(b)");
  await release("b");
  await until("the namespace is gone", async () => (await api.call(`/api/v1/namespaces/${namespace}`)).code === 404);
});

test("a dry run leaves everything as it is", async () => {
  const a = await create("a");
  await create("b", [a]);
  await api.call(`/api/v1/namespaces/${namespace}/configmaps/a?dryRun=All&propagationPolicy=Foreground`, {
    method: "DELETE",
  });
  assert.equal(await left(), "a b");
});

test("a namespace that belongs to something goes after it, with all that is in it", async () => {
  const owner = await api.client.create(resources.nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `owner-of-${namespace}` },
  });
  await api.client.mergePatch(
    resources.namespaces,
    { name: namespace },
    { metadata: { ownerReferences: [referenceTo(owner)] } },
  );
  await create("a", [], { finalizers: ["example.com/hold"] });
  await create("b");
  await api.client.delete(resources.nodes, owner.metadata);
  assert.equal(await left(), "(a)");
  await release("a");
  await until("the namespace is gone", async () => (await api.call(`/api/v1/namespaces/${namespace}`)).code === 404);
});
