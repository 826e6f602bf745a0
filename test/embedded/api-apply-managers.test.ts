/** Who owns what after a write, and how a conflict reads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FieldSet } from "../../src/embedded/api/field-set.ts";
import {
  afterUpdate,
  applyConflict,
  conflictsWith,
  type ManagedEntry,
  managedFieldsOf,
  parseManagedFields,
} from "../../src/embedded/api/managed-fields.ts";

const replicas: FieldSet = { "f:spec": { "f:replicas": {} } };
const paused: FieldSet = { "f:spec": { "f:paused": {} } };
const time = "2026-01-01T00:00:00Z";

function entry(manager: string, operation: "Apply" | "Update", fields: FieldSet): ManagedEntry {
  return { manager, operation, apiVersion: "apps/v1", subresource: "", time, fields };
}

function summary(entries: readonly ManagedEntry[]): readonly (readonly [string, FieldSet])[] {
  return entries.map(({ manager, fields }) => [manager, fields]);
}

test("an update takes the field it changes from its owner", () => {
  const before = [entry("a", "Apply", replicas)];
  const by = entry("b", "Update", {});
  assert.deepEqual(summary(afterUpdate(before, by, { changed: replicas, removed: {} })), [["b", replicas]]);
});

test("an update adds to what its manager owned, and nobody owns what is gone", () => {
  const before = [entry("a", "Update", paused), entry("b", "Apply", paused)];
  const by = entry("a", "Update", {});
  assert.deepEqual(summary(afterUpdate(before, by, { changed: replicas, removed: paused })), [["a", replicas]]);
});

test("an update that changes nothing leaves every time as it was", () => {
  const before = [entry("a", "Update", paused)];
  assert.equal(afterUpdate(before, entry("a", "Update", {}), { changed: {}, removed: {} }), before);
});

test("who only removes fields keeps the time of its last change", () => {
  const both: FieldSet = { "f:spec": { "f:replicas": {}, "f:paused": {} } };
  const by = { ...entry("a", "Update", {}), time: "2026-02-02T00:00:00Z" };
  const timeAfter = (changed: FieldSet, removed: FieldSet): string | undefined =>
    afterUpdate([entry("a", "Update", both)], by, { changed, removed })[0]?.time;
  assert.equal(timeAfter({}, paused), time);
  assert.equal(timeAfter(replicas, paused), by.time);
});

test("an applier and an updater of one name are two owners", () => {
  const before = [entry("a", "Apply", paused)];
  const after = afterUpdate(before, entry("a", "Update", {}), { changed: replicas, removed: {} });
  assert.deepEqual(summary(after), [
    ["a", paused],
    ["a", replicas],
  ]);
});

test("entries read back as they were written, appliers first", () => {
  const entries = [entry("u", "Update", paused), { ...entry("a", "Apply", replicas), subresource: "status" }];
  assert.deepEqual(parseManagedFields(managedFieldsOf(entries)), [entries[1], entries[0]]);
});

test("what is no entry is not read", () => {
  for (const list of [[{}], ["x"], [{ operation: "Update", fieldsV1: { spec: {} } }]]) {
    assert.equal(parseManagedFields(list), undefined);
  }
});

test("one conflict names its owner and field", () => {
  const error = applyConflict(conflictsWith([entry("kubectl", "Update", replicas)], replicas));
  assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas');
  assert.deepEqual(error.status["details"], {
    causes: [
      { reason: "FieldManagerConflict", message: 'conflict with "kubectl" using apps/v1', field: ".spec.replicas" },
    ],
  });
  assert.deepEqual([error.code, error.reason], [409, "Conflict"]);
});

test("several conflicts are listed by owner", () => {
  const both = { "f:spec": { "f:replicas": {}, "f:paused": {} } };
  const owners = [entry("z", "Apply", replicas), { ...entry("a", "Update", both), subresource: "scale" }];
  assert.equal(
    applyConflict(conflictsWith(owners, both)).message,
    [
      'Apply failed with 3 conflicts: conflicts with "a" with subresource "scale" using apps/v1:',
      "- .spec.replicas",
      "- .spec.paused",
      'conflicts with "z":',
      "- .spec.replicas",
    ].join("\n"),
  );
});

test("what others own but the applier leaves as it is makes no conflict", () => {
  assert.deepEqual(conflictsWith([entry("a", "Apply", replicas)], paused), []);
});
