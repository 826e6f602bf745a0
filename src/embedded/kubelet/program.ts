/**
 * The program in a simulated container: allocates GPU memory on the simulated driver, runs for its time, and ends.
 */
import { type Clock, errorText, type Outcome } from "../../base/index.ts";
import {
  CudaOutOfMemoryError,
  type GpuDriver,
  type MpsClient,
  type ProcessEnd,
  type ProcessRequest,
} from "../../gpu/index.ts";
import { type ContainerEnd, lostToPowerCut } from "./runtime-container.ts";
import type { VisibleDevice } from "./visible-devices.ts";
import type { Workload } from "./workload.ts";

/** A process as the simulated driver shows it to whoever started it. */
export interface GpuWork {
  readonly pid: number;
  /** Resolves when the driver has ended it, with the reason. */
  readonly gone: Promise<ProcessEnd>;
}

/** What containers need of the simulated driver. */
export interface WorkloadDriver extends Pick<GpuDriver, "list"> {
  /** Starts a process on a GPU or MIG device; throws `CudaOutOfMemoryError` or `CudaNoDeviceError`. */
  startProcess(request: ProcessRequest): GpuWork;
  endProcess(pid: number): void;
}

export interface ProgramOptions {
  readonly workload: Outcome<Workload>;
  /** As the container sees them; the first one is used. */
  readonly devices: readonly VisibleDevice[];
  /** Whether and how it reaches an MPS control daemon. */
  readonly mps: MpsClient | undefined;
  readonly command: string;
  readonly driver: WorkloadDriver;
  readonly clock: Clock;
  /** Adds a line to the container's log. */
  say(line: string): void;
  /** Who holds memory where an allocation failed: `ns/pod (12288 MiB)`, joined. */
  holders(error: CudaOutOfMemoryError): string;
  /** The program holds memory as this process from now on. */
  onProcess(pid: number, device: VisibleDevice, memoryMiB: number): void;
  /** It has done what it does at its start and from now on only runs or has ended. */
  onSettled(): void;
}

/** Why a running program ends before its time. */
type Interruption =
  | { readonly kind: "stop" }
  | { readonly kind: "power-cut" }
  | { readonly kind: "lost"; readonly message: string };

/** Runs one program to its end. */
export class Program {
  readonly #options: ProgramOptions;
  readonly #interrupted = Promise.withResolvers<Interruption>();

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  /** Tells the program to end (SIGTERM), which it does at once, with exit code 0. */
  stop(): void {
    this.#interrupted.resolve({ kind: "stop" });
  }

  /** The machine goes dark: the program is gone, without a word in its log. */
  cutPower(): void {
    this.#interrupted.resolve({ kind: "power-cut" });
  }

  /** Resolves with how it ended; never rejects. What it holds on the driver is free by then. */
  async run(): Promise<ContainerEnd> {
    const { say, onSettled } = this.#options;
    let end: ContainerEnd;
    try {
      end = await this.#work();
    } catch (error) {
      end = failure(1, errorText(error));
    }
    if (end !== lostToPowerCut)
      say(`ends with exit code ${end.exitCode}${end.message === "" ? "" : `: ${end.message}`}`);
    onSettled();
    return end;
  }

  async #work(): Promise<ContainerEnd> {
    const { workload, devices, say } = this.#options;
    if (!workload.ok) return failure(2, workload.findings.map((one) => `${one.message}; ${one.remedy}`).join("; "));
    const { memoryMiB, memoryIfVisible } = workload.value;
    say(devices.length === 0 ? "sees no GPU" : `sees ${devices.map(deviceText).join(", ")}`);
    const device = devices[0];
    if (memoryMiB === undefined || (device === undefined && memoryIfVisible)) return await this.#last(workload.value);
    say(`asks for ${memoryMiB} MiB of GPU memory`);
    if (device === undefined) {
      return failure(
        1,
        `CUDA error: no CUDA-capable device is detected; the container sees no GPU and asks for ${memoryMiB} MiB`,
      );
    }
    return await this.#hold(workload.value, device, memoryMiB);
  }

  async #hold(workload: Workload, device: VisibleDevice, memoryMiB: number): Promise<ContainerEnd> {
    const { driver, command, mps, say, onProcess, holders } = this.#options;
    let work: GpuWork;
    try {
      work = driver.startProcess({ device: device.uuid, command, memoryMiB, mps });
    } catch (error) {
      if (!(error instanceof CudaOutOfMemoryError)) return failure(1, `CUDA error: ${errorText(error)}`);
      const limit = error.limitMiB === undefined ? "" : `, its MPS limit is ${error.limitMiB} MiB`;
      const message = `CUDA out of memory: tried to allocate ${memoryMiB} MiB on ${deviceText(device)}, ${error.freeMiB} MiB free${limit}; held by ${holders(error)}`;
      return failure(1, message);
    }
    try {
      onProcess(work.pid, device, memoryMiB);
      say(`got ${memoryMiB} MiB on ${deviceText(device)} as process ${work.pid}`);
      void work.gone.then((reason) => this.#lose(device, reason));
      return await this.#last(workload);
    } finally {
      driver.endProcess(work.pid);
    }
  }

  #lose(device: VisibleDevice, reason: ProcessEnd): void {
    if (reason === "ended") return;
    const what = reason === "gpu-lost" ? "fell off the bus" : "went away when the node was rebooted";
    this.#interrupted.resolve({
      kind: "lost",
      message: `CUDA error: device lost: ${device.name} ${what} (${device.uuid})`,
    });
  }

  /** Runs on until the time is over or somebody interrupts. */
  async #last(workload: Workload): Promise<ContainerEnd> {
    const { clock, say, onSettled } = this.#options;
    const { runForMs, exitCode } = workload;
    say(runForMs === undefined ? "runs until it is told to stop" : `runs for ${runForMs / 1000} s`);
    onSettled();
    const ending = new AbortController();
    const timeOver = Promise.withResolvers<undefined>();
    if (runForMs === 0) timeOver.resolve(undefined);
    else if (runForMs !== undefined) {
      clock.sleep(runForMs, ending.signal).then(
        () => timeOver.resolve(undefined),
        () => {}, // It was interrupted.
      );
    }
    const interruption = await Promise.race([timeOver.promise, this.#interrupted.promise]);
    ending.abort();
    if (interruption === undefined) return exitCode === 0 ? completed : failure(exitCode, "");
    if (interruption.kind === "lost") return failure(1, interruption.message);
    if (interruption.kind === "power-cut") return lostToPowerCut;
    say("is told to stop");
    return completed;
  }
}

const completed: ContainerEnd = { exitCode: 0, reason: "Completed", message: "" };

function failure(exitCode: number, message: string): ContainerEnd {
  return { exitCode, reason: "Error", message };
}

/** `GPU 0 (15360 MiB)`. */
function deviceText(device: VisibleDevice): string {
  return `${device.name} (${device.memoryMiB} MiB)`;
}
