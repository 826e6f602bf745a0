/** events.k8s.io/v1 and the core group show one set of events, each under its own names. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.ts";
import { type Harness, startHarness } from "./api-support.ts";

let api: Harness;

before(async () => {
  api = await startHarness();
});
after(async () => {
  await api.stop();
});

const core = "/api/v1/namespaces/default/events";
const view = "/apis/events.k8s.io/v1/namespaces/default/events";

test("an event written to one is read, watched, changed and deleted through the other", async () => {
  const about = { kind: "Pod", name: "p" };
  const made = { apiVersion: "v1", metadata: { name: "a" }, involvedObject: about, message: "seen", count: 2 };
  assert.equal((await api.call(core, { method: "POST", body: made })).code, 201);
  const shown = (await api.call(`${view}/a`)).body;
  assert.deepEqual(
    ["apiVersion", "kind", "note", "deprecatedCount", "message"].map((key) => String(shown[key])),
    ["events.k8s.io/v1", "Event", "seen", "2", "undefined"],
  );
  assert.equal(String(shown["regarding"]?.["name"]), "p");

  const watch = api.watch(`${view}?watch=1`);
  const own = {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "b" },
    regarding: about,
    note: "told",
    reportingController: "example.com/teller",
  };
  assert.equal((await api.call(view, { method: "POST", body: own })).code, 201);
  await until("the watch shows it", () => watch.summary.includes("ADDED b"));
  assert.equal(
    String(watch.events.find((one) => String(one.object["metadata"]?.["name"]) === "b")?.object["note"]),
    "told",
  );
  const stored = (await api.call(`${core}/b`)).body;
  assert.deepEqual(
    ["apiVersion", "message", "reportingComponent", "note"].map((key) => String(stored[key])),
    ["v1", "told", "example.com/teller", "undefined"],
  );

  const headers = { "content-type": "application/merge-patch+json" };
  const patched = await api.call(`${view}/b`, { method: "PATCH", headers, body: { note: "told again" } });
  assert.deepEqual([patched.code, String(patched.body["note"])], [200, "told again"]);
  assert.equal(String((await api.call(`${core}/b`)).body["message"]), "told again");
  assert.equal((await api.call(`${view}/b`, { method: "DELETE" })).code, 200);
  assert.equal((await api.call(`${core}/b`)).code, 404);
});

test("refuses an event of the core group where the other is asked for", async () => {
  const body = { apiVersion: "v1", metadata: { name: "c" }, involvedObject: { kind: "Pod", name: "p" } };
  assert.equal((await api.call(view, { method: "POST", body })).code, 400);
});
