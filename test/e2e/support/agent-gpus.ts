/** Two GPUs behind the double of NVIDIA's library, the first of which may be cut, and what goes wrong with them. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { silentLogger, systemClock } from "../../../src/base/index.ts";
import { type ComputeInstance, type Gpu, type GpuDriver, modelById, openNvmlDriver } from "../../../src/gpu/index.ts";
import { MockNode } from "../../fixtures/mocknvml/mock-node.ts";
import { cleanUp } from "../../support/clean-up.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** NVML_ERROR_DRIVER_NOT_LOADED. */
const notLoaded = 9;
const always = 0xffff_ffff;

export class FaultyGpus {
  /** This process's own look at them. */
  readonly driver: GpuDriver;
  readonly #double: MockNode;
  #load: (() => Promise<void>)[] = [];
  readonly #find = new Map<number, () => Promise<void>>();

  private constructor(double: MockNode, driver: GpuDriver) {
    this.#double = double;
    this.driver = driver;
  }

  static async start(t: TestContext): Promise<FaultyGpus> {
    const directory = join(await temporaryDirectory(t), "nvml");
    await mkdir(directory);
    // The first one changes its MIG mode without a reset, which this process would be in the way of.
    const models = ["h100-sxm5-80gb", "a100-sxm4-80gb"].map((id) => modelById(id) ?? assert.fail(id));
    const double = await MockNode.create(directory, { models });
    const { libraryPath, nvidiaSmi, root } = double;
    const opened = await openNvmlDriver({ libraryPath, nvidiaSmi, root, log: silentLogger, clock: systemClock });
    assert.ok(opened.ok);
    const driver = opened.value;
    cleanUp(t, () => driver.close());
    return new FaultyGpus(double, driver);
  }

  /** How an agent reaches them. */
  get options(): readonly string[] {
    const { libraryPath, nvidiaSmi, root } = this.#double;
    return ["--driver", "nvml", "--nvml-library", libraryPath, "--nvidia-smi", nvidiaSmi, "--root", root];
  }

  get isLoaded(): boolean {
    return this.#load.length === 0;
  }

  /** Indices of the GPUs that are off the bus. */
  get lost(): readonly number[] {
    return [...this.#find.keys()];
  }

  async unload(): Promise<void> {
    if (!this.isLoaded) return;
    const unloadedForNew = await this.#double.initCode(notLoaded);
    this.#load = [await this.#double.fail({ symbol: "*", times: always, code: notLoaded }), unloadedForNew];
  }

  async load(): Promise<void> {
    for (const load of this.#load) await load();
    this.#load = [];
  }

  async lose(index: number): Promise<void> {
    if (!this.#find.has(index)) this.#find.set(index, await this.#double.lose(index));
  }

  async find(index: number): Promise<void> {
    await this.#find.get(index)?.();
    this.#find.delete(index);
  }

  /** An error of a MIG device of the GPU, or of all of it. */
  async raise(xid: number, gpu: Gpu, part: ComputeInstance | undefined): Promise<void> {
    const instance = gpu.instances.find((one) => part !== undefined && one.computeInstances.includes(part));
    await this.#double.raiseXid(gpu.index, xid, instance && part && { gi: instance.id, ci: part.id });
  }
}
