/**
 * The processes with memory on a GPU, from three lists: compute, graphics, and clients of the MPS server.
 *
 * The element of these lists is a trap: drivers 535.43 to 535.86 wrote one 8-byte field more under the same symbol, and
 * 16-byte elements have been reported too. So the memory is filled with a pattern, and the size of an element follows
 * from how far the library wrote.
 */
import { eachMigDevice } from "./instances.ts";
import { callError, insufficientSize, noPermission, notSupported, success } from "./return-codes.ts";
import type { DeviceHandle, OpenGpu, Session } from "./session.ts";
import { processInfo } from "./structs.ts";
import type { SymbolName } from "./symbols.ts";

export interface ListedProcess {
  readonly pid: number;
  /** 0 where the driver does not tell. */
  readonly memoryMiB: number;
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
}

/** Each list by its newest symbol first. */
const lists: readonly (readonly SymbolName[])[] = [
  ["nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"],
  ["nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"],
  ["nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"],
];

const untouched = 0xaa;
const elementSizes: readonly number[] = [16, 24, 32];
const largestElement = 32;
const noInstance = 0xffff_ffff;
const noMemoryFigure = 0xffff_ffff_ffff_ffffn;

/** Linux never gives out a greater one (PID_MAX_LIMIT, include/linux/threads.h); a misread element can hold any. */
const maxPid = 4_194_304;

/**
 * Every process once, by ascending PID. The lists of a GPU in MIG mode need privileges; without them the lists of the
 * MIG devices are joined.
 */
export function listedProcesses(session: Session, gpu: OpenGpu): readonly ListedProcess[] {
  const found = new Map<string, ListedProcess>();
  const add = (handle: DeviceHandle, place?: Pick<ListedProcess, "gpuInstanceId" | "computeInstanceId">): number => {
    for (const symbols of lists) {
      const symbol = symbols.find((one) => session.has(one));
      if (symbol === undefined) continue;
      const answer = readList(session, symbol, gpu.uuid, handle);
      if (typeof answer === "number") {
        if (answer === notSupported) continue;
        return answer;
      }
      for (const told of answer) {
        const one = { ...told, ...place };
        found.set(`${one.pid}/${one.gpuInstanceId}/${one.computeInstanceId}`, one);
      }
    }
    return success;
  };
  const result = add(gpu.handle);
  if (result === noPermission) {
    eachMigDevice(session, gpu, (handle) => {
      const gpuInstanceId = session.number("nvmlDeviceGetGpuInstanceId", gpu.uuid, handle);
      const computeInstanceId = session.number("nvmlDeviceGetComputeInstanceId", gpu.uuid, handle);
      add(handle, { gpuInstanceId, computeInstanceId });
    });
  } else if (result !== success) {
    throw callError("nvmlDeviceGetComputeRunningProcesses_v3", gpu.uuid, result);
  }
  return [...found.values()].toSorted((a, b) => a.pid - b.pid);
}

/** One list, or the return code that refused it. */
function readList(
  session: Session,
  symbol: SymbolName,
  gpuUuid: string,
  handle: DeviceHandle,
): readonly ListedProcess[] | number {
  const count = Buffer.alloc(4);
  let result = session.try(symbol, gpuUuid, handle, count, null);
  // Between asking the size and reading, processes may come: some room to spare, and again when it was not enough.
  while (result === insufficientSize) {
    const capacity = count.readUInt32LE() + 8;
    const memory = Buffer.alloc(largestElement * capacity, untouched);
    count.writeUInt32LE(capacity);
    result = session.try(symbol, gpuUuid, handle, count, memory);
    if (result === success) return processesIn(memory, count.readUInt32LE());
  }
  return result === success ? [] : result;
}

/** The processes that a library wrote into memory filled with 0xAA before. */
export function processesIn(memory: Buffer, count: number): readonly ListedProcess[] {
  if (count === 0) return [];
  let written = memory.length;
  while (written > 0 && memory[written - 1] === untouched) written -= 1;
  const size = elementSizes.find((one) => written <= one * count) ?? largestElement;
  return Array.from({ length: count }, (_, index) =>
    readProcess(memory.subarray(index * size, (index + 1) * size)),
  ).filter(({ pid }) => pid > 0 && pid <= maxPid);
}

function readProcess(element: Buffer): ListedProcess {
  const bytes = processInfo.u64(element, "usedGpuMemory");
  const id = (field: "gpuInstanceId" | "computeInstanceId"): number | undefined => {
    if (element.length < processInfo.size) return undefined;
    const value = processInfo.u32(element, field);
    return value === noInstance ? undefined : value;
  };
  return {
    pid: processInfo.u32(element, "pid"),
    memoryMiB: bytes === noMemoryFigure ? 0 : Number(bytes >> 20n),
    gpuInstanceId: id("gpuInstanceId"),
    computeInstanceId: id("computeInstanceId"),
  };
}
