/**
 * The GPU driver of a node whose driver may come late, go away and come back: opened when somebody needs it, and anew
 * when it no longer answers.
 *
 * On a new node the driver is often installed after the agent has started, and an upgrade unloads it under the agent's
 * feet; a library that was initialised before then never answers again.
 */
import type { Clock, Finding, Logger, Outcome } from "../../base/index.ts";
import {
  type ComputeInstance,
  DriverError,
  type Gpu,
  type GpuDriver,
  type GpuInstance,
  type GpuLink,
  type GpuProcess,
  type MigMode,
  type NodeFacts,
  type Placement,
  type XidEvent,
} from "../../gpu/index.ts";
import type { OpenDriver } from "../node/open-driver.ts";

/** How long after a failed try the next one is made. */
const RETRY_MS = 500;
/** Lists that must fail in a row before the library is opened anew: one may fail because a GPU is being reset. */
const FAILED_LISTS = 2;
const OPEN_CALL = "nvmlInit_v2";

export interface LateDriverOptions {
  readonly simulated: boolean;
  /** Opens the driver, or says why it cannot be. */
  open(): Promise<Outcome<OpenDriver>>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A driver that throws `DriverError` while there is none. Lives until `close`. */
export class LateDriver implements GpuDriver {
  readonly simulated: boolean;
  readonly #options: LateDriverOptions;
  #opened: OpenDriver | undefined;
  #opening: Promise<OpenDriver> | undefined;
  #problem: { readonly findings: readonly Finding[]; readonly atMs: number } | undefined;
  /** Calls that are under way. */
  #calls = 0;
  #failedLists = 0;

  constructor(options: LateDriverOptions) {
    this.#options = options;
    this.simulated = options.simulated;
  }

  /** Empty before it was opened. */
  get driverVersion(): string {
    return this.#opened?.driver.driverVersion ?? "";
  }

  /** The MPS daemons of simulated GPUs, which are there as soon as they were opened. */
  get simulatedMps(): OpenDriver["simulatedMps"] {
    return this.#opened?.simulatedMps;
  }

  /** What is to be said about library and GPUs, or why there is no driver. */
  findings(): readonly Finding[] {
    return this.#opened?.findings() ?? this.#problem?.findings ?? [];
  }

  list(): Promise<readonly Gpu[]> {
    return this.#use(async (driver) => {
      try {
        const gpus = await driver.list();
        this.#failedLists = 0;
        return gpus;
      } catch (error) {
        if (error instanceof DriverError) this.#failedLists += 1;
        throw error;
      }
    });
  }

  gpu(gpuUuid: string): Promise<Gpu | undefined> {
    return this.#use((driver) => driver.gpu(gpuUuid));
  }

  nodeFacts(): Promise<NodeFacts> {
    return this.#use((driver) => driver.nodeFacts());
  }

  processes(gpuUuid: string): Promise<readonly GpuProcess[]> {
    return this.#use((driver) => driver.processes(gpuUuid));
  }

  link(gpuUuid: string, otherGpuUuid: string): Promise<GpuLink> {
    return this.#use((driver) => driver.link(gpuUuid, otherGpuUuid));
  }

  setMigMode(gpuUuid: string, enabled: boolean): Promise<MigMode> {
    return this.#use((driver) => driver.setMigMode(gpuUuid, enabled));
  }

  resetGpu(gpuUuid: string): Promise<void> {
    return this.#use((driver) => driver.resetGpu(gpuUuid));
  }

  createGpuInstance(gpuUuid: string, smiProfileId: number, placement: Placement): Promise<GpuInstance> {
    return this.#use((driver) => driver.createGpuInstance(gpuUuid, smiProfileId, placement));
  }

  destroyGpuInstance(gpuUuid: string, gpuInstanceId: number): Promise<void> {
    return this.#use((driver) => driver.destroyGpuInstance(gpuUuid, gpuInstanceId));
  }

  createComputeInstance(gpuUuid: string, gpuInstanceId: number, smiProfileId: number): Promise<ComputeInstance> {
    return this.#use((driver) => driver.createComputeInstance(gpuUuid, gpuInstanceId, smiProfileId));
  }

  destroyComputeInstance(gpuUuid: string, gpuInstanceId: number, computeInstanceId: number): Promise<void> {
    return this.#use((driver) => driver.destroyComputeInstance(gpuUuid, gpuInstanceId, computeInstanceId));
  }

  async *xidEvents(signal: AbortSignal): AsyncGenerator<XidEvent> {
    const { driver } = await this.#need();
    yield* driver.xidEvents(signal);
  }

  /** Lets go of the driver. */
  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    await this.#letGo();
  }

  async #use<T>(work: (driver: GpuDriver) => Promise<T>): Promise<T> {
    if (this.#failedLists >= FAILED_LISTS && this.#calls === 0) await this.#letGo();
    const { driver } = await this.#need();
    this.#calls += 1;
    try {
      return await work(driver);
    } finally {
      this.#calls -= 1;
    }
  }

  async #need(): Promise<OpenDriver> {
    if (this.#opened !== undefined) return this.#opened;
    const { clock } = this.#options;
    if (this.#problem !== undefined && clock.now() - this.#problem.atMs < RETRY_MS) throw this.#away();
    this.#opening ??= this.#tryOpen().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #tryOpen(): Promise<OpenDriver> {
    const { open, clock, log } = this.#options;
    const opened = await open();
    if (!opened.ok) {
      this.#problem = { findings: opened.findings, atMs: clock.now() };
      throw this.#away();
    }
    this.#opened = opened.value;
    this.#problem = undefined;
    this.#failedLists = 0;
    log.info({ driver: opened.value.driver.driverVersion }, "driver opened");
    return opened.value;
  }

  #away(): DriverError {
    const [first] = this.#problem?.findings ?? [];
    const message = first?.message ?? "the driver cannot be opened";
    return new DriverError(OPEN_CALL, undefined, "driver-not-loaded", message, first?.remedy);
  }

  async #letGo(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    this.#failedLists = 0;
    await opened?.close();
  }
}
