/**
 * The nodes of an earlier run together with those that are declared now. As in a cluster that was switched off, all are
 * still there; `--node` and Node manifests add to them and change them.
 */
import { type Finding, finding } from "../../base/index.ts";
import type { GpuModel } from "../../gpu/index.ts";
import type { SimulatedNode } from "./nodes.ts";

/** What a node has of labels, annotations and taints stays unless it is declared otherwise; so do nodes not declared. */
export function mergedNodes(
  declared: readonly SimulatedNode[],
  before: readonly SimulatedNode[],
): readonly SimulatedNode[] {
  const stay = before.filter((one) => declared.every((node) => node.name !== one.name));
  const merged = declared.map((node) => {
    const old = before.find((one) => one.name === node.name);
    if (old === undefined) return node;
    const taints = node.taints.length > 0 ? node.taints : old.taints;
    const labels = { ...old.labels, ...node.labels };
    return { ...node, labels, annotations: { ...old.annotations, ...node.annotations }, taints };
  });
  return [...stay, ...merged];
}

/** What the user must know: which nodes stay undeclared, and whose GPUs are exchanged. */
export function returningFindings(
  declared: readonly SimulatedNode[],
  before: readonly SimulatedNode[],
): readonly Finding[] {
  return before.flatMap(({ name, gpus }) => {
    const now = declared.find((one) => one.name === name);
    const subject = { kind: "node", name } as const;
    if (now === undefined) {
      const remedy = `to be rid of it: kubectl delete node ${name}, then end the cluster and start it again`;
      return [finding("node-kept", subject, `node ${name} is declared no more; it stays as it was`, { remedy })];
    }
    const [was, is] = [modelsText(gpus), modelsText(now.gpus)];
    if (was === is) return [];
    const message = `node ${name} had ${was} and has ${is} now; pods that held the old ones are refused there`;
    const remedy = "delete those pods, or declare the node as it was";
    return [finding("node-gpus-changed", subject, message, { place: now.place, remedy })];
  });
}

/** In index order, as layouts are: `2 × NVIDIA A100-SXM4-80GB, 1 × Tesla T4`; `no GPUs`. */
function modelsText(gpus: readonly GpuModel[]): string {
  const runs: { name: string; count: number }[] = [];
  for (const { nvmlName: name } of gpus) {
    const last = runs.at(-1);
    if (last?.name === name) last.count += 1;
    else runs.push({ name, count: 1 });
  }
  return runs.length === 0 ? "no GPUs" : runs.map(({ name, count }) => `${count} × ${name}`).join(", ");
}
