/**
 * The driver port over NVML: real GPUs.
 *
 * Changes of one GPU come one after the other, those of different GPUs side by side. A reset has the library for
 * itself and shuts it down meanwhile, since nvidia-smi refuses to reset a GPU that any process, ours included, holds
 * open. Nothing that can change is remembered between two calls.
 */
import { type Clock, errorText, type Finding, type Logger } from "../../base/index.ts";
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
  type XidEvent,
} from "../driver.ts";
import type { Placement } from "../model.ts";
import { XidPump } from "./events.ts";
import { GpuFacts } from "./facts.ts";
import { closedGpuFinding, gpuFindings, unreadGpuFinding } from "./findings.ts";
import { resetWithSmi } from "./gpu-reset.ts";
import type { GpuHolder } from "./host-processes.ts";
import { instancesOf } from "./instances.ts";
import { linkBetween } from "./links.ts";
import { Gate, Turns } from "./lock.ts";
import {
  type ChangePlace,
  createComputeInstance,
  createGpuInstance,
  destroyComputeInstance,
  destroyGpuInstance,
} from "./mig-changes.ts";
import { changeMigMode, migModeOf } from "./mig-mode.ts";
import { nodeFactsOf, type SeatedGpu } from "./node-facts.ts";
import { callError, nvmlCodeOf, success } from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";
import type { SymbolName } from "./symbols.ts";
import { assertIdle, holdersOn, naming, namingOpeners, processesOn, type UserQuestion } from "./users.ts";

/** A driver of real GPUs: the port, and what only a real node has. */
export interface NvmlDriver extends GpuDriver {
  readonly simulated: false;
  /** The library in use. */
  readonly libraryPath: string;
  /** What is to be said about the library and, as of the last `list`, about the GPUs. */
  findings(): readonly Finding[];
  /** Who uses the GPU: processes with memory on it, with container and pod where /proc tells them. */
  holders(gpuUuid: string): Promise<readonly GpuHolder[]>;
  /** Ends event streams and the use of the library; nothing may be called afterwards. */
  close(): Promise<void>;
}

export interface NvmlDriverParts {
  /** Initialised. */
  readonly session: Session;
  readonly libraryPath: string;
  readonly driverVersion: string;
  readonly libraryFindings: readonly Finding[];
  readonly root: string;
  readonly nvidiaSmi: string | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A GPU as read, with what it was read from. */
interface ReadGpu {
  readonly gpu: Gpu;
  readonly facts: GpuFacts;
}

export class LibraryDriver implements NvmlDriver {
  readonly driverVersion: string;
  readonly simulated = false;
  readonly libraryPath: string;
  readonly #parts: NvmlDriverParts;
  readonly #session: Session;
  readonly #gate = new Gate();
  readonly #turns = new Turns();
  readonly #events: XidPump;
  /** Good as long as the handle is. */
  readonly #facts = new WeakMap<OpenGpu, GpuFacts>();
  #gpuFindings: readonly Finding[] = [];

  constructor(parts: NvmlDriverParts) {
    this.#parts = parts;
    this.#session = parts.session;
    this.driverVersion = parts.driverVersion;
    this.libraryPath = parts.libraryPath;
    this.#events = new XidPump({ session: parts.session, gate: this.#gate, clock: parts.clock, log: parts.log });
  }

  list(): Promise<readonly Gpu[]> {
    return this.#gate.shared(() => this.#readAll());
  }

