/** Lists: selectors, pages and the versions they are taken at. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type KubeEvent, resources } from "../../src/kube/index.ts";
import { type Harness, podNamed, type Reply, startHarness } from "./api-support.ts";

const pods = "/api/v1/namespaces/list/pods";
let api: Harness;

before(async () => {
  api = await startHarness();
  await api.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "list" } });
  // "list-2" sorts before "list/" in the store's order, and must not get into its namespace.
  await api.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "list-2" } });
  for (const name of ["e", "b", "d", "a", "c"]) {
    const labels = { letter: name, tier: name < "c" ? "low" : "high" };
    await api.client.create(resources.pods, podNamed(name, { metadata: { name, namespace: "list", labels } }));
  }
  await api.client.create(resources.pods, podNamed("z", { metadata: { name: "z", namespace: "list-2" } }));
});
after(() => api.stop());

function namesOf(reply: Reply): readonly string[] {
  const items = reply.body["items"];
  assert.ok(Array.isArray(items), reply.text);
  return items.map((one) => String(one.metadata.name));
}

function metadataOf(reply: Reply, field: string): string {
  const value = reply.body["metadata"]?.[field];
  return value === undefined ? "" : String(value);
}

const selections = [
  { name: "everything in order", path: pods, want: "a b c d e" },
  { name: "all namespaces in order", path: "/api/v1/pods", want: "z a b c d e" },
  { name: "a namespace that is not there is empty", path: "/api/v1/namespaces/none/pods", want: "" },
  { name: "label equals", path: `${pods}?labelSelector=letter%3Dc`, want: "c" },
  { name: "label differs", path: `${pods}?labelSelector=letter!%3Dc`, want: "a b d e" },
  { name: "label in a set, and another", path: `${pods}?labelSelector=letter%20in%20(a,e),tier%3Dlow`, want: "a" },
  { name: "label is not there", path: `${pods}?labelSelector=!missing`, want: "a b c d e" },
  { name: "field metadata.name", path: `${pods}?fieldSelector=metadata.name%3Db`, want: "b" },
  { name: "field differs", path: `${pods}?fieldSelector=metadata.name!%3Db`, want: "a c d e" },
  { name: "field spec.nodeName is empty", path: `${pods}?fieldSelector=spec.nodeName%3D`, want: "a b c d e" },
  {
    name: "fields and labels",
    path: `${pods}?fieldSelector=status.phase%3D%3DPending&labelSelector=tier%3Dhigh`,
    want: "c d e",
  },
  { name: "no field matches", path: `${pods}?fieldSelector=status.phase%3DRunning`, want: "" },
];
for (const { name, path, want } of selections) {
  test(`selects: ${name}`, async () => {
    const reply = await api.call(path);
    assert.equal(namesOf(reply).join(" "), want);
    assert.equal(metadataOf(reply, "resourceVersion"), api.server.resourceVersion());
  });
}

test("selects events by what they are about", async () => {
  const event = (name: string, about: string, type: "Normal" | "Warning"): KubeEvent => ({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace: "list" },
    involvedObject: { kind: "Pod", namespace: "list", name: about },
    reason: "Testing",
    message: "seen",
    type,
    source: { component: "tester" },
  });
  await api.client.create(resources.events, event("one", "a", "Normal"));
  await api.client.create(resources.events, event("two", "b", "Warning"));
  const found = async (fieldSelector: string): Promise<string> => {
    const { items } = await api.client.list(resources.events, { namespace: "list", fieldSelector });
    return items.map((one) => one.metadata.name).join(" ");
  };
  assert.equal(await found("involvedObject.kind=Pod,involvedObject.name=a"), "one");
  assert.equal(await found("type=Warning,reason=Testing"), "two");
  assert.equal(await found("source=tester"), "one two");
});

test("gives pages of one and the same moment", async () => {
  const first = await api.call(`${pods}?limit=2`);
  assert.deepEqual([namesOf(first), metadataOf(first, "remainingItemCount")], [["a", "b"], "3"]);
  // What happens between the pages does not show in them.
  await api.client.delete(resources.pods, { namespace: "list", name: "c" });
  await api.client.create(resources.pods, podNamed("bb", { metadata: { name: "bb", namespace: "list" } }));
  await api.client.mergePatch(
    resources.pods,
    { namespace: "list", name: "e" },
    { metadata: { labels: { tier: "new" } } },
  );
  const second = await api.call(`${pods}?limit=2&continue=${metadataOf(first, "continue")}`);
  const third = await api.call(`${pods}?limit=2&continue=${metadataOf(second, "continue")}`);
  assert.deepEqual([...namesOf(second), ...namesOf(third)], ["c", "d", "e"]);
  assert.equal(String(third.body["items"]?.["0"]?.["metadata"]?.["labels"]?.["tier"]), "high");
  assert.deepEqual(
    [second, third].map((page) => metadataOf(page, "resourceVersion")),
    Array(2).fill(metadataOf(first, "resourceVersion")),
  );
  assert.equal(metadataOf(third, "continue"), "");
  assert.equal(namesOf(await api.call(pods)).join(" "), "a b bb d e");
});

test("lists an exact earlier version, and a not older one as it is now", async () => {
  const before = await api.call(pods);
  const version = metadataOf(before, "resourceVersion");
  await api.client.create(resources.pods, podNamed("f", { metadata: { name: "f", namespace: "list" } }));
  const exact = await api.call(`${pods}?resourceVersion=${version}&resourceVersionMatch=Exact`);
  assert.deepEqual(exact.body, before.body);
  for (const query of [
    `resourceVersion=${version}`,
    `resourceVersion=${version}&resourceVersionMatch=NotOlderThan`,
    "resourceVersion=0",
  ]) {
    assert.ok(namesOf(await api.call(`${pods}?${query}`)).includes("f"), query);
  }
});

test("says when a page's moment is forgotten, and lets the client go on regardless", async () => {
  const first = await api.call(`${pods}?limit=2`);
  await api.client.create(resources.pods, podNamed("g", { metadata: { name: "g", namespace: "list" } }));
  api.server.compact();
  const gone = await api.call(`${pods}?limit=2&continue=${metadataOf(first, "continue")}`);
  assert.deepEqual([gone.code, String(gone.body["reason"])], [410, "Expired"]);
  const rest = await api.call(`${pods}?continue=${metadataOf(gone, "continue")}`);
  assert.ok(namesOf(rest).includes("g"));
  assert.ok(!namesOf(rest).includes("a"));
  const exact = await api.call(`${pods}?resourceVersion=2&resourceVersionMatch=Exact`);
  assert.equal(exact.code, 410);
});

const refused = [
  { name: "a version yet to come", query: "resourceVersion=99999999", want: [504, "Timeout"] },
  { name: "a version that is none", query: "resourceVersion=abc", want: [400, "BadRequest"] },
  { name: "a match without a version", query: "resourceVersionMatch=Exact", want: [400, "BadRequest"] },
  { name: "a continue token that is none", query: "continue=nonsense", want: [400, "BadRequest"] },
  { name: "a limit that is none", query: "limit=-1", want: [400, "BadRequest"] },
  { name: "a label selector that cannot be read", query: "labelSelector=a%20b", want: [400, "BadRequest"] },
  { name: "a field the type has not", query: "fieldSelector=spec.image%3Da", want: [400, "BadRequest"] },
  { name: "a field selector that cannot be read", query: "fieldSelector=name", want: [400, "BadRequest"] },
];
for (const { name, query, want } of refused) {
  test(`refuses ${name}`, async () => {
    const reply = await api.call(`${pods}?${query}`);
    assert.deepEqual([reply.code, String(reply.body["reason"])], want, reply.text);
  });
}
