/** Which CDI hooks are left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { disabledCdiHooks } from "../../src/config/index.ts";

const rows: readonly {
  readonly name: string;
  readonly set: Readonly<Record<string, string>>;
  readonly want: string;
  readonly told?: string;
}[] = [
  { name: "none by default", set: {}, want: "" },
  { name: "none with an empty variable", set: { CDI_DISABLE_HOOKS: "" }, want: "" },
  {
    name: "those of a list",
    set: { CDI_DISABLE_HOOKS: "update-ldcache , chmod" },
    want: "update-ldcache chmod",
  },
  {
    name: "the option before the variable",
    set: { CDI_DISABLE_HOOKS: "all", "--cdi-disable-hooks": "chmod" },
    want: "chmod",
  },
  {
    name: "every one with all",
    set: { "--cdi-disable-hooks": "all" },
    want: "create-symlinks update-ldcache enable-cuda-compat disable-device-node-modification update-application-profile chmod",
  },
  {
    name: "not one that nobody knows",
    set: { CDI_DISABLE_HOOKS: "chmod,update-ldcach" },
    want: "chmod",
    told: 'CDI_DISABLE_HOOKS="chmod,update-ldcach": unknown CDI hook: update-ldcach',
  },
];
for (const { name, set, want, told } of rows) {
  test(name, () => {
    const { hooks, findings } = disabledCdiHooks(new Map(Object.entries(set)));
    assert.equal([...hooks].join(" "), want);
    assert.deepEqual(
      findings.map((one) => one.message),
      told === undefined ? [] : [told],
    );
  });
}
