/**
 * Resets one GPU with `nvidia-smi --gpu-reset -i UUID`; NVML has no call for it.
 *
 * Exactly the GPU named: without `-i`, or with the list of all as NVIDIA's MIG manager does it, instances on every
 * other GPU of the node would go as well.
 */
import { execFile } from "node:child_process";
import { errorText } from "../../base/index.ts";
import { DriverError, type NvmlCode } from "../driver.ts";

export interface ResetRequest {
  /** Path of nvidia-smi, or its name on the PATH. */
  readonly nvidiaSmi: string;
  readonly gpuUuid: string;
}

/** A reset takes a few seconds; beyond this it hangs. */
const longestMs = 120_000;

/** What nvidia-smi says when it refuses, in parts of its sentences. */
const refusals: readonly { readonly says: RegExp; readonly code: NvmlCode }[] = [
  { says: /in use|being used|processes? .*using/i, code: "in-use" },
  { says: /insufficient permission|root|privilege/i, code: "no-permission" },
  { says: /not supported/i, code: "not-supported" },
  { says: /lost|fallen off/i, code: "gpu-is-lost" },
];

/** Throws `DriverError` when the reset was refused or nvidia-smi could not be run. */
export async function resetWithSmi({ nvidiaSmi, gpuUuid }: ResetRequest): Promise<void> {
  const args = ["--gpu-reset", "-i", gpuUuid];
  const call = `${nvidiaSmi} ${args.join(" ")}`;
  const { error, output } = await run(nvidiaSmi, args);
  if (error === undefined) return;
  if ("code" in error && error.code === "ENOENT") {
    const message = `${call}: there is no ${nvidiaSmi} (not-supported)`;
    const remedy = "say where nvidia-smi is, or reboot the node to reset its GPUs";
    throw new DriverError(call, gpuUuid, "not-supported", message, remedy);
  }
  const code = refusals.find(({ says }) => says.test(output))?.code ?? "unknown";
  throw new DriverError(call, gpuUuid, code, `${call}: ${output === "" ? errorText(error) : output} (${code})`);
}

function run(
  file: string,
  args: readonly string[],
): Promise<{ readonly error: Error | undefined; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(file, args, { timeout: longestMs }, (error, stdout, stderr) => {
      const output = `${stdout}\n${stderr}`.trim().replaceAll(/\s*\n\s*/g, "; ");
      resolve({ error: error ?? undefined, output });
    });
  });
}
