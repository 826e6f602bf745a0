/** Random writers and watchers at once: what a watcher rebuilds is what a list tells, and no version is skipped. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { type ConfigMap, KubeError, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, startHarness, type WatchReader } from "./api-support.ts";

let api: Harness;
let runs = 0;

before(async () => {
  // A short history, so that forgetting takes place while watchers follow.
  api = await startHarness({ historyLimit: 40 });
});
after(() => api.stop());

const names = ["a", "b", "c", "d"];
const colours = ["red", "blue"];

const operation = fc.record({
  kind: fc.constantFrom("create", "create", "label", "label", "replace", "delete"),
  name: fc.constantFrom(...names),
  colour: fc.constantFrom(...colours),
});

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Does one write; that it is too early or too late for it is part of the game. */
async function perform(namespace: string, { kind, name, colour }: Operation): Promise<void> {
  const ref = { namespace, name };
  const object: ConfigMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels: { colour } },
    data: { colour },
  };
  try {
    if (kind === "create") await api.client.create(resources.configMaps, object);
    if (kind === "label") await api.client.mergePatch(resources.configMaps, ref, { metadata: { labels: { colour } } });
    if (kind === "delete") await api.client.delete(resources.configMaps, ref);
    if (kind === "replace") {
      const seen = await api.client.get<ConfigMap>(resources.configMaps, ref);
      await api.client.update(resources.configMaps, { ...seen, data: { colour, more: "x" } });
    }
  } catch (error) {
    assert.ok(error instanceof KubeError && [404, 409].includes(error.status), String(error));
  }
}

/** Applies a watcher's events in order, checking that each makes sense after the ones before. */
function rebuild(reader: WatchReader): Map<string, string> {
  const objects = new Map<string, string>();
  let last = 0;
  for (const { type, object } of reader.events) {
    const name = String(object["metadata"]?.["name"]);
    const version = Number(object["metadata"]?.["resourceVersion"]);
    if (type === "ADDED") assert.ok(!objects.has(name), `${name} was added twice`);
    else assert.ok(objects.has(name), `${type} of ${name}, which is not there`);
    // Objects there at the start come in order of their names; from then on versions rise.
    if (type !== "ADDED") assert.ok(version > last, `${version} after ${last}`);
    last = Math.max(last, version);
    if (type === "DELETED") objects.delete(name);
    else objects.set(name, JSON.stringify(object));
  }
  return objects;
}

test("watchers rebuild what lists tell, whoever writes at the same time", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.array(operation, { minLength: 5, maxLength: 15 }), { minLength: 2, maxLength: 4 }),
    async (writers) => {
      runs += 1;
      const namespace = `model-${runs}`;
      await api.client.create(resources.namespaces, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: namespace },
      });
      const path = `/api/v1/namespaces/${namespace}/configmaps`;
      const queries = [
        "",
        "&labelSelector=colour%3Dred",
        "&labelSelector=colour!%3Dred",
        "&fieldSelector=metadata.name%3Da",
      ];
      const readers = queries.map((query) => api.watch(`${path}?watch=1${query}`));
      await Promise.all(
        writers.map(async (operations) => {
          for (const one of operations) await perform(namespace, one);
        }),
      );
      for (const [index, reader] of readers.entries()) {
        const query = (queries[index] ?? "").replace("&", "?");
        const items = (await api.call(`${path}${query}`)).body["items"];
        assert.ok(Array.isArray(items));
        const wanted = new Map(items.map((one): [string, string] => [one.metadata.name, JSON.stringify(one)]));
        await until(`the watch "${query}" shows what the list shows`, () => same(rebuild(reader), wanted));
        reader.close();
      }
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

function same(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, text]) => other.get(name) === text);
}

test("of many writers to one version exactly one wins", async () => {
  const object: ConfigMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "contended", namespace: "default" },
  };
  let current = await api.client.create(resources.configMaps, object);
  for (let round = 0; round < 10; round++) {
    const seen = current;
    const attempts = Array.from({ length: 8 }, (_, writer) =>
      api.client.update(resources.configMaps, { ...seen, data: { round: String(round), writer: String(writer) } }).then(
        (won) => won,
        (error: unknown) => {
          assert.ok(error instanceof KubeError && error.status === 409);
          return undefined;
        },
      ),
    );
    const winners = (await Promise.all(attempts)).filter((one) => one !== undefined);
    assert.equal(winners.length, 1);
    const [winner] = winners;
    assert.ok(winner !== undefined);
    assert.deepEqual(await api.client.get(resources.configMaps, { namespace: "default", name: "contended" }), winner);
    current = winner;
  }
});
