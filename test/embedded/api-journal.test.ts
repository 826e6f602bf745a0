/** An API server that goes on where an earlier one was ended, or broke off. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Finding, systemClock } from "../../src/base/index.ts";
import { Journal, newServerIdentity, readKept } from "../../src/embedded/index.ts";
import { hasStatus, type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, podNamed, startHarness } from "./api-support.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

function toldNothing(one: Finding): void {
  assert.fail(one.message);
}

async function pathOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "journal-"));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, "journal.jsonl");
}

/** Runs `body` with a server over the journal at `path`. */
async function run(path: string, body: (api: Harness) => Promise<void>): Promise<void> {
  const kept = await readKept(path);
  assert.ok(kept.ok, JSON.stringify(kept.findings));
  const journal = new Journal({ path, kept: kept.value, clock: systemClock, tell: toldNothing });
  const api = await startHarness({ journal });
  try {
    await body(api);
  } finally {
    await api.stop();
    assert.equal(await journal.close(), undefined);
  }
}

test("objects come back as they were, and versions go on", async (t) => {
  const path = await pathOf(t);
  let before: Pod | undefined;
  let seeded = "";
  await run(path, async (api) => {
    await api.client.create(resources.pods, podNamed("gone"));
    before = await api.client.create<Pod>(resources.pods, podNamed("a"));
    await api.client.delete(resources.pods, { namespace: "default", name: "gone" });
    seeded = (await api.call("/api/v1/namespaces/default")).text;
  });
  await run(path, async (api) => {
    const { items } = await api.client.list<Pod>(resources.pods);
    assert.deepEqual(items, [before]);
    assert.equal((await api.call("/api/v1/namespaces/default")).text, seeded);
    const next = await api.client.create<Pod>(resources.pods, podNamed("b"));
    assert.ok(Number(next.metadata.resourceVersion) > Number(before?.metadata.resourceVersion));
  });
});

test("a watch from before is answered 410, also of a type that nobody had used, and one from a list goes on", async (t) => {
  const path = await pathOf(t);
  let old = "";
  await run(path, async (api) => {
    await api.client.create(resources.pods, podNamed("a"));
    old = api.server.resourceVersion();
  });
  await run(path, async (api) => {
    for (const type of ["pods", "secrets"]) {
      // Even what an earlier run never told anybody is no newer than this one.
      for (const resourceVersion of [old, String(Number(old) + 500)]) {
        const reader = api.watch(`/api/v1/${type}?watch=1&resourceVersion=${resourceVersion}`);
        await until("it is refused", () => reader.events.length > 0);
        assert.equal(`${reader.events[0]?.object["code"]}`, "410");
      }
    }
    const { resourceVersion } = await api.client.list<Pod>(resources.pods);
    const reader = api.watch(`/api/v1/pods?watch=1&resourceVersion=${resourceVersion}`);
    await api.client.create(resources.pods, podNamed("b"));
    await until("it tells", () => reader.events.length > 0);
    assert.deepEqual(reader.summary, ["ADDED b"]);
  });
});

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { spec: { type: "object", properties: { size: { type: "integer" } } } },
          },
        },
      },
    ],
  },
};
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const widgets = "/apis/example.com/v1/namespaces/default/widgets";

test("custom types are served again with their schema, and their objects are there", async (t) => {
  const path = await pathOf(t);
  await run(path, async (api) => {
    assert.equal((await api.call(definitions, { method: "POST", body: definition })).code, 201);
    const body = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "one" }, spec: { size: 3 } };
    assert.equal((await api.call(widgets, { method: "POST", body })).code, 201);
  });
  await run(path, async (api) => {
    assert.equal(`${(await api.call(`${widgets}/one`)).body["spec"]?.["size"]}`, "3");
    const body = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "two" }, spec: { size: "big" } };
    assert.equal((await api.call(widgets, { method: "POST", body })).code, 422);
    // Their objects go with the definition, and that in turn is kept.
    assert.equal((await api.call(`${definitions}/widgets.example.com`, { method: "DELETE" })).code, 200);
  });
  await run(path, async (api) => assert.equal((await api.call(widgets)).code, 404));
});

