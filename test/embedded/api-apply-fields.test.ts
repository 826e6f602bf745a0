/** Sets of fields as functions: what an object names, what a write changed, in the notation of `fieldsV1`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { difference, type FieldSet, intersection, memberPaths, union } from "../../src/embedded/api/field-set.ts";
import { compareFields, fieldSetOf } from "../../src/embedded/api/field-set-of.ts";
import type { JsonObject } from "../../src/embedded/api/json.ts";
import { fieldSchemaOf, startingObject } from "../../src/embedded/api/managed-fields-schema.ts";
import { Registry } from "../../src/embedded/api/registry.ts";
import { Store } from "../../src/embedded/api/store.ts";
import { builtInTypes } from "../../src/embedded/api/types.ts";

const registry = new Registry(builtInTypes);
const context = { store: new Store(), registry, clock: systemClock, log: silentLogger, readLogs: undefined };

function typeOf(group: string, plural: string) {
  const type = registry.find(group, "v1", plural);
  assert.ok(type);
  return type;
}

const deployments = typeOf("apps", "deployments");
const schema = fieldSchemaOf(context, deployments);
const leaf: FieldSet = {};

function withContainers(...containers: readonly JsonObject[]): JsonObject {
  return { spec: { template: { spec: { containers } } } };
}

function inContainers(set: FieldSet): FieldSet {
  return { "f:spec": { "f:template": { "f:spec": { "f:containers": set } } } };
}

const named: readonly { readonly name: string; readonly object: JsonObject; readonly want: FieldSet }[] = [
  {
    name: "names a field through what is in it",
    object: { spec: { replicas: 2 } },
    want: { "f:spec": { "f:replicas": leaf } },
  },
  {
    name: "owns a selector as a whole",
    object: { spec: { selector: { matchLabels: { a: "b" } } } },
    want: { "f:spec": { "f:selector": leaf } },
  },
  { name: "owns an empty object", object: { metadata: { labels: {} } }, want: { "f:metadata": { "f:labels": leaf } } },
  {
    name: "tells containers apart by name and owns each",
    object: withContainers({ name: "a", image: "x", args: ["1", "2"] }),
    want: inContainers({ 'k:{"name":"a"}': { ".": leaf, "f:name": leaf, "f:image": leaf, "f:args": leaf } }),
  },
  {
    name: "fills the protocol into the key of a port",
    object: withContainers({ name: "a", ports: [{ containerPort: 80 }] }),
    want: inContainers({
      'k:{"name":"a"}': {
        ".": leaf,
        "f:name": leaf,
        "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": leaf, "f:containerPort": leaf } },
      },
    }),
  },
  {
    name: "owns owner references one by one and finalizers as a set",
    object: { metadata: { ownerReferences: [{ uid: "u", name: "n" }], finalizers: ["a/b"] } },
    want: { "f:metadata": { "f:ownerReferences": { 'k:{"uid":"u"}': leaf }, "f:finalizers": { 'v:"a/b"': leaf } } },
  },
];
for (const { name, object, want } of named) {
  test(name, () => assert.deepEqual(fieldSetOf(object, schema), want));
}

test("takes a creator's fields as added, but not the structures that are always there", () => {
  const made = { ...withContainers({ name: "a", image: "x" }), metadata: { labels: { app: "a" } } };
  assert.deepEqual(compareFields(startingObject(deployments), made, schema).changed, {
    ...inContainers({ 'k:{"name":"a"}': { ".": leaf, "f:name": leaf, "f:image": leaf } }),
    "f:metadata": { "f:labels": { ".": leaf, "f:app": leaf } },
  });
});

test("tells what a write changed from what it removed", () => {
  const before = withContainers({ name: "a", image: "x", tty: true }, { name: "b", image: "y" });
  const after = withContainers({ name: "a", image: "z" });
  const { changed, removed } = compareFields(before, after, schema);
  assert.deepEqual(memberPaths(changed), ['.spec.template.spec.containers[name="a"].image']);
  assert.deepEqual(memberPaths(removed), [
    '.spec.template.spec.containers[name="a"].tty',
    '.spec.template.spec.containers[name="b"]',
    '.spec.template.spec.containers[name="b"].name',
    '.spec.template.spec.containers[name="b"].image',
  ]);
});

test("sees no change in the order of entries that have keys", () => {
  const [a, b]: readonly JsonObject[] = [{ name: "a" }, { name: "b" }];
  assert.ok(a && b);
  assert.deepEqual(compareFields(withContainers(a, b), withContainers(b, a), schema), { changed: {}, removed: {} });
});

/** Random trees of up to three levels over few names, so that they overlap. */
const sets: fc.Arbitrary<FieldSet> = fc
  .letrec<{ readonly set: FieldSet }>((tie) => ({
    set: fc.dictionary(fc.constantFrom("f:a", "f:b", "."), fc.oneof({ maxDepth: 3 }, fc.constant({}), tie("set")), {
      maxKeys: 3,
    }),
  }))
  .set.map(withPlainDots);

function withPlainDots(set: FieldSet): FieldSet {
  return Object.fromEntries(Object.entries(set).map(([key, node]) => [key, key === "." ? {} : withPlainDots(node)]));
}

test("unites, takes away and intersects as sets of paths do", () => {
  fc.assert(
    fc.property(sets, sets, (a, b) => {
      const [left, right] = [memberPaths(a), memberPaths(b)];
      const members = (set: FieldSet): ReadonlySet<string> => new Set(memberPaths(set));
      assert.deepEqual(members(union(a, b)), new Set([...left, ...right]));
      assert.deepEqual(members(difference(a, b)), new Set(left.filter((one) => !right.includes(one))));
      assert.deepEqual(members(intersection(a, b)), new Set(left.filter((one) => right.includes(one))));
    }),
  );
});
