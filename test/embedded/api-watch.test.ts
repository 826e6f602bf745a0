/** Watches: where they start, what they tell, how they end. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, podNamed, startHarness, type WatchReader } from "./api-support.ts";

let api: Harness;
let count = 0;
/** A namespace of its own for each test. */
let namespace = "";
let pods = "";

before(async () => {
  api = await startHarness();
});
after(() => api.stop());
beforeEach(async () => {
  count += 1;
  namespace = `watch-${count}`;
  pods = `/api/v1/namespaces/${namespace}/pods`;
  await api.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});

function createPod(name: string, labels: Record<string, string> = {}): Promise<Pod> {
  return api.client.create<Pod>(resources.pods, podNamed(name, { metadata: { name, namespace, labels } }));
}

function labelPod(name: string, labels: Record<string, string | null>): Promise<Pod> {
  return api.client.mergePatch<Pod>(resources.pods, { namespace, name }, { metadata: { labels } });
}

/** Waits for as many events as are wanted, and compares. */
async function expectEvents(reader: WatchReader, wanted: readonly string[]): Promise<void> {
  await until(`${wanted.length} events, has ${reader.summary.join(", ")}`, () => reader.events.length >= wanted.length);
  assert.deepEqual(reader.summary, wanted);
}

test("tells what is there first, then what changes", async () => {
  await createPod("a");
  const reader = api.watch(`${pods}?watch=1`);
  await expectEvents(reader, ["ADDED a"]);
  await createPod("b");
  await labelPod("a", { x: "y" });
  await api.client.delete(resources.pods, { namespace, name: "b" });
  await expectEvents(reader, ["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"]);
});

test("goes on from a resource version without a gap or a repetition", async () => {
  await createPod("a");
  const { resourceVersion } = await api.client.list(resources.pods, { namespace });
  await createPod("b");
  const reader = api.watch(`${pods}?watch=1&resourceVersion=${resourceVersion}`);
  await createPod("c");
  await expectEvents(reader, ["ADDED b", "ADDED c"]);
});

test("stamps a deletion with the version at which it happened", async () => {
  const made = await createPod("a");
  const reader = api.watch(`${pods}?watch=1&resourceVersion=${made.metadata.resourceVersion}`);
  await api.client.delete(resources.pods, { namespace, name: "a" });
  await expectEvents(reader, ["DELETED a"]);
  const version = Number(reader.events[0]?.object["metadata"]?.["resourceVersion"]);
  assert.ok(version > Number(made.metadata.resourceVersion));
});

test("shows objects entering and leaving the selection as added and deleted", async () => {
  await createPod("a", { app: "x" });
  const reader = api.watch(`${pods}?watch=1&labelSelector=app%3Dx`);
  await expectEvents(reader, ["ADDED a"]);
  await createPod("b", { app: "y" });
  await labelPod("b", { app: "x" });
  await labelPod("a", { other: "1" });
  const left = await labelPod("a", { app: "y" });
  await labelPod("a", { app: "z" });
  await labelPod("b", { done: "1" });
  await expectEvents(reader, ["ADDED a", "ADDED b", "MODIFIED a", "DELETED a", "MODIFIED b"]);
  const deleted = reader.events[3]?.object["metadata"];
  assert.deepEqual(deleted?.["labels"], { app: "x", other: "1" });
  assert.equal(String(deleted?.["resourceVersion"]), left.metadata.resourceVersion);
});

test("follows pods of one node by field selector", async () => {
  const { metadata } = await createPod("a");
  const selector = "fieldSelector=spec.nodeName%3Dn1,status.phase!%3DSucceeded";
  const reader = api.watch(`${pods}?watch=1&resourceVersion=${metadata.resourceVersion}&${selector}`);
  const ref = { namespace, name: "a" };
  const binding = { apiVersion: "v1", kind: "Binding", metadata: ref, target: { kind: "Node" as const, name: "n1" } };
  await api.client.createSubresource(resources.pods, ref, "binding", binding);
  await api.client.mergePatch(resources.pods, ref, { status: { phase: "Succeeded" } }, { subresource: "status" });
  await expectEvents(reader, ["ADDED a", "DELETED a"]);
});

test("watches one object at its own path", async () => {
  await createPod("a");
  await createPod("b");
  const reader = api.watch(`${pods}/b?watch=1`);
  await expectEvents(reader, ["ADDED b"]);
  await labelPod("a", { x: "1" });
  await labelPod("b", { x: "1" });
  await expectEvents(reader, ["ADDED b", "MODIFIED b"]);
});

