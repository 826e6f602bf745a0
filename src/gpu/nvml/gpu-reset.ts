/**
 * Resets one GPU with `nvidia-smi --gpu-reset -i UUID`; NVML has no call for it.
 *
 * Exactly the GPU named: without `-i`, or with the list of all as NVIDIA's MIG manager does it, instances on every
 * other GPU of the node would go as well.
 */
import { errorText } from "../../base/index.ts";
import { DriverError, type NvmlCode } from "../driver.ts";

export interface ResetRequest {
  /** Path of nvidia-smi; `undefined` takes the one on the PATH, of the host where its file system is mounted. */
  readonly nvidiaSmi: string | undefined;
  /** Where the host's file system is. */
  readonly root: string;
  readonly gpuUuid: string;
}

/** A reset takes a few seconds; beyond this it hangs. */
const longestMs = 120_000;

/** What nvidia-smi says when it refuses, in parts of its sentences. */
const refusals: readonly { readonly says: RegExp; readonly code: NvmlCode }[] = [
  { says: /in use|being used|processes? .*using/i, code: "in-use" },
  { says: /insufficient permission|as root|privilege/i, code: "no-permission" },
  { says: /not supported/i, code: "not-supported" },
  { says: /lost|fallen off/i, code: "gpu-is-lost" },
];

/**
 * The program and its arguments. The host's nvidia-smi wants the host's libraries beside it, so from a container it is
 * run inside the host's file system.
 */
export function resetCommand({ nvidiaSmi, root, gpuUuid }: ResetRequest): readonly [file: string, ...args: string[]] {
  const reset = ["--gpu-reset", "-i", gpuUuid];
  if (nvidiaSmi !== undefined || root === "/") return [nvidiaSmi ?? "nvidia-smi", ...reset];
  return ["chroot", root, "nvidia-smi", ...reset];
}

/** Throws `DriverError` when the reset was refused or nvidia-smi could not be run. */
export async function resetWithSmi(request: ResetRequest): Promise<void> {
  const { gpuUuid } = request;
  const [file, ...args] = resetCommand(request);
  const call = [file, ...args].join(" ");
  const { error, output } = await run(file, args);
  if (error === undefined) return;
  // 127 is what chroot answers when the program is not there.
  if ("code" in error && (error.code === "ENOENT" || error.code === 127)) {
    const message = `${call}: there is no nvidia-smi (not-supported)`;
    const remedy = "say where nvidia-smi is, or reboot the node to reset its GPUs";
    throw new DriverError(call, gpuUuid, "not-supported", message, remedy);
  }
  const code = refusals.find(({ says }) => says.test(output))?.code ?? "unknown";
  throw new DriverError(call, gpuUuid, code, `${call}: ${output === "" ? errorText(error) : output} (${code})`);
}

async function run(
  file: string,
  args: readonly string[],
): Promise<{ readonly error: Error | undefined; readonly output: string }> {
  // Takes milliseconds to load, and few commands reset a GPU.
  const { execFile } = await import("node:child_process");
  return new Promise((resolve) => {
    execFile(file, args, { timeout: longestMs }, (error, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`.trim().replaceAll(/\s*\n\s*/g, "; ");
      resolve({ error: error ?? undefined, output });
    });
  });
}
