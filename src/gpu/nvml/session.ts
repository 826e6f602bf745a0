/**
 * One initialised NVML library: typed calls, and the handles of the GPUs.
 *
 * A handle is good until its GPU is reset, loses MIG mode, or the library is shut down. So handles never leave a
 * session for longer than one operation, and `forget` drops them after whatever may have made them stale.
 */
import { DriverError } from "../driver.ts";
import type { Argument, NativeFunction, NativeLibrary } from "./native.ts";
import { callError, gpuIsLost, success } from "./return-codes.ts";
import { textIn } from "./struct.ts";
import type { SymbolName } from "./symbols.ts";

declare const kind: unique symbol;
type Handle<Kind> = bigint & { readonly [kind]: Kind };
export type DeviceHandle = Handle<"device">;
export type GpuInstanceHandle = Handle<"gpu-instance">;
export type ComputeInstanceHandle = Handle<"compute-instance">;
export type EventSetHandle = Handle<"event-set">;

/** A GPU that the library lets us use. */
export interface OpenGpu {
  readonly index: number;
  readonly uuid: string;
  readonly handle: DeviceHandle;
}

/** A GPU that is counted but cannot be used. */
export interface ClosedGpu {
  readonly index: number;
  /** Known when it could be used before. */
  readonly uuid: string | undefined;
  /** The return code of the attempt. */
  readonly result: number;
}

export interface GpuTable {
  /** What the library counts. */
  readonly count: number;
  readonly open: readonly OpenGpu[];
  readonly closed: readonly ClosedGpu[];
}

/** Initialise although there is no GPU: all of them may be passed through to virtual machines. */
const flagNoGpus = 1;

/** NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE. */
const textBytes = 96;

export class Session {
  readonly #library: NativeLibrary;
  #table: GpuTable | undefined;
  #generation = 0;
  #initialised = false;
  #attempt: Promise<number> | undefined;
  readonly #uuids = new Map<number, string>();

  constructor(library: NativeLibrary) {
    this.#library = library;
  }

  /** Changes whenever handles and event sets made before are no longer good. */
  get generation(): number {
    return this.#generation;
  }

  /** The return code; on success everything else may be called until `shutDown`. */
  async initialise(): Promise<number> {
    const withFlags = this.#library.functions.get("nvmlInitWithFlags");
    const result = await (withFlags === undefined
      ? this.#function("nvmlInit_v2", undefined).callAsync()
      : withFlags.callAsync(flagNoGpus));
    this.#initialised = result === success;
    return result;
  }

