/**
 * How strongly the GPUs of a node are linked, read once from the driver and scored as NVIDIA's allocator does.
 */
import type { Gpu, GpuDriver } from "../gpu/index.ts";
import { linkScore, type PairScore } from "../sharing/index.ts";

/** Reads the link of every pair; a node of one GPU has none. */
export async function pairScores(driver: GpuDriver, gpus: readonly Gpu[]): Promise<PairScore> {
  const scores = new Map<string, number>();
  for (const [at, first] of gpus.entries()) {
    for (const second of gpus.slice(at + 1)) {
      scores.set(pairKey(first.uuid, second.uuid), linkScore(await driver.link(first.uuid, second.uuid)));
    }
  }
  return (one, other) => scores.get(pairKey(one, other)) ?? 0;
}

function pairKey(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
