/**
 * Every config that NVIDIA ships, on a GPU of each model that it suits: applied, asserted and exported to a fixed point,
 * and no NVML call changes anything once it stands.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parseMigParted, wantedMig } from "../../../src/config/index.ts";
import { catalogue } from "../../../src/gpu/index.ts";
import { gpuOf } from "../../config/support/gpus.ts";
import { valueFrom } from "../../config/support/outcomes.ts";
import { shippedConfigs } from "../../config/support/shipped-configs.ts";
import { nvmlMachine } from "./nvml-machine.ts";
import { assertFixedPoint } from "./suite.ts";

const { configs } = valueFrom(parseMigParted(shippedConfigs(), "config-default.yaml"));
/** One model for each way to be cut: products that share their layout with another add nothing. */
const models = catalogue().filter(({ mig, aliasOf }) => mig !== undefined && aliasOf === undefined);
const used = new Set<string>();

for (const { id } of models) {
  const suiting = [...configs.values()].filter((config) => {
    const { wanted, findings } = wantedMig(config, [gpuOf(id, 0)]);
    return wanted.length === 1 && findings.every(({ severity }) => severity !== "error");
  });
  // What another model of the same profiles was tried with need not be tried again.
  const profiles = JSON.stringify(suiting.map((config) => config.name));
  if (suiting.length <= 2 || used.has(profiles)) continue;
  used.add(profiles);
  test(`${id}: ${suiting.map(({ name }) => name).join(", ")}`, async (t) => {
    const machine = await nvmlMachine(t, id);
    const file = join(machine.directory, "shipped.yaml");
    await writeFile(file, shippedConfigs());
    for (const { name } of suiting) {
      await assertFixedPoint(machine, file, name);
      const changes = (await machine.node.changes()).length;
      assert.equal((await machine.run("mig", "apply", "-f", file, "-c", name)).code, 0);
      assert.equal((await machine.node.changes()).length, changes, name);
    }
  });
}
