import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseMigParted, wantedMig } from "../../src/config/index.ts";
import { catalogue } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";
import { valueFrom } from "./support/outcomes.ts";
import { shippedConfigs } from "./support/shipped-configs.ts";

describe("the configs that NVIDIA ships", () => {
  const outcome = parseMigParted(shippedConfigs(), "config-default.yaml");
  const { configs } = valueFrom(outcome);

  test("all 81 are read without a remark", () => {
    assert.deepEqual(outcome.findings, []);
    assert.equal(configs.size, 81);
  });

  const rows = [
    { model: "a100-sxm4-80gb", config: "all-1g.10gb", want: { "1g.10gb": 7 } },
    { model: "a100-sxm4-40gb", config: "all-1g.10gb", want: { "1g.10gb": 4 } },
    { model: "a100-sxm4-80gb", config: "all-balanced", want: { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 } },
    { model: "h100-sxm5-80gb", config: "all-balanced", want: { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 } },
    { model: "a30-24gb", config: "all-balanced", want: { "1g.6gb": 2, "2g.12gb": 1 } },
    { model: "h200-sxm-141gb", config: "all-1g.35gb", want: { "1g.35gb": 4 } },
    { model: "rtx-pro-6000-blackwell-server", config: "all-1g.24gb.me.all", want: { "1g.24gb+me.all": 1 } },
    { model: "h100-sxm5-80gb", config: "all-enabled", want: {} },
  ];
  for (const { model, config, want } of rows) {
    test(`${config} on ${model}`, () => {
      const chosen = configs.get(config);
      assert.ok(chosen);
      const { wanted, findings } = wantedMig(chosen, [gpuOf(model, 0)]);
      assert.deepEqual(
        findings.filter((one) => one.severity !== "info"),
        [],
      );
      assert.deepEqual(
        wanted.map((one) => [one.migEnabled, Object.fromEntries(one.counts)]),
        [[true, want]],
      );
    });
  }

  test("each suits some model of the catalogue, or has profiles that no model has", () => {
    const models = catalogue().filter((model) => model.mig !== undefined);
    const known = new Set(models.flatMap((model) => model.mig?.profiles.map((profile) => profile.name) ?? []));
    for (const [name, config] of configs) {
      if (![...config.entries].every((entry) => [...entry.migDevices.keys()].every((one) => known.has(one)))) continue;
      const suits = models.some((model) => {
        const { wanted, findings } = wantedMig(config, [gpuOf(model.id, 0)]);
        return wanted.length === 1 && findings.every((one) => one.severity !== "error");
      });
      assert.ok(suits, name);
    }
  });
});
