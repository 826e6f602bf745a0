/**
 * Opens the driver that a command asks for.
 */
import { finding, type Logger, type Outcome } from "../../base/index.ts";
import type { GpuDriver } from "../../gpu/index.ts";
import type { NodeArguments } from "./options.ts";
import { openSimulatedNode } from "./simulated-node.ts";

/** A driver and how to let go of it. */
export interface OpenDriver {
  readonly driver: GpuDriver;
  close(): void;
}

/** The GPUs of this machine, or the finding that says why they cannot be reached. */
export async function openDriver(args: NodeArguments, _log: Logger): Promise<Outcome<OpenDriver>> {
  if (args.driver === "simulated") {
    const opened = await openSimulatedNode(args.stateDir, args.simulatedGpus);
    return opened.ok ? { ...opened, value: { driver: opened.value, close: () => {} } } : opened;
  }
  return {
    ok: false,
    findings: [finding("driver-unreachable", { kind: "command", name: "--driver nvml" }, "not yet")],
  };
}
