/** The contract every driver fulfils, over the C double. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GpuDriver } from "../../src/gpu/index.ts";
import { MockNode, type MockNodeOptions } from "../fixtures/mocknvml/mock-node.ts";
import { until } from "../support/until.ts";
import { driverContract } from "./driver-contract.ts";
import { model } from "./models.ts";
import { after470, openNode } from "./nvml-support.ts";

/** The ids of the instance that a MIG device is; none for a whole GPU. */
async function placeOf(driver: GpuDriver, device: string) {
  for (const { instances } of await driver.list()) {
    for (const instance of instances) {
      const found = instance.computeInstances.find(({ uuid }) => uuid === device);
      if (found !== undefined) return { gpuInstanceId: instance.id, computeInstanceId: found.id };
    }
  }
  return {};
}

async function registered(node: MockNode): Promise<boolean> {
  const calls = await node.calls();
  return calls.filter(({ symbol }) => symbol === "nvmlDeviceRegisterEvents").length === node.uuids.length;
}

const rows: readonly (Omit<MockNodeOptions, "models"> & { readonly id: string })[] = [
  { id: "a100-sxm4-40gb", driverVersion: "470.256.02", hidden: after470 },
  { id: "h100-sxm5-80gb" },
  { id: "a30-24gb", reversedIds: true },
  { id: "rtx-pro-6000-blackwell-server" },
];

for (const { id, ...options } of rows) {
  driverContract(`nvml ${id} ${options.driverVersion ?? ""}`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "nvml-"));
    const node = await MockNode.create(directory, { ...options, models: [model("t4-16gb"), model(id)] });
    const opened = await openNode(node);
    if (!opened.ok) throw new Error(JSON.stringify(opened.findings));
    const close = async (): Promise<void> => {
      await opened.value.close();
      const stale = (await node.calls()).filter(({ remark }) => remark === "stale");
      assert.deepEqual(stale, [], "a handle was used that was no longer good");
      await rm(directory, { recursive: true, force: true });
    };
    const driver = opened.value;
    let pid = 4_000_000;
    return {
      driver,
      gpuUuid: node.uuids[1],
      startProcess: async (device, started) => {
        pid += 1;
        return node.startProcess({ gpu: 1, pid, ...started, ...(await placeOf(driver, device)) });
      },
      raiseXid: (xid) => node.raiseXid(1, xid),
      listening: () => until("the GPUs are registered", () => registered(node)),
      close,
    };
  });
}
