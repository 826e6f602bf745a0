/** GPUs as a driver would report them, from the catalogue. */
import assert from "node:assert/strict";
import { type Gpu, modelById } from "../../../src/gpu/index.ts";

/** One GPU of a catalogue model at an index; `subsystem` is `<device><vendor>` in hexadecimal. */
export function gpuOf(modelId: string, index: number, subsystem = "000010DE"): Gpu {
  const model = modelById(modelId);
  assert.ok(model, `no model ${modelId}`);
  return {
    index,
    uuid: `GPU-${modelId}-${index}`,
    name: model.nvmlName,
    modelId,
    minor: index,
    pci: {
      busId: `0000:${(index + 7).toString(16).padStart(2, "0")}:00.0`,
      deviceId: model.pciDeviceIds[0] ?? "0000",
      vendorId: "10DE",
      subsystemDeviceId: subsystem.slice(0, 4),
      subsystemVendorId: subsystem.slice(4),
    },
    numaNode: undefined,
    memoryMiB: model.memoryMiB,
    computeCapability: model.computeCapability,
    mig: model.mig === undefined ? undefined : { current: false, pending: false },
    instances: [],
    profiles: model.mig?.profiles ?? [],
  };
}