test("a namespace whose end was broken off anywhere ends", async (t) => {
  const path = await pathOf(t);
  await run(path, async (api) => {
    await api.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "short" } });
    const inside = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "inside", namespace: "short" } };
    await api.client.create(resources.configMaps, inside);
    await api.client.delete(resources.namespaces, { name: "short" });
  });
  const lines = (await readFile(path, "utf8")).split("\n");
  const marked = lines.findIndex((one) => one.includes('"phase":"Terminating"'));
  const end = lines.findLastIndex((one) => one.includes('"gone":["","short"]'));
  assert.ok(marked > 0 && end > marked + 1, "the namespace, what is in it and the namespace again");
  for (let length = marked + 1; length <= end; length++) {
    await writeFile(path, `${lines.slice(0, length).join("\n")}\n`);
    await run(path, async (api) => {
      for (const type of ["namespaces/short", "namespaces/short/configmaps/inside"]) {
        assert.equal((await api.call(`/api/v1/${type}`)).code, 404);
      }
    });
  }
});

test("a namespace that waits for a finalizer waits on", async (t) => {
  const path = await pathOf(t);
  const finalizers = ["example.com/held"];
  await run(path, async (api) => {
    await api.client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "short" } });
    const held = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "held", namespace: "short", finalizers } };
    await api.client.create(resources.configMaps, held);
    await api.client.delete(resources.namespaces, { name: "short" });
  });
  await run(path, async (api) => {
    await api.client.get(resources.namespaces, { name: "short" });
    const ref = { namespace: "short", name: "held" };
    await api.client.mergePatch(resources.configMaps, ref, { metadata: { finalizers: null } });
    await assert.rejects(api.client.get(resources.namespaces, { name: "short" }), (error) => hasStatus(error, 404));
  });
});

test("a write is answered when it is on disk, and reading does not wait for it", async () => {
  const disk = new MemoryDisk();
  const journal = new Journal({ path: "j", kept: undefined, clock: systemClock, tell: toldNothing, disk });
  const api = await startHarness({ journal });
  const gate = Promise.withResolvers<void>();
  disk.gate = gate.promise;
  let answered = false;
  const creating = api.client.create<Pod>(resources.pods, podNamed("a")).then(() => {
    answered = true;
  });
  const stored = async (): Promise<boolean> => (await api.client.list<Pod>(resources.pods)).items.length === 1;
  await until("it is stored", stored);
  assert.ok(!disk.content.includes('"name":"a"'));
  assert.equal(answered, false);
  gate.resolve();
  await creating;
  assert.ok(disk.content.includes('"name":"a"'));
  await api.stop();
  await journal.close();
});

test("with token and certificate of an earlier run, connections from then work again", async () => {
  const identity = await newServerIdentity(Date.now());
  const first = await startHarness({ identity });
  const { port } = first.server;
  const connection = first.server.connection();
  await first.stop();
  const second = await startHarness({ identity, port });
  assert.deepEqual(second.server.connection(), connection);
  assert.equal((await second.call("/api/v1/pods", { token: first.server.token })).code, 200);
  await second.stop();
});

test("a server that finds its port taken changes nothing of what is kept", async (t) => {
  const path = await pathOf(t);
  const other = await startHarness();
  t.after(() => other.stop());
  // Its owner is gone, so that a server in service would collect it.
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "gone", uid: "gone" }];
  const metadata = { name: "orphan", namespace: "default", uid: "orphan", resourceVersion: "1", ownerReferences };
  const objects = new Map([["configmaps.", [{ apiVersion: "v1", kind: "ConfigMap", metadata }]]]);
  const disk = new MemoryDisk();
  const kept = { revision: 1, objects };
  const journal = new Journal({ path, kept, clock: systemClock, tell: toldNothing, disk });
  await assert.rejects(startHarness({ journal, port: other.server.port }), { code: "port-in-use" });
  // Whatever the server would still do is done by the time another one has started.
  await (await startHarness()).stop();
  await journal.close();
  assert.doesNotMatch(disk.content, /"gone":/);
});
