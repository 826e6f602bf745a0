/** Applying as kubectl does: what is removed, what is set, what stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyPatch, LAST_APPLIED, withLastApplied } from "../../src/cli/up/last-applied.ts";
import type { ConfigMap } from "../../src/kube/index.ts";

function configMap(data: Record<string, string>, annotations?: Record<string, string>): ConfigMap {
  const metadata = { name: "a", namespace: "default", ...(annotations === undefined ? {} : { annotations }) };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data };
}

/** RFC 7386, as the server applies it. */
function merged(target: unknown, patch: unknown): unknown {
  const isObject = (value: unknown): value is object =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(patch)) return patch;
  const result = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, merged(result.get(key), value));
  }
  return Object.fromEntries(result);
}

test("a field that is applied no more goes, one that others have set stays, one that others changed is set", () => {
  const first = withLastApplied(configMap({ a: "1", b: "1" }, { mine: "x" }));
  const live = { ...first, data: { ...first.data, b: "9", theirs: "9" } };
  const wanted = withLastApplied(configMap({ b: "1", c: "1" }));
  const after = merged(live, applyPatch(live, wanted)) as ConfigMap;
  assert.deepEqual(after.data, { b: "1", c: "1", theirs: "9" });
  assert.deepEqual(Object.keys(after.metadata.annotations ?? {}), [LAST_APPLIED]);
  assert.deepEqual(merged(after, applyPatch(after, wanted)), after);
});

test("the annotation holds the object without itself, letter by letter as kubectl writes it", () => {
  const once = withLastApplied(configMap({ b: "<1>", a: "x&y" }));
  const text = once.metadata.annotations?.[LAST_APPLIED] ?? "";
  // From kubectl 1.35 apply of the same ConfigMap.
  const want =
    '{"apiVersion":"v1","data":{"a":"x\\u0026y","b":"\\u003c1\\u003e"},"kind":"ConfigMap","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n';
  assert.equal(text, want);
  assert.deepEqual(withLastApplied(once), once);
});

test("an annotation that somebody has broken removes nothing", () => {
  const live = configMap({ a: "1" }, { [LAST_APPLIED]: "{" });
  const wanted = withLastApplied(configMap({ b: "1" }));
  assert.deepEqual((merged(live, applyPatch(live, wanted)) as ConfigMap).data, { a: "1", b: "1" });
});
