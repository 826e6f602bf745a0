/**
 * Counts the calls a simulated driver gets and makes chosen ones fail.
 */
import { DriverError, type GpuDriver, type NvmlCode } from "../driver.ts";

/** The methods of the driver port. */
export type DriverMethod = Exclude<keyof GpuDriver, "driverVersion" | "simulated">;

/** Makes calls of one method fail before they have any effect. */
export interface InjectedFault {
  readonly call: DriverMethod;
  /** Only calls for this GPU count and fail. Default: every GPU. */
  readonly gpuUuid?: string;
  /** How many further calls succeed first. Default 0. */
  readonly afterCalls?: number;
  /** How many calls then fail; `Infinity` for all. Default 1. */
  readonly times?: number;
  readonly nvmlCode: NvmlCode;
}

interface ArmedFault {
  readonly fault: InjectedFault;
  seen: number;
}

export class CallLedger {
  readonly #counts = new Map<DriverMethod, number>();
  #faults: ArmedFault[] = [];
  /** False: every call fails, as if the kernel module were not there. */
  isLoaded = true;

  /** How often each method was called, failed calls included; methods that were not called are left out. */
  counts(): ReadonlyMap<DriverMethod, number> {
    return new Map(this.#counts);
  }

  /** Arms a fault; returns a function that disarms it. */
  arm(fault: InjectedFault): () => void {
    const armed = { fault, seen: 0 };
    this.#faults.push(armed);
    return () => {
      this.#faults = this.#faults.filter((one) => one !== armed);
    };
  }

  /** Notes a call; throws `DriverError` when the driver is not loaded or a fault is due for it. */
  note(call: DriverMethod, gpuUuid: string | undefined): void {
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1);
    if (!this.isLoaded) {
      throw new DriverError(
        call,
        gpuUuid,
        "driver-not-loaded",
        `${call}: the driver is not loaded (driver-not-loaded)`,
      );
    }
    for (const armed of this.#faults) {
      const { fault } = armed;
      if (fault.call !== call || (fault.gpuUuid !== undefined && fault.gpuUuid !== gpuUuid)) continue;
      armed.seen += 1;
      const first = (fault.afterCalls ?? 0) + 1;
      if (armed.seen < first || armed.seen >= first + (fault.times ?? 1)) continue;
      throw new DriverError(call, gpuUuid, fault.nvmlCode, `${call} failed: ${fault.nvmlCode} (injected fault)`);
    }
  }
}
