/** What an applied object makes of a stored one, and what goes with an applier's last word for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { union } from "../../src/embedded/api/field-set.ts";
import { fieldSetOf } from "../../src/embedded/api/field-set-of.ts";
import type { JsonObject } from "../../src/embedded/api/json.ts";
import { fieldSchemaOf } from "../../src/embedded/api/managed-fields-schema.ts";
import { Registry } from "../../src/embedded/api/registry.ts";
import { mergeApplied, withoutDropped } from "../../src/embedded/api/server-side-apply-merge.ts";
import { Store } from "../../src/embedded/api/store.ts";
import { builtInTypes } from "../../src/embedded/api/types.ts";

const registry = new Registry(builtInTypes);
const context = { store: new Store(), registry, clock: systemClock, log: silentLogger, readLogs: undefined };
const pods = registry.find("", "v1", "pods");
assert.ok(pods);
const schema = fieldSchemaOf(context, pods);

function containers(...names: readonly string[]): JsonObject {
  return { spec: { containers: names.map((name) => ({ name })) } };
}

const merges = [
  {
    name: "puts new containers behind",
    live: containers("a", "b"),
    applied: containers("c"),
    want: containers("a", "b", "c"),
  },
  {
    name: "orders what both have as applied",
    live: containers("a", "b"),
    applied: containers("b", "a"),
    want: containers("b", "a"),
  },
  {
    name: "keeps others before what followed them",
    live: containers("x", "a"),
    applied: containers("a", "b"),
    want: containers("x", "a", "b"),
  },
  {
    name: "replaces what is owned as a whole",
    live: { spec: { nodeSelector: { a: "1" } } },
    applied: { spec: { nodeSelector: { b: "2" } } },
    want: { spec: { nodeSelector: { b: "2" } } },
  },
  {
    name: "adds finalizers to a set",
    live: { metadata: { finalizers: ["a/a"] } },
    applied: { metadata: { finalizers: ["b/b"] } },
    want: { metadata: { finalizers: ["a/a", "b/b"] } },
  },
  {
    name: "empties a field that is applied as null",
    live: { spec: { nodeName: "n", hostname: "h" } },
    applied: { spec: { hostname: null } },
    want: { spec: { nodeName: "n" } },
  },
];
for (const { name, live, applied, want } of merges) {
  test(name, () => assert.deepEqual(mergeApplied(live, applied, schema), want));
}

const drops: readonly {
  readonly name: string;
  readonly live: JsonObject;
  readonly last: JsonObject;
  readonly owned: readonly JsonObject[];
  readonly want: JsonObject;
}[] = [
  {
    name: "removes a label its applier no longer names",
    live: { metadata: { labels: { a: "1", b: "2" } } },
    last: { metadata: { labels: { a: "1", b: "2" } } },
    owned: [{ metadata: { labels: { a: "1" } } }],
    want: { metadata: { labels: { a: "1" } } },
  },
  {
    name: "keeps a label that another owns too",
    live: { metadata: { labels: { a: "1" } } },
    last: { metadata: { labels: { a: "1" } } },
    owned: [{}, { metadata: { labels: { a: "1" } } }],
    want: { metadata: { labels: { a: "1" } } },
  },
  {
    name: "removes a container with what was filled in for it",
    live: { spec: { containers: [{ name: "a" }, { name: "b", imagePullPolicy: "Always" }] } },
    last: containers("a", "b"),
    owned: [containers("a")],
    want: containers("a"),
  },
  {
    name: "leaves what the applier never named",
    live: { metadata: { labels: { other: "1" } }, spec: { nodeName: "n" } },
    last: { spec: { hostname: "h" } },
    owned: [{ metadata: { labels: { other: "1" } }, spec: { nodeName: "n" } }],
    want: { metadata: { labels: { other: "1" } }, spec: { nodeName: "n" } },
  },
];
for (const { name, live, last, owned, want } of drops) {
  test(name, () => {
    const all = owned.map((one) => fieldSetOf(one, schema)).reduce(union, {});
    assert.deepEqual(withoutDropped(live, { last: fieldSetOf(last, schema), owned: all }, schema), want);
  });
}
