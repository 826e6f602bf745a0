/**
 * What an earlier run left in its state directory: the objects of its API server, its machines, and by what clients knew it.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Finding, Outcome } from "../../base/index.ts";
import { type KeptState, readKept } from "../../embedded/index.ts";
import type { KubeObject, Node } from "../../kube/index.ts";
import { type KeptMachine, readMachine } from "./machine-file.ts";
import type { SimulatedNode } from "./nodes.ts";
import { type KeptServer, readServer } from "./server-file.ts";

/** Where things are in a state directory. */
export interface KeptPaths {
  readonly journal: string;
  readonly server: string;
  /** One directory a machine, named by its ordinal. */
  readonly nodes: string;
}

/** Everything is empty or `undefined` in a directory that was never used. */
export interface Kept {
  readonly paths: KeptPaths;
  readonly state: KeptState | undefined;
  readonly server: KeptServer | undefined;
  /** Those whose node is still in the cluster. */
  readonly machines: readonly KeptMachine[];
}

/** Collections as the journal names them. */
export type KeptCollection = "nodes." | "pods." | "configmaps." | "clusterpolicies.nvidia.com";

/** Reads it all; anything that cannot be read is a failure, and nothing is changed. */
export async function readEarlierRun(paths: KeptPaths): Promise<Outcome<Kept>> {
  const findings: Finding[] = [];
  const [state, server] = await Promise.all([readKept(paths.journal), readServer(paths.server)]);
  findings.push(...state.findings, ...server.findings);
  if (!state.ok || !server.ok) return { ok: false, findings };
  const bare = { paths, state: state.value, server: server.value };
  const there = new Set(keptObjects<Node>(bare, "nodes.").map((one) => one.metadata.name));
  const machines: KeptMachine[] = [];
  for (const ordinal of await ordinalsIn(paths.nodes)) {
    const machine = await readMachine(join(paths.nodes, String(ordinal)), ordinal);
    findings.push(...machine.findings);
    // A node that was deleted is not registered again by a machine that is switched off.
    if (machine.ok && there.has(machine.value.name)) machines.push(machine.value);
  }
  if (findings.some((one) => one.severity === "error")) return { ok: false, findings };
  return { ok: true, value: { ...bare, machines }, findings };
}

/** The objects of a collection; they were valid when the API server wrote them. */
export function keptObjects<T extends KubeObject>(
  { state }: Pick<Kept, "state">,
  collection: KeptCollection,
): readonly T[] {
  return (state?.objects.get(collection) ?? []).map((one) => one as unknown as T);
}

/** The machines as nodes to simulate, with the labels, annotations and taints they have in the cluster. */
export function keptNodes(kept: Kept): readonly SimulatedNode[] {
  const objects = new Map(keptObjects<Node>(kept, "nodes.").map((one) => [one.metadata.name, one]));
  return kept.machines.map(({ name, gpus }) => {
    const { metadata, spec } = objects.get(name) ?? { metadata: { name } };
    const { labels = {}, annotations = {} } = metadata;
    return { name, gpus, labels, annotations, taints: spec?.taints ?? [], place: undefined };
  });
}

/** Directories of machines that were begun but never written down are left out. */
async function ordinalsIn(nodes: string): Promise<readonly number[]> {
  if (!existsSync(nodes)) return [];
  const names = (await readdir(nodes)).filter((name) => /^\d+$/.test(name));
  const written = names.filter((name) => existsSync(join(nodes, name, "machine.json")));
  return written.map(Number).sort((a, b) => a - b);
}