  /** Ends the use of the library, which closes every device file; all handles and event sets are gone then. */
  async shutDown(): Promise<void> {
    this.forget();
    this.#generation += 1;
    if (!this.#initialised) return;
    // Uses are counted: one that was not ended would keep the device files open for good.
    const first = await this.tryLong("nvmlShutdown", undefined);
    if (first !== success) await this.callLong("nvmlShutdown", undefined);
    this.#initialised = false;
  }

  has(symbol: SymbolName): boolean {
    return this.#library.functions.has(symbol);
  }

  /** The return code of a quick call; throws `DriverError` not-supported when the library lacks the symbol. */
  try(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): number {
    const result = this.#function(symbol, gpuUuid).call(...args);
    if (result === gpuIsLost) this.forget(gpuUuid);
    return result;
  }

  /** A quick call that must succeed. */
  call(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): void {
    this.#assert(symbol, gpuUuid, this.try(symbol, gpuUuid, ...args));
  }

  /** The return code of a call that can take long. */
  async tryLong(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): Promise<number> {
    const result = await this.#function(symbol, gpuUuid).callAsync(...args);
    if (result === gpuIsLost) this.forget(gpuUuid);
    return result;
  }

  /** A call that can take long and must succeed. */
  async callLong(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): Promise<void> {
    this.#assert(symbol, gpuUuid, await this.tryLong(symbol, gpuUuid, ...args));
  }

  /** The `unsigned int` a quick call writes. */
  number(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): number {
    const out = Buffer.alloc(4);
    this.call(symbol, gpuUuid, ...args, out);
    return out.readUInt32LE();
  }

  /** The text a quick call writes. */
  text(symbol: SymbolName, gpuUuid: string | undefined, ...args: readonly Argument[]): string {
    const out = Buffer.alloc(textBytes);
    this.call(symbol, gpuUuid, ...args, out, out.length);
    return textIn(out);
  }

  /**
   * The GPUs that are there. Handles are kept while they still answer with the UUID they were looked up for: another
   * process may have reset a GPU or changed its MIG mode. What could not be opened is tried again each time.
   */
  async gpus(): Promise<GpuTable> {
    await this.#assertInitialised();
    const count = this.number("nvmlDeviceGetCount_v2", undefined);
    const known = this.#table?.count === count ? this.#table.open : [];
    const kept = known.filter(({ handle, uuid }) => this.#uuidOf(handle) === uuid);
    const tried = Array.from({ length: count }, (_, index) => index).filter(
      (index) => !kept.some((one) => one.index === index),
    );
    const open = [...kept];
    const closed: ClosedGpu[] = [];
    for (const index of tried) {
      const gpu = await this.#open(index);
      if ("handle" in gpu) open.push(gpu);
      else closed.push(gpu);
    }
    for (const { index, uuid } of open) this.#uuids.set(index, uuid);
    this.#table = { count, open: open.toSorted((a, b) => a.index - b.index), closed };
    return this.#table;
  }

  /** The GPUs that were open when they were last looked at; asks nobody. */
  get opened(): readonly OpenGpu[] {
    return this.#table?.open ?? [];
  }

  /** The GPU with this UUID; throws `DriverError` gpu-is-lost or not-found, in the name of `call`. */
  async gpu(call: SymbolName, uuid: string): Promise<OpenGpu> {
    const found = await this.find(uuid);
    if (found !== undefined) return found;
    const lost = this.#table?.closed.find((one) => one.uuid === uuid);
    if (lost !== undefined) throw callError(call, uuid, lost.result);
    throw new DriverError(call, uuid, "not-found", `${call}: no GPU ${uuid} (not-found)`);
  }

  /** The GPU with this UUID, `undefined` when it is not there or cannot be used. */
  async find(uuid: string): Promise<OpenGpu | undefined> {
    const known = this.#initialised ? this.#table?.open.find((one) => one.uuid === uuid) : undefined;
    if (known !== undefined && this.#uuidOf(known.handle) === uuid) return known;
    return (await this.gpus()).open.find((one) => one.uuid === uuid);
  }

  /** Drops the handle of one GPU, or all; the next question looks them up. */
  forget(uuid?: string): void {
    const known = this.#table;
    this.#table =
      uuid === undefined || known === undefined
        ? undefined
        : { ...known, open: known.open.filter((one) => one.uuid !== uuid) };
  }

  /** Initialises when that failed after a reset. Those who ask at once share one attempt, since uses are counted. */
  async #assertInitialised(): Promise<void> {
    if (this.#initialised) return;
    this.#attempt ??= this.initialise().finally(() => {
      this.#attempt = undefined;
    });
    this.#assert("nvmlInit_v2", undefined, await this.#attempt);
  }

  /** What fails once may not fail twice, and a GPU must not vanish from the list for a moment. */
  async #open(index: number): Promise<OpenGpu | ClosedGpu> {
    const first = await this.#tryOpen(index);
    return "handle" in first ? first : this.#tryOpen(index);
  }

  async #tryOpen(index: number): Promise<OpenGpu | ClosedGpu> {
    const out = Buffer.alloc(8);
    const result = await this.tryLong("nvmlDeviceGetHandleByIndex_v2", undefined, index, out);
    if (result !== success) return { index, uuid: this.#uuids.get(index), result };
    const handle = deviceHandle(out);
    const uuid = this.#uuidOf(handle);
    return typeof uuid === "string" ? { index, uuid, handle } : { index, uuid: this.#uuids.get(index), result: uuid };
  }

  /** The UUID, or the return code that refused it. */
  #uuidOf(handle: DeviceHandle): string | number {
    const text = Buffer.alloc(textBytes);
    const result = this.try("nvmlDeviceGetUUID", undefined, handle, text, text.length);
    return result === success ? textIn(text) : result;
  }

  #function(symbol: SymbolName, gpuUuid: string | undefined): NativeFunction {
    const found = this.#library.functions.get(symbol);
    if (found !== undefined) return found;
    const message = `${symbol}: the NVML library ${this.#library.path} does not have it (not-supported)`;
    throw new DriverError(symbol, gpuUuid, "not-supported", message, "install a newer NVIDIA driver");
  }

  #assert(symbol: SymbolName, gpuUuid: string | undefined, result: number): void {
    if (result !== success) throw callError(symbol, gpuUuid, result);
  }
}

/** The device handle that a call wrote. */
export function deviceHandle(out: Buffer): DeviceHandle {
  return readHandle<"device">(out);
}

/** The GPU instance handle at a position of an array that a call wrote. */
export function gpuInstanceHandle(out: Buffer, index = 0): GpuInstanceHandle {
  return readHandle<"gpu-instance">(out, index);
}

/** The compute instance handle at a position of an array that a call wrote. */
export function computeInstanceHandle(out: Buffer, index = 0): ComputeInstanceHandle {
  return readHandle<"compute-instance">(out, index);
}

/** The event set handle that a call wrote. */
export function eventSetHandle(out: Buffer): EventSetHandle {
  return readHandle<"event-set">(out);
}

/** Handles are opaque pointers, told apart by type here since C does not look. */
function readHandle<Kind>(out: Buffer, index = 0): Handle<Kind> {
  return out.readBigUInt64LE(index * 8) as Handle<Kind>;
}