  gpu(gpuUuid: string): Promise<Gpu | undefined> {
    return this.#gate.shared(async () => {
      const gpu = await this.#session.find(gpuUuid);
      if (gpu === undefined) return undefined;
      const read = await this.#readTwice(gpu);
      if (!(read instanceof DriverError)) return read.gpu;
      if (read.nvmlCode === "gpu-is-lost") return undefined;
      throw read;
    });
  }

  findings(): readonly Finding[] {
    return [...this.#parts.libraryFindings, ...this.#gpuFindings];
  }

  nodeFacts(): Promise<NodeFacts> {
    return this.#gate.shared(async () => {
      const { open } = await this.#session.gpus();
      const seated = open.flatMap((gpu) => this.#maybeSeated(gpu));
      return nodeFactsOf(this.#session, seated, this.#parts.root);
    });
  }

  processes(gpuUuid: string): Promise<readonly GpuProcess[]> {
    return this.#on("nvmlDeviceGetComputeRunningProcesses_v3", gpuUuid, (gpu) => processesOn(this.#question(gpu)));
  }

  holders(gpuUuid: string): Promise<readonly GpuHolder[]> {
    return this.#on("nvmlDeviceGetComputeRunningProcesses_v3", gpuUuid, (gpu) => holdersOn(this.#question(gpu)));
  }

  link(gpuUuid: string, otherGpuUuid: string): Promise<GpuLink> {
    const call = "nvmlDeviceGetTopologyCommonAncestor";
    return this.#on(call, gpuUuid, async (gpu) => {
      const other = await this.#session.gpu(call, otherGpuUuid);
      if (gpuUuid === otherGpuUuid) {
        throw new DriverError(call, gpuUuid, "invalid-argument", `${call}: ${gpuUuid} has no link to itself`);
      }
      const pciOf = (one: OpenGpu): string => this.#factsOf(one).pci.busId;
      const migOn = [gpu, other].some((one) => migModeOf(this.#session, one)?.current === true);
      return linkBetween(this.#session, { gpu, other, otherBusId: pciOf(other), migOn });
    });
  }

  setMigMode(gpuUuid: string, enabled: boolean): Promise<MigMode> {
    return this.#change("nvmlDeviceSetMigMode", gpuUuid, (gpu) =>
      changeMigMode(this.#placeOf(gpu), this.#parts.root, enabled),
    );
  }

  resetGpu(gpuUuid: string): Promise<void> {
    return this.#turns.take(gpuUuid, async () => {
      const minor = await this.#on("nvmlDeviceGetMinorNumber", gpuUuid, async (gpu) => {
        await assertIdle("nvidia-smi --gpu-reset", this.#question(gpu));
        return this.#factsOf(gpu).minor;
      });
      await this.#gate.alone(() => this.#resetAlone(gpuUuid, minor));
    });
  }

  createGpuInstance(gpuUuid: string, smiProfileId: number, placement: Placement): Promise<GpuInstance> {
    return this.#change("nvmlDeviceCreateGpuInstanceWithPlacement", gpuUuid, (gpu) =>
      createGpuInstance(this.#placeOf(gpu), smiProfileId, placement),
    );
  }

  destroyGpuInstance(gpuUuid: string, gpuInstanceId: number): Promise<void> {
    return this.#change("nvmlGpuInstanceDestroy", gpuUuid, (gpu) =>
      destroyGpuInstance(this.#placeOf(gpu), gpuInstanceId),
    );
  }

  createComputeInstance(gpuUuid: string, gpuInstanceId: number, smiProfileId: number): Promise<ComputeInstance> {
    return this.#change("nvmlGpuInstanceCreateComputeInstance", gpuUuid, (gpu) =>
      createComputeInstance(this.#placeOf(gpu), gpuInstanceId, smiProfileId),
    );
  }

  destroyComputeInstance(gpuUuid: string, gpuInstanceId: number, computeInstanceId: number): Promise<void> {
    const call = "nvmlComputeInstanceDestroy";
    return this.#change(call, gpuUuid, async (gpu) => {
      const result = await destroyComputeInstance(this.#placeOf(gpu), gpuInstanceId, computeInstanceId);
      if (result === success) return;
      const users = (await holdersOn(this.#question(gpu))).filter(
        (one) => one.gpuInstanceId === gpuInstanceId && one.computeInstanceId === computeInstanceId,
      );
      throw naming(callError(call, gpuUuid, result), users);
    });
  }

  xidEvents(signal: AbortSignal): AsyncIterable<XidEvent> {
    return this.#events.subscribe(signal);
  }

  async close(): Promise<void> {
    await this.#events.stop();
    try {
      await this.#gate.alone(() => this.#session.shutDown());
    } catch (error) {
      this.#parts.log.warn(
        { error: errorText(error) },
        "the NVML library is not shut down, the end of the process does it",
      );
    }
  }

  async #readAll(): Promise<readonly Gpu[]> {
    const { open, closed } = await this.#session.gpus();
    const findings = closed.map(closedGpuFinding);
    const gpus: Gpu[] = [];
    for (const one of open) {
      const read = await this.#readTwice(one);
      if (read instanceof DriverError) {
        findings.push(unreadGpuFinding(one, read));
        continue;
      }
      gpus.push(read.gpu);
      findings.push(...gpuFindings(read.gpu, read.facts, this.driverVersion));
    }
    this.#gpuFindings = findings;
    return gpus;
  }

  /**
   * One bad GPU must not hide the others, so what is wrong with it is an answer. A call that fails once may not fail
   * twice, and a GPU must not vanish from the list for a moment.
   */
  async #readTwice(gpu: OpenGpu): Promise<ReadGpu | DriverError> {
    try {
      return await this.#readSteady(gpu).catch(() => this.#readSteady(gpu));
    } catch (error) {
      if (error instanceof DriverError) return error;
      throw error;
    }
  }

  #readSteady(gpu: OpenGpu): Promise<ReadGpu> {
    return this.#steady("nvmlDeviceGetMigMode", gpu, async (one) => this.#read(one));
  }

  #read(gpu: OpenGpu): ReadGpu {
    const facts = this.#factsOf(gpu);
    const mig = migModeOf(this.#session, gpu);
    const instances = mig?.current === true ? instancesOf(this.#session, gpu, facts) : [];
    const { index, uuid } = gpu;
    const { name, model, minor, pci, numaNode, memoryMiB, computeCapability } = facts;
    const read: Gpu = {
      index,
      uuid,
      name,
      modelId: model?.id,
      minor,
      pci,
      numaNode,
      memoryMiB,
      computeCapability,
      mig,
      instances: instances ?? [],
      profiles: mig === undefined ? [] : facts.profiles,
      ...(instances === undefined ? { instancesUnread: "insufficient permissions" } : {}),
    };
    return { gpu: read, facts };
  }

  #factsOf(gpu: OpenGpu): GpuFacts {
    const known = this.#facts.get(gpu);
    if (known !== undefined) return known;
    const facts = new GpuFacts(this.#session, gpu, {
      root: this.#parts.root,
      driverVersion: this.driverVersion,
      migCapable: migModeOf(this.#session, gpu) !== undefined,
    });
    this.#facts.set(gpu, facts);
    return facts;
  }

  /** A GPU that cannot be read is told of by `list`. */
  #maybeSeated(gpu: OpenGpu): readonly SeatedGpu[] {
    try {
      return [{ gpu, busId: this.#factsOf(gpu).pci.busId }];
    } catch (error) {
      if (error instanceof DriverError) return [];
      throw error;
    }
  }

  #placeOf(gpu: OpenGpu): ChangePlace {
    return { session: this.#session, gpu, facts: this.#factsOf(gpu) };
  }

  #question(gpu: OpenGpu): UserQuestion {
    return { session: this.#session, gpu, root: this.#parts.root };
  }

  async #resetAlone(gpuUuid: string, minor: number): Promise<void> {
    const { nvidiaSmi, root, log } = this.#parts;
    await this.#session.shutDown();
    try {
      log.info({ gpu: gpuUuid }, "GPU reset begins");
      await resetWithSmi({ nvidiaSmi, root, gpuUuid });
      log.info({ gpu: gpuUuid }, "GPU reset done");
    } catch (error) {
      throw error instanceof DriverError ? await namingOpeners(error, root, minor) : error;
    } finally {
      const result = await this.#session.initialise();
      if (result !== success) log.error({ result: nvmlCodeOf(result) }, "the NVML library does not come back");
    }
  }

  /** Runs `work` on a GPU beside others. */
  #on<T>(call: SymbolName, gpuUuid: string, work: (gpu: OpenGpu) => Promise<T>): Promise<T> {
    return this.#gate.shared(async () => this.#steady(call, await this.#session.gpu(call, gpuUuid), work));
  }

  /**
   * Runs `work`, and once more when the handle went stale under it: a change of MIG mode, ours or another process's,
   * can come between the look-up and the call. What was refused for its handle had no effect.
   */
  async #steady<T>(call: SymbolName, gpu: OpenGpu, work: (gpu: OpenGpu) => Promise<T>): Promise<T> {
    try {
      return await work(gpu);
    } catch (error) {
      if (!(error instanceof DriverError) || error.nvmlCode !== "invalid-argument") throw error;
      const again = await this.#session.gpu(call, gpu.uuid);
      if (again === gpu) throw error;
      return work(again);
    }
  }

  /** Runs `work` on a GPU when every earlier change of that GPU is done. */
  #change<T>(call: SymbolName, gpuUuid: string, work: (gpu: OpenGpu) => Promise<T>): Promise<T> {
    return this.#turns.take(gpuUuid, () => this.#on(call, gpuUuid, work));
  }
}
