/** A machine whose GPUs stand behind the double of NVIDIA's library. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { parseGpus } from "../../../src/cli/up/nodes.ts";
import { MockNode } from "../../fixtures/mocknvml/mock-node.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { type Machine, machineOf } from "./machine.ts";

export interface NvmlMachine extends Machine {
  readonly node: MockNode;
}

export async function nvmlMachine(t: TestContext, gpus: string): Promise<NvmlMachine> {
  const models = parseGpus(gpus, { kind: "command", name: "test" }, undefined);
  assert.ok(models.ok);
  const directory = await temporaryDirectory(t);
  const nodeDirectory = join(directory, "node");
  await mkdir(nodeDirectory);
  const node = await MockNode.create(nodeDirectory, { models: models.value });
  const options = ["--driver", "nvml", "--nvml-library", node.libraryPath, "--nvidia-smi", node.nvidiaSmi];
  return { ...machineOf(directory, node.root, options), node };
}
