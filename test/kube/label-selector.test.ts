import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  labelSelectorMatches,
  matchesLabels,
  parseLabelSelector,
  parseSelector,
  type Requirement,
  selectorText,
} from "../../src/kube/index.ts";

const labels = { app: "web", tier: "front" };

const rows: readonly { name: string; selector: unknown; want: boolean }[] = [
  { name: "a missing selector matches nothing", selector: undefined, want: false },
  { name: "an empty selector matches everything", selector: {}, want: true },
  { name: "null parts count as left out", selector: { matchLabels: null, matchExpressions: null }, want: true },
  { name: "labels match by value", selector: { matchLabels: { app: "web" } }, want: true },
  { name: "all labels must match", selector: { matchLabels: { app: "web", tier: "back" } }, want: false },
  {
    name: "expressions hold beside labels",
    selector: { matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] },
    want: false,
  },
  {
    name: "NotIn takes objects without the label",
    selector: { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] },
    want: true,
  },
  {
    name: "an operator that compares numbers is none for labels",
    selector: { matchExpressions: [{ key: "tier", operator: "Gt", values: ["1"] }] },
    want: false,
  },
  { name: "what cannot be read matches nothing", selector: { matchExpressions: ["app"] }, want: false },
];
for (const { name, selector, want } of rows) {
  test(name, () => assert.equal(labelSelectorMatches(selector, labels), want));
}

test("a selector is written as kubectl writes it", () => {
  const selector = parseLabelSelector({
    matchLabels: { tier: "front", app: "web" },
    matchExpressions: [
      { key: "zone", operator: "In", values: ["b", "a"] },
      { key: "canary", operator: "DoesNotExist" },
      { key: "level", operator: "NotIn", values: ["low"] },
      { key: "owner", operator: "Exists" },
    ],
  });
  assert.equal(selectorText(selector ?? []), "!canary,app=web,level notin (low),owner,tier=front,zone in (a,b)");
});

test("what is written reads back with the same meaning", () => {
  const word = fc.constantFrom("a", "b", "c");
  const requirement: fc.Arbitrary<Requirement> = fc.oneof(
    fc.record({
      key: word,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.uniqueArray(word, { minLength: 1 }),
    }),
    fc.record({
      key: word,
      operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
      values: fc.constant([]),
    }),
  );
  const property = fc.property(fc.array(requirement), fc.dictionary(word, word), (selector, some) => {
    const read = parseSelector(selectorText(selector));
    assert.ok(read.ok);
    assert.equal(matchesLabels(read.value, some), matchesLabels(selector, some));
  });
  fc.assert(property);
});
