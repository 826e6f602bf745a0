/**
 * Opens the driver that a command asks for.
 */
import { type Finding, type Logger, type Outcome, systemClock } from "../../base/index.ts";
import { type GpuDriver, openNvmlDriver, type SimulatedDriver } from "../../gpu/index.ts";
import type { NodeArguments } from "./options.ts";

/** A driver and how to let go of it. */
export interface OpenDriver {
  readonly driver: GpuDriver;
  /** The MPS control daemons of simulated GPUs; `undefined` for real ones. */
  readonly simulatedMps: SimulatedDriver["mps"] | undefined;
  /** What is to be said about the library and the GPUs, as of the last list. */
  findings(): readonly Finding[];
  close(): Promise<void>;
}

/** The GPUs of this machine, or the finding that says why they cannot be reached. */
export async function openDriver(args: NodeArguments, log: Logger): Promise<Outcome<OpenDriver>> {
  if (args.driver === "simulated") {
    // Loaded only where GPUs are simulated, as the native library is only where they are real.
    const { openSimulatedNode } = await import("./simulated-node.ts");
    const opened = await openSimulatedNode(args.stateDir, args.simulatedGpus);
    if (!opened.ok) return opened;
    const { driver, mps } = opened.value;
    const value = { driver, simulatedMps: mps, findings: () => [], close: async () => {} };
    return { ok: true, value, findings: [] };
  }
  const { nvmlLibrary, nvidiaSmi, root } = args;
  const opened = await openNvmlDriver({
    ...(nvmlLibrary === undefined ? {} : { libraryPath: nvmlLibrary }),
    ...(nvidiaSmi === undefined ? {} : { nvidiaSmi }),
    root,
    log,
    clock: systemClock,
  });
  if (!opened.ok) return opened;
  const driver = opened.value;
  const value = {
    driver,
    simulatedMps: undefined,
    findings: () => driver.findings(),
    close: () => driver.close(),
  };
  return { ok: true, value, findings: [] };
}
