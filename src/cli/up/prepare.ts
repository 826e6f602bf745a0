/**
 * Reads and checks everything that is declared, together with what an earlier run left; nothing runs yet.
 */
import { MIG_CONFIG_LABEL } from "../../agent/index.ts";
import type { Finding } from "../../base/index.ts";
import { type Gpu, SimulatedDriver } from "../../gpu/index.ts";
import { adoptConfigMaps } from "./adopt.ts";
import { chooseMigConfigs } from "./choose.ts";
import { type Declared, sortManifests } from "./declared.ts";
import { readFiles } from "./files.ts";
import { type Kept, keptNodes } from "./kept.ts";
import type { SimulatedNode } from "./nodes.ts";
import { preflight } from "./preflight.ts";
import { withReturning } from "./returning.ts";

export interface PrepareOptions {
  /** As after `-f` and `--node`. */
  readonly files: readonly string[];
  readonly nodes: readonly string[];
  /** `undefined` where nothing is kept. */
  readonly kept: Kept | undefined;
}

/** What shall run, or why it cannot. */
export type Prepared =
  | {
      readonly ok: true;
      /** Its policies are those that are completed or made, to be set after the manifests were applied. */
      readonly declared: Declared;
      readonly findings: readonly Finding[];
    }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Completes and checks what is declared. What is wrong with what was kept is left to the agents: it ran before. */
export async function prepare({ files, nodes, kept }: PrepareOptions): Promise<Prepared> {
  const read = await readFiles(files);
  if (!read.ok) return read;
  const before = kept === undefined ? [] : keptNodes(kept);
  const sorted = sortManifests(read.value, nodes, before);
  if (!sorted.ok) return { ok: false, findings: [...read.findings, ...sorted.findings] };
  const found = [...read.findings, ...sorted.findings];
  const { value: declared } = sorted;
  if (before.length > 0 && files.length === 0 && nodes.length === 0) {
    return { ok: true, declared, findings: distinct(found) };
  }
  const whole = kept === undefined ? declared : withReturning(declared, kept);
  const { declared: adopted, policy, findings: adoptedFindings } = adoptConfigMaps(whole);
  const gpusOf = await gpusOfNodes(adopted.nodes);
  const checked = preflight(adopted, gpusOf).filter((one) => !isAboutKept(one, { declared, whole, before }));
  const chosen = await chooseMigConfigs(adopted, gpusOf);
  const findings = distinct([...found, ...adoptedFindings, ...checked, ...chosen.findings]);
  if (findings.some((one) => one.severity === "error")) return { ok: false, findings };
  const labelledNodes = adopted.nodes.map((node) => labelled(node, chosen.labels.get(node.name)));
  const policies = policy === undefined ? [] : [policy];
  return { ok: true, declared: { ...declared, nodes: labelledNodes, policies }, findings };
}

interface Wholes {
  readonly declared: Declared;
  readonly whole: Declared;
  readonly before: readonly SimulatedNode[];
}

/** Whether it is about a ConfigMap or a node that nobody declares now. */
function isAboutKept({ subject, place }: Finding, { declared, whole, before }: Wholes): boolean {
  const keptMaps = whole.configMaps.filter((one) => !declared.configMaps.includes(one));
  if (keptMaps.some(({ manifest }) => manifest.place.file === place?.file)) return true;
  const staying = declared.nodes.filter((one) => before.includes(one));
  return staying.some(({ name }) => subject.name === name || subject.name.startsWith(`${name} `));
}

function labelled(node: SimulatedNode, config: string | undefined): SimulatedNode {
  return config === undefined ? node : { ...node, labels: { ...node.labels, [MIG_CONFIG_LABEL]: config } };
}

/** The GPUs as each node will have them; UUIDs follow from the node's name, so these are the same. */
async function gpusOfNodes(nodes: readonly SimulatedNode[]): Promise<ReadonlyMap<string, readonly Gpu[]>> {
  const pairs = nodes.map(
    async ({ name, gpus }) => [name, await new SimulatedDriver({ models: gpus, seed: name }).list()] as const,
  );
  return new Map(await Promise.all(pairs));
}

function distinct(findings: readonly Finding[]): readonly Finding[] {
  const key = (one: Finding): string => JSON.stringify([one.code, one.message, one.place]);
  return [...new Map(findings.map((one) => [key(one), one])).values()];
}