test("answers a version from before the compaction with 410 in the stream", async () => {
  const first = await createPod("a");
  await labelPod("a", { x: "1" });
  api.server.compact();
  const reader = api.watch(`${pods}?watch=1&resourceVersion=${first.metadata.resourceVersion}`);
  await until("the watch ends", () => reader.ended);
  assert.deepEqual(
    reader.events.map(({ type, object }) => [type, object["code"], object["reason"]]),
    [["ERROR", 410, "Expired"]],
  );
});

test("goes on from the present version after a compaction", async () => {
  await createPod("a");
  const { resourceVersion } = await api.client.list(resources.pods, { namespace });
  api.server.compact();
  const reader = api.watch(`${pods}?watch=1&resourceVersion=${resourceVersion}`);
  await createPod("b");
  await expectEvents(reader, ["ADDED b"]);
});

test("refuses a version that is yet to come", async () => {
  const reply = await api.call(`${pods}?watch=1&resourceVersion=999999999`);
  assert.deepEqual([reply.code, String(reply.body["reason"])], [504, "Timeout"]);
});

test("marks the end of the initial events when asked to send them", async () => {
  await createPod("a");
  const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const reader = api.watch(`${pods}?${query}`);
  await createPod("b");
  await until("three events", () => reader.events.length >= 3);
  assert.deepEqual(
    reader.events.map(({ type }) => type),
    ["ADDED", "BOOKMARK", "ADDED"],
  );
  assert.deepEqual(reader.events[1]?.object["metadata"]?.["annotations"], { "k8s.io/initial-events-end": "true" });
});

test("names the columns of a table once", async () => {
  await createPod("a");
  await createPod("b");
  const reader = api.watch(`${pods}?watch=1`, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
  await until("two events", () => reader.events.length >= 2);
  const [first, second] = reader.events;
  assert.equal(String(first?.object["kind"]), "Table");
  assert.ok(Array.isArray(first?.object["columnDefinitions"]));
  assert.equal(second?.object["columnDefinitions"], null);
  assert.equal(String(second?.object["rows"]?.["0"]?.["cells"]?.["0"]), "b");
});

test("ends when its time is over, after a last bookmark, by the server's clock", async () => {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const own = await startHarness({ clock });
  try {
    const path = "/api/v1/pods?watch=1&timeoutSeconds=90";
    const plain = own.watch(path);
    const marked = own.watch(`${path}&allowWatchBookmarks=true`);
    await until("both watches are open", () => own.server.stats.openWatches === 2);
    await clock.advance(60_000);
    await until("the bookmark of the minute", () => marked.events.length === 1);
    await clock.advance(30_000);
    await until("both have ended", () => plain.ended && marked.ended);
    assert.deepEqual(plain.summary, []);
    assert.deepEqual(marked.summary, ["BOOKMARK", "BOOKMARK"]);
    assert.equal(own.server.stats.openWatches, 0);
  } finally {
    await own.stop();
  }
});

test("a reader that stops reading is sent everything once it reads again", async () => {
  const reader = api.watch(`${pods}?watch=1&labelSelector=big`);
  await until("the watch is open", () => api.server.stats.openWatches > 0);
  await createPod("a", { big: "" });
  await expectEvents(reader, ["ADDED a"]);
  reader.pause();
  const padding = "x".repeat(200_000);
  for (let round = 0; round < 40; round++) {
    const annotations = { padding, round: String(round) };
    await api.client.mergePatch(resources.pods, { namespace, name: "a" }, { metadata: { annotations } });
  }
  reader.resume();
  await until("all events", () => reader.events.length === 41);
  const rounds = reader.events.slice(1).map(({ object }) => Number(object["metadata"]?.["annotations"]?.["round"]));
  assert.deepEqual(
    rounds,
    Array.from({ length: 40 }, (_, round) => round),
  );
});

test("closing the server ends watches and idle connections, and nobody gets in any more", async () => {
  const own = await startHarness();
  await own.call("/version");
  const reader = own.watch("/api/v1/pods?watch=1");
  await until("the watch is open", () => own.server.stats.openWatches === 1);
  await own.server.close();
  await until("the watch has ended", () => reader.ended);
  await assert.rejects(own.call("/version"), /ECONNREFUSED/);
  await own.client.close();
});
