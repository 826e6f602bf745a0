/** What a structural schema does to any object, and where a printer column's path leads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { customVersion } from "../../src/embedded/api/custom-version.ts";
import { isObject, type Json } from "../../src/embedded/api/json.ts";
import { parseJsonPath } from "../../src/embedded/api/json-path.ts";

const leaf = {
  type: "object",
  properties: { a: { type: "string", default: "x" }, b: { type: "integer", nullable: true } },
};
const version = customVersion({
  schema: {
    openAPIV3Schema: {
      type: "object",
      properties: {
        a: { ...leaf, default: {} },
        b: { type: "array", items: leaf },
        c: { type: "object", additionalProperties: leaf },
        d: { type: "object", "x-kubernetes-preserve-unknown-fields": true, properties: { a: leaf } },
        e: { type: "object", "x-kubernetes-embedded-resource": true, properties: { a: leaf } },
      },
    },
  },
});

/** Objects that often have the fields of the schema, and often other things in them. */
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<Json>(null, true, 7, "x"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e", "kind", "__proto__"), tie("value"), { maxKeys: 5 }),
  ),
}));
const object = value.filter(isObject);

test("filling an object twice is filling it once, and leaves nothing unknown in it", () => {
  fc.assert(
    fc.property(object, (one) => {
      const filled = version.fill(one);
      assert.deepEqual(version.fill(filled), filled);
      assert.deepEqual(version.unknownFields(filled), []);
    }),
  );
});

test("checking any object ends, with each fault at a place that has a name or is the object itself", () => {
  fc.assert(
    fc.property(object, (one) => {
      for (const { field, message } of version.faults(version.fill(one))) {
        assert.match(field, /^[\w.[\]]*$/);
        assert.notEqual(message, "");
      }
    }),
  );
});

const sample = {
  spec: {
    size: 3,
    "my.key": "k",
    list: [
      { name: "a", ok: true },
      { name: "b", ok: false },
    ],
  },
};

const paths: readonly { readonly path: string; readonly want: readonly Json[] | undefined }[] = [
  { path: ".spec.size", want: [3] },
  { path: "{.spec.size}", want: [3] },
  { path: ".spec.list[1].name", want: ["b"] },
  { path: ".spec.list[-1].name", want: ["b"] },
  { path: ".spec.list[*].name", want: ["a", "b"] },
  { path: '.spec.list[?(@.name=="a")].ok', want: [true] },
  { path: ".spec.list[?(@.name!='a')].ok", want: [false] },
  { path: ".spec['my.key']", want: ["k"] },
  { path: ".spec.my\\.key", want: ["k"] },
  { path: ".spec.none.more", want: [] },
  { path: "spec.size", want: undefined },
  { path: ".spec[", want: undefined },
];

for (const { path, want } of paths) {
  test(`a printer column at ${path} shows ${JSON.stringify(want)}`, () => {
    assert.deepEqual(parseJsonPath(path)?.(sample), want);
  });
}
