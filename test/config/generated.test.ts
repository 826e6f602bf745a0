/** NVIDIA mig-parted pkg/mig/builder/builder.go and balanced.go: which configs a node has when nobody wrote any. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { generatedMigConfigs, type MigPartedFile, wantedMig } from "../../src/config/index.ts";
import { catalogue, modelById } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";

/** `[filter …] 2x1g.10gb 1x3g.40gb`, `on` and `off` without devices; entries joined by ` | `. */
function configText(file: MigPartedFile, name: string): string | undefined {
  return file.configs
    .get(name)
    ?.entries.map(({ deviceFilter, migEnabled, migDevices }) => {
      const devices = [...migDevices].map(([profile, count]) => `${count}x${profile}`);
      const filter = deviceFilter.length === 0 ? [] : [`[${deviceFilter.join(" ")}]`];
      return [...filter, migEnabled ? "on" : "off", ...devices].join(" ");
    })
    .join(" | ");
}

/** All configs of a node with one GPU of each model, as `name: text`. */
function configsOf(...modelIds: readonly string[]): readonly string[] {
  const file = generatedMigConfigs(modelIds.map((id, index) => gpuOf(id, index)));
  return [...file.configs.keys()].map((name) => `${name}: ${configText(file, name)}`);
}

test("an A100-80GB has a config for each of its profiles at the most instances of it, and a balanced one", () => {
  assert.deepEqual(configsOf("a100-sxm4-80gb"), [
    "all-disabled: off",
    "all-enabled: on",
    "all-1g.10gb: on 7x1g.10gb",
    "all-1g.10gb.me: on 1x1g.10gb+me",
    "all-1g.20gb: on 4x1g.20gb",
    "all-2g.20gb: on 3x2g.20gb",
    "all-3g.40gb: on 2x3g.40gb",
    "all-4g.40gb: on 1x4g.40gb",
    "all-7g.80gb: on 1x7g.80gb",
    "all-balanced: on 2x1g.10gb 1x2g.20gb 1x3g.40gb",
  ]);
});

test("an A30 has NVIDIA's fixed list and a balance of four slots", () => {
  assert.deepEqual(configsOf("a30-24gb").toSorted(), [
    "all-1g.6gb.me: on 1x1g.6gb+me",
    "all-1g.6gb: on 4x1g.6gb",
    "all-2g.12gb.me: on 1x2g.12gb+me",
    "all-2g.12gb: on 2x2g.12gb",
    "all-4g.24gb: on 1x4g.24gb",
    "all-balanced: on 2x1g.6gb 1x2g.12gb",
    "all-disabled: off",
    "all-enabled: on",
  ]);
});

test("an RTX PRO 6000 is balanced with plain profiles, never with those that have attributes", () => {
  const configs = configsOf("rtx-pro-6000-blackwell-server");
  assert.ok(configs.includes("all-balanced: on 2x1g.24gb 1x2g.48gb"), configs.join("\n"));
  assert.ok(configs.includes("all-1g.24gb.gfx: on 4x1g.24gb+gfx"), configs.join("\n"));
  assert.ok(configs.includes("all-1g.24gb.me.all: on 1x1g.24gb+me.all"), configs.join("\n"));
  assert.ok(configs.includes("all-1g.24gb-me: on 4x1g.24gb-me"), configs.join("\n"));
});

const mixed = [
  {
    name: "types with the same count of a profile share one entry with both filters, sorted",
    models: ["h100-sxm5-80gb", "a100-sxm4-80gb"],
    config: "all-1g.10gb",
    want: "[0x20B210DE 0x233010DE] on 7x1g.10gb",
  },
  {
    name: "types with different counts of a profile have an entry for each count",
    models: ["a100-sxm4-40gb", "a100-sxm4-80gb"],
    config: "all-1g.10gb",
    want: "[0x20B010DE] on 4x1g.10gb | [0x20B210DE] on 7x1g.10gb",
  },
  {
    name: "a profile that one type has only leaves the other types out",
    models: ["a100-sxm4-40gb", "a100-sxm4-80gb"],
    config: "all-3g.40gb",
    want: "[0x20B210DE] on 2x3g.40gb",
  },
  {
    name: "each type has its own balance",
    models: ["a100-sxm4-80gb", "a30-24gb"],
    config: "all-balanced",
    want: "[0x20B210DE] on 2x1g.10gb 1x2g.20gb 1x3g.40gb | [0x20B710DE] on 2x1g.6gb 1x2g.12gb",
  },
  {
    name: "a GPU without MIG is no type of its own, so a single MIG type needs no filter",
    models: ["t4-16gb", "a100-sxm4-80gb", "a100-sxm4-80gb"],
    config: "all-3g.40gb",
    want: "on 2x3g.40gb",
  },
  {
    name: "turning MIG off needs no filter, whatever the types",
    models: ["a100-sxm4-40gb", "a100-sxm4-80gb"],
    config: "all-disabled",
    want: "off",
  },
];
for (const { name, models, config, want } of mixed) {
  test(name, () => {
    const file = generatedMigConfigs(models.map((id, index) => gpuOf(id, index)));
    assert.equal(configText(file, config), want);
  });
}

test("a node without MIG GPUs can only be told to have MIG on or off", () => {
  assert.deepEqual(configsOf("t4-16gb", "t4-16gb"), ["all-disabled: off", "all-enabled: on"]);
});

test("no balance exists where the wide profile of the rule does not", () => {
  const a100 = gpuOf("a100-sxm4-80gb", 0);
  const profiles = a100.profiles.filter((profile) => profile.computeSlices !== 3);
  assert.equal(generatedMigConfigs([{ ...a100, profiles }]).configs.has("all-balanced"), false);
});

test("no balance exists for a GPU of neither seven nor four slots", () => {
  const a30 = gpuOf("a30-24gb", 0);
  const profiles = a30.profiles.filter((profile) => profile.computeSlices < 4);
  const configs = generatedMigConfigs([{ ...a30, profiles }]).configs;
  assert.deepEqual([configs.has("all-1g.6gb"), configs.has("all-balanced")], [true, false]);
});

test("every GPU of the catalogue can be cut as each of its generated configs says", () => {
  const capable = catalogue().filter((model) => modelById(model.id)?.mig !== undefined);
  assert.ok(capable.length > 20);
  for (const { id } of capable) {
    const gpus = [gpuOf(id, 0)];
    for (const config of generatedMigConfigs(gpus).configs.values()) {
      const { wanted, findings } = wantedMig(config, gpus);
      assert.deepEqual([wanted.length, findings.map((one) => one.message)], [1, []], `${id} ${config.name}`);
    }
  }
});
