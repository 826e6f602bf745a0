/** The contract every driver fulfils, over the C double. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { driverContract } from "./driver-contract.ts";
import { model } from "./models.ts";
import { openNode } from "./nvml-support.ts";

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
    return { driver: opened.value, gpuUuid: node.uuids[1], close };
  });
}
