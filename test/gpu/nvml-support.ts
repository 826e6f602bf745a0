/** Nodes behind the C double, and drivers over them, for tests. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { type NvmlDriver, type NvmlDriverOptions, openNvmlDriver } from "../../src/gpu/index.ts";
import { MockNode, type MockNodeOptions } from "../fixtures/mocknvml/mock-node.ts";

/** Symbols that came after branch 470, among those the driver uses. */
export const after470 = [
  "nvmlDeviceGetMemoryInfo_v2",
  "nvmlDeviceGetComputeRunningProcesses_v3",
  "nvmlDeviceGetGraphicsRunningProcesses_v3",
  "nvmlDeviceGetMPSComputeRunningProcesses_v3",
  "nvmlDeviceGetGpuFabricInfo",
  "nvmlDeviceGetGpuInstanceProfileInfoV",
  "nvmlGpuInstanceGetComputeInstanceProfileInfoV",
  "nvmlGpuInstanceGetComputeInstancePossiblePlacements",
  "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
];

/** A node in a directory of its own, removed after the test. */
export async function mockNode(t: Pick<TestContext, "after">, options: MockNodeOptions): Promise<MockNode> {
  const directory = await mkdtemp(join(tmpdir(), "nvml-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return MockNode.create(directory, options);
}

/** What opening the node's library answers. */
export function openNode(node: MockNode, options: Partial<NvmlDriverOptions> = {}) {
  const { libraryPath, root, nvidiaSmi } = node;
  return openNvmlDriver({ libraryPath, root, nvidiaSmi, log: silentLogger, clock: systemClock, ...options });
}

/** A driver over the node, closed after the test; fails when the library cannot be used. */
export async function driverOver(
  t: Pick<TestContext, "after">,
  node: MockNode,
  options: Partial<NvmlDriverOptions> = {},
): Promise<NvmlDriver> {
  const opened = await openNode(node, options);
  assert.ok(opened.ok, JSON.stringify(opened.findings));
  t.after(() => opened.value.close());
  return opened.value;
}
