/** Which XID errors count, as k8s-device-plugin internal/rm/health.go reads its variables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { xidRules } from "../../src/agent/health/xid-rules.ts";

const rows = [
  { name: "errors of applications do not count", env: {}, counted: [48, 79], ignored: [13, 31, 43, 45, 68, 109] },
  {
    name: "more are ignored, entries that cannot be read are passed over",
    env: { DP_DISABLE_HEALTHCHECKS: "48, 63,x" },
    counted: [79],
    ignored: [13, 48, 63],
  },
  {
    name: "one that is ignored by default can be made to count",
    env: { DP_ENABLE_HEALTHCHECKS: "13" },
    counted: [13, 48],
    ignored: [31],
  },
  {
    name: "one that is disabled can be made to count",
    env: { DP_DISABLE_HEALTHCHECKS: "48,63", DP_ENABLE_HEALTHCHECKS: "48" },
    counted: [48],
    ignored: [63],
  },
  {
    name: "all can be made to count",
    env: { DP_DISABLE_HEALTHCHECKS: "48", DP_ENABLE_HEALTHCHECKS: " ALL " },
    counted: [13, 48, 79],
    ignored: [],
  },
  { name: "all can be disabled", env: { DP_DISABLE_HEALTHCHECKS: "48,All" }, counted: [], ignored: [13, 48, 79] },
  { name: "xids are all", env: { DP_DISABLE_HEALTHCHECKS: "xids" }, counted: [], ignored: [79] },
  { name: "0 is all", env: { DP_DISABLE_HEALTHCHECKS: "0" }, counted: [], ignored: [79] },
  {
    name: "what is listed as enabled counts although all are disabled",
    env: { DP_DISABLE_HEALTHCHECKS: "all", DP_ENABLE_HEALTHCHECKS: "79,13" },
    counted: [13, 79],
    ignored: [48],
  },
];
for (const { name, env, counted, ignored } of rows) {
  test(name, () => {
    const { counts } = xidRules(new Map(Object.entries(env)));
    const wrong = [...counted.filter((xid) => !counts(xid)), ...ignored.filter(counts)];
    assert.deepEqual(wrong, []);
  });
}

test("entries that cannot be read are told with their variable", () => {
  const env = new Map([
    ["DP_DISABLE_HEALTHCHECKS", "48,x,"],
    ["DP_ENABLE_HEALTHCHECKS", "-1,xids"],
  ]);
  assert.deepEqual(
    xidRules(env).unreadable.map(({ variable, entry }) => `${variable} ${entry}`),
    ["DP_DISABLE_HEALTHCHECKS x", "DP_ENABLE_HEALTHCHECKS -1", "DP_ENABLE_HEALTHCHECKS xids"],
  );
});
