/** The contract every driver fulfils, over the C double. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GpuDriver } from "../../src/gpu/index.ts";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { until } from "../support/until.ts";
import { driverContract } from "./driver-contract.ts";
import { model } from "./models.ts";
import { openNode } from "./nvml-support.ts";

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

for (const id of ["a100-sxm4-40gb", "h100-sxm5-80gb", "a30-24gb", "rtx-pro-6000-blackwell-server", "h20-96gb"]) {
  driverContract(`nvml ${id}`, async () => {
    const directory = await mkdtemp(join(tmpdir(), "nvml-"));
    const node = await MockNode.create(directory, { models: [model("t4-16gb"), model(id)] });
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
