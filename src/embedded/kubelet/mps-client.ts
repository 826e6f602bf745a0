/**
 * Whether a container's processes become clients of MPS, as the CUDA driver decides by environment and mounts.
 */
import type { MpsClient } from "../../gpu/index.ts";
import type { EnvVar } from "../../kube/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";

/** The host's side of the pipe the container is told of; `undefined` when it is told of none or cannot reach it. */
export function mpsClientOf(answer: AllocateAnswer, env: readonly EnvVar[] = []): MpsClient | undefined {
  const value = (name: string): string | undefined => {
    const own = env.findLast((one) => one.name === name);
    return own === undefined ? answer.envs[name] : own.value;
  };
  const pipe = value("CUDA_MPS_PIPE_DIRECTORY");
  const mount = answer.mounts.find(({ containerPath }) => containerPath === pipe);
  if (mount === undefined) return undefined;
  return { pipeDirectory: mount.hostPath, memoryMiB: ownLimitMiB(value("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT")) };
}

/** `0=8G,1=512M`: the entry of the first device, which is the one that a program here uses (nvidia-cuda-mps-control(1)). */
function ownLimitMiB(limits: string | undefined): number | undefined {
  const [, amount, unit] = /(?:^|,)0=(\d+)([MG])/.exec(limits ?? "") ?? [];
  return amount === undefined ? undefined : Number(amount) * (unit === "G" ? 1024 : 1);
}
