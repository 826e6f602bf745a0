/** A node's offer as the agent makes it, for benchmarks to measure what is done with it. */
import type { Offer } from "../src/sharing/index.ts";
import { gpus, onlyOffer } from "../test/sharing/fixtures.ts";

/** What `gpuCount` GPUs offer with `replicas` shares each; 1 leaves them whole. UUIDs are as long as real ones. */
export function offerOf(gpuCount: number, replicas: number): Offer {
  return onlyOffer({
    gpus: gpus(gpuCount).map((gpu) => {
      return { ...gpu, uuid: `GPU-8f6c2d0e-5b1a-4c3d-9e7f-${String(gpu.index).padStart(12, "0")}` };
    }),
    share: replicas === 1 ? [] : [`gpu x${replicas}`],
  });
}
