/** What stands, written as a mig-parted file, reads back as exactly what stands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exportedMigFile, parseMigParted, selectMigConfig, wantedMig, yamlText } from "../../src/config/index.ts";
import { type Gpu, modelById, validLayouts } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";
import { valueFrom } from "./support/outcomes.ts";

const models = ["a100-sxm4-80gb", "a30-24gb", "h100-sxm5-80gb", "rtx-pro-6000-blackwell-server", "t4-16gb"];

/** A GPU of the model with a layout cut into it, by the number of the layout; 0 is MIG off, 1 MIG on and empty. */
function gpuWith(modelId: string, index: number, choice: number): Gpu {
  const gpu = gpuOf(modelId, index);
  const geometry = modelById(modelId)?.mig;
  if (geometry === undefined || choice === 0) return gpu;
  const layouts = [[], ...validLayouts(geometry)];
  const layout = layouts[(choice - 1) % layouts.length] ?? [];
  const instances = layout.map(({ profile, start }, id) => ({
    id,
    profile,
    placement: { start, size: profile.memorySlices },
    memoryMiB: profile.memoryMiBShare,
    computeInstances: [
      {
        id: 0,
        profile: profile.name,
        uuid: `MIG-${index}-${start}`,
        migIndex: id,
        placement: { start: 0, size: profile.computeSlices },
      },
    ],
  }));
  return { ...gpu, mig: { current: true, pending: true }, instances };
}

const node = fc.array(fc.tuple(fc.constantFrom(...models), fc.oneof(fc.constantFrom(0, 1, 5), fc.nat(500))), {
  minLength: 1,
  maxLength: 8,
});

test("an export reads back as what every GPU has, and reaches every GPU", () => {
  fc.assert(
    fc.property(node, (described) => {
      const gpus = described.map(([model, choice], index) => gpuWith(model, index, choice));
      const text = yamlText(exportedMigFile(gpus, "current"));
      const config = valueFrom(selectMigConfig(valueFrom(parseMigParted(text, "export.yaml")), "current"));
      const { wanted, findings } = wantedMig(config, gpus);
      assert.deepEqual(findings, []);
      const capable = gpus.filter((gpu) => gpu.mig !== undefined);
      assert.deepEqual(
        wanted.map((one) => [one.gpuIndex, one.migEnabled, [...one.counts].sort()]),
        capable.map((gpu) => [gpu.index, gpu.mig?.current, countsOf(gpu)]),
      );
    }),
  );
});

function countsOf({ instances }: Gpu): readonly (readonly [string, number])[] {
  const names = instances.flatMap((one) => one.computeInstances.map(({ profile }) => profile));
  return [...Map.groupBy(names, (name) => name)].map(([name, some]) => [name, some.length] as const).sort();
}

test("GPUs alike share an entry; a filter is there only where types differ", () => {
  const alike = [gpuWith("a100-sxm4-80gb", 0, 0), gpuWith("a100-sxm4-80gb", 1, 0)];
  assert.equal(
    yamlText(exportedMigFile(alike, "current")),
    "version: v1\nmig-configs:\n  current:\n    - devices: all\n      mig-enabled: false\n      mig-devices: {}\n",
  );
  const mixed = [...alike, gpuWith("h100-sxm5-80gb", 2, 0), gpuWith("h100-sxm5-80gb", 3, 1)];
  assert.deepEqual(exportedMigFile(mixed, "x")["mig-configs"]["x"], [
    { "device-filter": "0x20B210DE", devices: "all", "mig-enabled": false, "mig-devices": {} },
    { "device-filter": "0x233010DE", devices: [2], "mig-enabled": false, "mig-devices": {} },
    { "device-filter": "0x233010DE", devices: [3], "mig-enabled": true, "mig-devices": {} },
  ]);
});
