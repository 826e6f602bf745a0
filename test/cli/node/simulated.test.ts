/** The node's own commands over simulated GPUs. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { simulatedMachine } from "./machine.ts";
import { nodeCommandSuite } from "./suite.ts";

nodeCommandSuite("simulated GPUs", simulatedMachine);

test("simulated GPUs whose file is damaged: told with its path, and what to do", async (t) => {
  const machine = await simulatedMachine(t, "A30");
  const saved = { version: 1, models: ["a30-24gb"], layouts: [], modePending: [] };
  const damages = ["", "{}", { ...saved, layouts: [{ gpuIndex: 0 }] }, { ...saved, models: ["no-such"] }];
  for (const damage of damages) {
    const text = typeof damage === "string" ? damage : JSON.stringify(damage);
    await writeFile(join(machine.directory, "state/simulated-gpus.json"), text);
    const { code, progress } = await machine.run("gpus");
    assert.equal(code, 1, text);
    assert.match(progress, /^error simulated-gpus-unreadable: .*simulated-gpus\.json\n.*\n {2}→ remove the file/, text);
  }
});

test("simulated GPUs that cannot be kept: told with the directory, and what to do", async (t) => {
  const machine = await simulatedMachine(t, "A30");
  const stateDir = join(machine.directory, "state");
  await rm(stateDir, { recursive: true, force: true });
  await writeFile(stateDir, "");
  const { code, progress } = await machine.run("gpus", "--simulated-gpus", "A30");
  assert.equal(code, 1);
  assert.match(progress, /^error state-dir-unusable: .*state\n.*EEXIST.*\n {2}→ choose a directory/);
});
