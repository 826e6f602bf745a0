/**
 * Which machine each node runs on: that of an earlier run or a new one, told apart by ordinals, from which addresses and
 * directories follow.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "../../base/index.ts";
import type { Pod } from "../../kube/index.ts";
import type { Keeping } from "./cluster-node.ts";
import { keptObjects } from "./kept.ts";
import type { SimulatedNode } from "./nodes.ts";
import type { StateDir } from "./state-dir.ts";

export interface PlacedNode {
  readonly node: SimulatedNode;
  readonly ordinal: number;
  readonly keeping: Keeping | undefined;
}

/** Gives each node its machine; what is on disk of machines that no node has any more is removed. */
export async function placedNodes(
  nodes: readonly SimulatedNode[],
  { kept }: Pick<StateDir, "kept">,
): Promise<readonly PlacedNode[]> {
  if (kept === undefined) return nodes.map((node, ordinal) => ({ node, ordinal, keeping: undefined }));
  const machines = new Map(kept.machines.map((one) => [one.name, one]));
  const taken = new Set(nodes.flatMap(({ name }) => machines.get(name)?.ordinal ?? []));
  await removeOthers(kept.paths.nodes, taken);
  const podsOn = Map.groupBy(keptObjects<Pod>(kept, "pods."), ({ spec }) => spec.nodeName);
  let next = 0;
  return nodes.map((node) => {
    const before = machines.get(node.name);
    while (before === undefined && taken.has(next)) next += 1;
    const ordinal = before?.ordinal ?? next;
    taken.add(ordinal);
    return { node, ordinal, keeping: { before, pods: podsOn.get(node.name) ?? [] } };
  });
}

async function removeOthers(directory: string, taken: ReadonlySet<number>): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  for (const name of names) {
    if (!taken.has(Number(name))) await rm(join(directory, name), { recursive: true, force: true });
  }
}
