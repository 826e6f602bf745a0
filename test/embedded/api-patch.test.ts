/** The three patches as functions: tables from their specifications and from what kubectl sends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isObject, type Json, type JsonObject } from "../../src/embedded/api/json.ts";
import { jsonPatch } from "../../src/embedded/api/json-patch.ts";
import { mergePatch } from "../../src/embedded/api/merge-patch.ts";
import { strategicMerge } from "../../src/embedded/api/strategic-merge.ts";

// RFC 7386, appendix A, as far as the patch is an object.
const merges: readonly { readonly target: Json; readonly patch: JsonObject; readonly want: Json }[] = [
  { target: { a: "b" }, patch: { a: "c" }, want: { a: "c" } },
  { target: { a: "b" }, patch: { b: "c" }, want: { a: "b", b: "c" } },
  { target: { a: "b" }, patch: { a: null }, want: {} },
  { target: { a: "b", b: "c" }, patch: { a: null }, want: { b: "c" } },
  { target: { a: ["b"] }, patch: { a: "c" }, want: { a: "c" } },
  { target: { a: "c" }, patch: { a: ["b"] }, want: { a: ["b"] } },
  { target: { a: { b: "c" } }, patch: { a: { b: "d", c: null } }, want: { a: { b: "d" } } },
  { target: { a: [{ b: "c" }] }, patch: { a: [1] }, want: { a: [1] } },
  { target: { e: null }, patch: { a: 1 }, want: { e: null, a: 1 } },
  { target: [1, 2], patch: { a: "b", c: null }, want: { a: "b" } },
  { target: {}, patch: { a: { bb: { ccc: null } } }, want: { a: { bb: {} } } },
];
for (const { target, patch, want } of merges) {
  test(`merges ${JSON.stringify(patch)} into ${JSON.stringify(target)}`, () => {
    assert.deepEqual(mergePatch(target, patch), want);
  });
}

test("takes __proto__ for a key like any other", () => {
  const patch = JSON.parse('{"__proto__": {"polluted": true}}');
  const merged = mergePatch({}, patch);
  assert.deepEqual(Object.keys(merged), ["__proto__"]);
  assert.equal(Reflect.get({}, "polluted"), undefined);
  assert.ok(isObject(merged));
});

// RFC 6902, appendix A.
const jsonPatches: readonly {
  readonly name: string;
  readonly target: Json;
  readonly patch: Json;
  readonly want: Json | "refused";
}[] = [
  {
    name: "A.1 adds a member",
    target: { foo: "bar" },
    patch: [{ op: "add", path: "/baz", value: "qux" }],
    want: { foo: "bar", baz: "qux" },
  },
  {
    name: "A.2 adds an element",
    target: { foo: ["bar", "baz"] },
    patch: [{ op: "add", path: "/foo/1", value: "qux" }],
    want: { foo: ["bar", "qux", "baz"] },
  },
  {
    name: "A.3 removes a member",
    target: { baz: "qux", foo: "bar" },
    patch: [{ op: "remove", path: "/baz" }],
    want: { foo: "bar" },
  },
  {
    name: "A.4 removes an element",
    target: { foo: ["bar", "qux", "baz"] },
    patch: [{ op: "remove", path: "/foo/1" }],
    want: { foo: ["bar", "baz"] },
  },
  {
    name: "A.5 replaces a value",
    target: { baz: "qux" },
    patch: [{ op: "replace", path: "/baz", value: "boo" }],
    want: { baz: "boo" },
  },
  {
    name: "A.6 moves a value",
    target: { foo: { bar: 1, waldo: 2 }, qux: {} },
    patch: [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
    want: { foo: { bar: 1 }, qux: { thud: 2 } },
  },
  {
    name: "A.7 moves an element",
    target: { foo: ["all", "grass", "cows", "eat"] },
    patch: [{ op: "move", from: "/foo/1", path: "/foo/3" }],
    want: { foo: ["all", "cows", "eat", "grass"] },
  },
  {
    name: "A.8 tests a value",
    target: { baz: "qux", foo: ["a", 2] },
    patch: [{ op: "test", path: "/foo/1", value: 2 }],
    want: { baz: "qux", foo: ["a", 2] },
  },
  {
    name: "A.9 fails a test",
    target: { baz: "qux" },
    patch: [{ op: "test", path: "/baz", value: "bar" }],
    want: "refused",
  },
  {
    name: "A.10 adds a nested object",
    target: { foo: "bar" },
    patch: [{ op: "add", path: "/child", value: { grandchild: {} } }],
    want: { foo: "bar", child: { grandchild: {} } },
  },
  {
    name: "A.12 adds to what is not there",
    target: { foo: "bar" },
    patch: [{ op: "add", path: "/baz/bat", value: "qux" }],
    want: "refused",
  },
  {
    name: "A.14 reads ~01",
    target: { "~1": 10 },
    patch: [{ op: "test", path: "/~01", value: 10 }],
    want: { "~1": 10 },
  },
  { name: "A.15 compares types", target: { a: 10 }, patch: [{ op: "test", path: "/a", value: "10" }], want: "refused" },
  {
    name: "A.16 appends a list",
    target: { foo: ["bar"] },
    patch: [{ op: "add", path: "/foo/-", value: ["abc"] }],
    want: { foo: ["bar", ["abc"]] },
  },
  {
    name: "copies",
    target: { a: { b: 1 } },
    patch: [{ op: "copy", from: "/a/b", path: "/c" }],
    want: { a: { b: 1 }, c: 1 },
  },
  {
    name: "does all or nothing",
    target: { a: 1 },
    patch: [
      { op: "remove", path: "/a" },
      { op: "remove", path: "/a" },
    ],
    want: "refused",
  },
  {
    name: "refuses an index beyond the end",
    target: { a: [1] },
    patch: [{ op: "add", path: "/a/2", value: 1 }],
    want: "refused",
  },
  { name: "refuses an unknown operation", target: {}, patch: [{ op: "spam", path: "/a" }], want: "refused" },
  { name: "refuses what is no list", target: {}, patch: { op: "remove" }, want: "refused" },
];
for (const { name, target, patch, want } of jsonPatches) {
  test(`JSON patch: ${name}`, () => {
    const original = structuredClone(target);
    if (want === "refused") assert.throws(() => jsonPatch(target, patch), { name: "ApiError", code: 400 });
    else assert.deepEqual(jsonPatch(target, patch), want);
    assert.deepEqual(target, original);
  });
}

const container = (name: string, image: string): JsonObject => ({ name, image });
const strategic: readonly {
  readonly name: string;
  readonly target: JsonObject;
  readonly patch: JsonObject;
  readonly want: JsonObject;
}[] = [
  {
    name: "merges containers by name and adds new ones",
    target: { spec: { containers: [container("a", "1"), container("b", "1")] } },
    patch: { spec: { containers: [container("b", "2"), container("c", "1")] } },
    want: { spec: { containers: [container("a", "1"), container("b", "2"), container("c", "1")] } },
  },
  {
    name: "merges env within a container",
    target: { containers: [{ name: "a", env: [{ name: "X", value: "1" }] }] },
    patch: { containers: [{ name: "a", env: [{ name: "Y", value: "2" }] }] },
    want: {
      containers: [
        {
          name: "a",
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "2" },
          ],
        },
      ],
    },
  },
  {
    name: "removes an entry with $patch delete",
    target: { containers: [container("a", "1"), container("b", "1")] },
    patch: { containers: [{ name: "a", $patch: "delete" }] },
    want: { containers: [container("b", "1")] },
  },
  {
    name: "replaces a list with $patch replace",
    target: { containers: [container("a", "1"), container("b", "1")] },
    patch: { containers: [{ $patch: "replace" }, container("c", "1")] },
    want: { containers: [container("c", "1")] },
  },
  {
    name: "replaces an object with $patch replace",
    target: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
    patch: { strategy: { $patch: "replace", type: "Recreate" } },
    want: { strategy: { type: "Recreate" } },
  },
  {
    name: "keeps only what $retainKeys lists",
    target: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
    patch: { strategy: { $retainKeys: ["type"], type: "Recreate" } },
    want: { strategy: { type: "Recreate" } },
  },
  {
    name: "merges conditions by type",
    target: {
      status: {
        conditions: [
          { type: "Ready", status: "False" },
          { type: "Other", status: "True" },
        ],
      },
    },
    patch: { status: { conditions: [{ type: "Ready", status: "True" }] } },
    want: {
      status: {
        conditions: [
          { type: "Ready", status: "True" },
          { type: "Other", status: "True" },
        ],
      },
    },
  },
  {
    name: "replaces taints as a whole, so that kubectl can take one away",
    target: {
      spec: {
        taints: [
          { key: "a", effect: "NoSchedule" },
          { key: "b", effect: "NoSchedule" },
        ],
      },
    },
    patch: { spec: { taints: [{ key: "b", effect: "NoSchedule" }] } },
    want: { spec: { taints: [{ key: "b", effect: "NoSchedule" }] } },
  },
  {
    name: "adds to and deletes from finalizers",
    target: { metadata: { finalizers: ["a", "b"] } },
    patch: { metadata: { "$deleteFromPrimitiveList/finalizers": ["a"], finalizers: ["c"] } },
    want: { metadata: { finalizers: ["b", "c"] } },
  },
  {
    name: "orders a list as $setElementOrder says",
    target: { containers: [container("a", "1"), container("b", "1")] },
    patch: {
      "$setElementOrder/containers": [{ name: "c" }, { name: "a" }, { name: "b" }],
      containers: [container("c", "1")],
    },
    want: { containers: [container("c", "1"), container("a", "1"), container("b", "1")] },
  },
  {
    name: "merges a container's ports by containerPort and a service's by port",
    target: { spec: { ports: [{ port: 80, name: "x" }], containers: [{ name: "a", ports: [{ containerPort: 1 }] }] } },
    patch: { spec: { ports: [{ port: 80, name: "y" }], containers: [{ name: "a", ports: [{ containerPort: 2 }] }] } },
    want: {
      spec: {
        ports: [{ port: 80, name: "y" }],
        containers: [{ name: "a", ports: [{ containerPort: 1 }, { containerPort: 2 }] }],
      },
    },
  },
  {
    name: "removes a field with null and makes none of a null that was not there",
    target: { metadata: { labels: { a: "1" } } },
    patch: { metadata: { labels: { a: null, b: null }, annotations: { c: null } } },
    want: { metadata: { labels: {}, annotations: {} } },
  },
];
for (const { name, target, patch, want } of strategic) {
  test(`strategic merge: ${name}`, () => {
    const original = structuredClone(target);
    assert.deepEqual(strategicMerge(target, patch), want);
    assert.deepEqual(target, original);
  });
}

test("strategic merge refuses an entry without its merge key", () => {
  const patch = { containers: [{ image: "1" }] };
  assert.throws(() => strategicMerge({ containers: [] }, patch), /does not contain declared merge key: name/);
});
