/** CDI specs of a simulated node's devices, written as the agent does. */
import { simulatedHostFiles } from "../../../src/cli/up/simulated-files.ts";
import type { Gpu } from "../../../src/gpu/index.ts";
import { CdiDirectory } from "../../../src/kubelet/index.ts";
import { cdiSpecs } from "../../../src/sharing/index.ts";

const settings = {
  nvidiaDriverRoot: "/",
  nvidiaDevRoot: "/",
  nvidiaCtkPath: "/usr/bin/nvidia-ctk",
  deviceListStrategy: ["cdi-cri"],
  deviceIdStrategy: "uuid",
  gdrcopyEnabled: false,
  gdsEnabled: false,
  mofedEnabled: false,
} as const;

/** Describes every GPU that is not cut and every MIG device by its UUID. */
export async function describeDevices(directory: string, gpus: readonly Gpu[]): Promise<void> {
  const host = await simulatedHostFiles({ nvidiaDriverRoot: "/", nvidiaDevRoot: "/", containerDriverRoot: "" }, gpus);
  const parts = gpus.flatMap(({ instances }) => instances.flatMap((one) => one.computeInstances));
  const offered = new Set([...gpus, ...parts].map(({ uuid }) => uuid));
  const specs = cdiSpecs({ gpus, offered, settings, host, driverVersion: "580.95.05", imexChannels: [] });
  await new CdiDirectory(directory).write(specs);
}
