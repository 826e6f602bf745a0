/**
 * Who uses a GPU: processes with memory on it, with what /proc tells of them, and refusals that name them.
 */
import { DriverError, type GpuProcess } from "../driver.ts";
import { commandOf, type GpuHolder, holdersOfFile, holderText, originOf } from "./host-processes.ts";
import { listedProcesses } from "./processes.ts";
import { success } from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";

/** What is asked, and where the host's /proc is. */
export interface UserQuestion {
  readonly session: Session;
  readonly gpu: OpenGpu;
  readonly root: string;
}

/** Processes with memory on the GPU, by ascending PID. */
export function processesOn({ session, gpu, root }: UserQuestion): Promise<readonly GpuProcess[]> {
  const listed = listedProcesses(session, gpu);
  return Promise.all(listed.map(async (one) => ({ ...one, command: await command(session, root, one.pid) })));
}

/** The same with container and pod. */
export async function holdersOn(question: UserQuestion): Promise<readonly (GpuHolder & GpuProcess)[]> {
  const processes = await processesOn(question);
  return Promise.all(processes.map(async (one) => ({ ...one, ...(await originOf(question.root, one.pid)) })));
}

/** Throws `DriverError` in-use, naming the processes, when there are any on the GPU. */
export async function assertIdle(call: string, question: UserQuestion): Promise<void> {
  const holders = await holdersOn(question);
  if (holders.length === 0) return;
  const { uuid } = question.gpu;
  const message = `${call}: ${uuid} has running processes (in-use)`;
  throw naming(new DriverError(call, uuid, "in-use", message), holders);
}

/**
 * An in-use error with those who have the GPU's device file open: monitoring agents are in none of NVML's lists. Any
 * other error as it is.
 */
export async function namingOpeners(error: DriverError, root: string, minor: number): Promise<DriverError> {
  if (error.nvmlCode !== "in-use") return error;
  return naming(error, await holdersOfFile(root, `/dev/nvidia${minor}`));
}

/** The error with those who are in the way. */
export function naming(error: DriverError, holders: readonly GpuHolder[]): DriverError {
  if (holders.length === 0) return error;
  const { call, gpuUuid, nvmlCode, message } = error;
  const names = holders.map(holderText).join(", ");
  return new DriverError(
    call,
    gpuUuid,
    nvmlCode,
    `${message}: used by ${names}`,
    `end or stop ${names}, then try again`,
  );
}

/** From the host's /proc, else what the library tells. */
async function command(session: Session, root: string, pid: number): Promise<string> {
  const told = await commandOf(root, pid);
  if (told !== undefined) return told;
  const text = Buffer.alloc(256);
  const result = session.try("nvmlSystemGetProcessName", undefined, pid, text, text.length);
  return result === success ? text.toString("utf8", 0, Math.max(0, text.indexOf(0))) : "?";
}
