/**
 * What the agent needs of the machine beside its GPUs: files for containers, the machine's name, MPS control daemons.
 */
import {
  hostFilesReader,
  type MpsMachine,
  machineTypeReader,
  type NodeAgentOptions,
  systemMps,
} from "../../agent/index.ts";
import type { GpuDriver } from "../../gpu/index.ts";
import { simulatedHostFiles } from "../up/simulated-files.ts";
import type { AgentArguments } from "./command.ts";

/** What stands for the product name of a machine with simulated GPUs. */
const SIMULATED_MACHINE = "simulated";

export type MachineSide = Pick<NodeAgentOptions, "readHostFiles" | "cdiDirectory" | "features" | "mps">;

/** The real machine's, or what simulated GPUs bring along: `simulatedMps` is `undefined` for real ones. */
export function machineSide(
  { machine, cdiDirectory, mpsControl, mpsMultiUser, settings }: AgentArguments,
  driver: Pick<GpuDriver, "driverVersion">,
  simulatedMps: MpsMachine | undefined,
): MachineSide {
  const { root, nvidiaSmi: smiBinary = "nvidia-smi" } = machine;
  if (simulatedMps !== undefined) {
    const readMachineType = async (): Promise<string> => SIMULATED_MACHINE;
    const features = { environment: settings, root, readMachineType };
    return { cdiDirectory, readHostFiles: simulatedHostFiles, features, mps: simulatedMps };
  }
  return {
    cdiDirectory,
    // The driver may come later, or in another version.
    readHostFiles: (roots, gpus) => hostFilesReader({ root, driverVersion: driver.driverVersion })(roots, gpus),
    features: { environment: settings, root, readMachineType: machineTypeReader(root) },
    mps: systemMps({
      binary: mpsControl,
      startArguments: mpsMultiUser ? ["-d", "-M"] : ["-d"],
      smiBinary,
      searchPath: process.env["PATH"] ?? "",
    }),
  };
}
