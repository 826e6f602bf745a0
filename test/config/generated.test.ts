import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { generatedMigConfigs, type MigPartedFile, selectMigConfig, wantedMig } from "../../src/config/index.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";
import { valueFrom } from "./support/outcomes.ts";

/** `filters -> profile×count …` of each entry. */
function entriesOf(file: MigPartedFile, name: string): readonly string[] {
  return valueFrom(selectMigConfig(file, name)).entries.map(
    ({ deviceFilter, migDevices }) =>
      `${deviceFilter.join(" ")} -> ${[...migDevices].map(([profile, count]) => `${profile}×${count}`).join(" ")}`,
  );
}

// NVIDIA mig-parted pkg/mig/builder/builder.go and balanced.go.
describe("configs made from a node's GPUs", () => {
  const a100 = gpuOf("a100-sxm4-80gb", 0);
  const h200 = gpuOf("h200-sxm-141gb", 1);

  test("one model needs no filter", () => {
    const file = generatedMigConfigs([a100]);
    assert.deepEqual(entriesOf(file, "all-1g.10gb"), [" -> 1g.10gb×7"]);
    assert.deepEqual(entriesOf(file, "all-1g.10gb.me"), [" -> 1g.10gb+me×1"]);
    assert.deepEqual(entriesOf(file, "all-balanced"), [" -> 1g.10gb×2 2g.20gb×1 3g.40gb×1"]);
  });

  test("several models are told apart by filters", () => {
    const file = generatedMigConfigs([a100, h200]);
    assert.deepEqual(entriesOf(file, "all-1g.10gb"), ["0x20B210DE -> 1g.10gb×7"]);
    assert.deepEqual(entriesOf(file, "all-balanced"), [
      "0x20B210DE -> 1g.10gb×2 2g.20gb×1 3g.40gb×1",
      "0x233510DE -> 1g.18gb×2 2g.35gb×1 3g.71gb×1",
    ]);
  });

  test("four slices are balanced without a third kind", () => {
    assert.deepEqual(entriesOf(generatedMigConfigs([gpuOf("a30-24gb", 0)]), "all-balanced"), [
      " -> 1g.6gb×2 2g.12gb×1",
    ]);
  });

  test("a node without MIG has only on and off", () => {
    const file = generatedMigConfigs([gpuOf("t4-16gb", 0)]);
    assert.deepEqual([...file.configs.keys()], ["all-disabled", "all-enabled"]);
  });

  test("each suits the GPUs it was made for", () => {
    const gpus: readonly Gpu[] = [a100, h200, gpuOf("t4-16gb", 2)];
    for (const config of generatedMigConfigs(gpus).configs.values()) {
      const { findings } = wantedMig(config, gpus);
      assert.deepEqual(
        findings.filter((one) => one.severity !== "info"),
        [],
        config.name,
      );
    }
  });
});
