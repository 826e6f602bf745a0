/**
 * Which nodes `up` simulates: from `--node`, from Node manifests, or the small default fleet.
 */
import { type Finding, finding, type Outcome, type Place, type Subject } from "../../base/index.ts";
import type { Manifest } from "../../config/index.ts";
import { findModel, type GpuModel } from "../../gpu/index.ts";
import type { Taint } from "../../kube/index.ts";
import { isNodeName, labelProblem } from "./label-rules.ts";

/** A node to simulate, with the models of its GPUs in index order. */
export interface SimulatedNode {
  readonly name: string;
  readonly gpus: readonly GpuModel[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** Where it is declared; `undefined` for the default fleet. */
  readonly place: Place | undefined;
}

/** What a simulated node's firmware would call its machine. The machine that this runs on is none of the node's. */
export const SIMULATED_MACHINE = "Tranche simulated node";

/** On a Node manifest: the models of its simulated GPUs, `MODEL[:COUNT]` joined by commas. */
const SIMULATED_GPUS_ANNOTATION = "tranche.dev/simulated-gpus";
const MAX_GPUS_PER_NODE = 16;
const TAINT_EFFECTS: readonly Taint["effect"][] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const DEFAULT_FLEET = ["node-a100=A100-80GB", "node-h100=H100-80GB", "node-t4=T4"];

/** Reads `NAME=MODEL[:COUNT][,LABEL=VALUE…]`. */
export function parseNodeOption(text: string): Outcome<SimulatedNode> {
  const subject: Subject = { kind: "command", name: `--node ${text}` };
  const equals = text.indexOf("=");
  if (equals <= 0)
    return failed(badNode(subject, "has no NAME=MODEL", "write it as --node NAME=MODEL[:COUNT][,LABEL=VALUE…]"));
  const name = text.slice(0, equals);
  const [gpuText = "", ...labelTexts] = text.slice(equals + 1).split(",");
  const gpus = parseGpus(gpuText, subject, undefined);
  if (!gpus.ok) return gpus;
  const labels: Record<string, string> = {};
  for (const labelText of labelTexts) {
    const at = labelText.indexOf("=");
    if (at <= 0) return failed(badNode(subject, `label ${labelText} has no value`, "write labels as LABEL=VALUE"));
    const key = labelText.slice(0, at);
    if (Object.hasOwn(labels, key)) return failed(badNode(subject, `label ${key} is there twice`, "give it once"));
    labels[key] = labelText.slice(at + 1);
  }
  const node = { name, gpus: gpus.value, labels, annotations: {}, taints: [], place: undefined };
  return checked(node, { subject, placeOf: () => undefined });
}

/** Reads a Node manifest; a node without the annotation has no GPUs. */
export function parseNodeManifest(manifest: Manifest): Outcome<SimulatedNode> {
  const subject: Subject = { kind: "node", name: manifest.name };
  const { placeOf } = manifest;
  const annotations = stringMap(manifest, "annotations");
  const gpuText = annotations[SIMULATED_GPUS_ANNOTATION];
  const place = placeOf(["metadata", "annotations", SIMULATED_GPUS_ANNOTATION]);
  const gpus = gpuText === undefined ? { ok: true as const, value: [] } : parseGpus(gpuText, subject, place);
  if (!gpus.ok) return gpus;
  const labels = stringMap(manifest, "labels");
  const spec = manifest.object["spec"];
  const listed: readonly unknown[] = isRecord(spec) && Array.isArray(spec["taints"]) ? spec["taints"] : [];
  const bad = listed.findIndex((one) => !isTaint(one));
  if (bad >= 0) {
    const at = placeOf(["spec", "taints", bad]);
    const remedy = `give it a key and an effect, one of ${TAINT_EFFECTS.join(", ")}`;
    return failed(badNode(subject, `taint ${bad + 1} of ${manifest.name} cannot be read`, remedy, at));
  }
  const taints = listed.filter(isTaint);
  const node = { name: manifest.name, gpus: gpus.value, labels, annotations, taints, place: manifest.place };
  return checked(node, { subject, placeOf });
}

/** A100-80GB, H100-80GB and T4, one node each. */
export function defaultFleet(): readonly SimulatedNode[] {
  return DEFAULT_FLEET.map((text) => {
    const node = parseNodeOption(text);
    if (!node.ok) throw new Error(`the default fleet has a node that cannot be read: ${text}`);
    return node.value;
  });
}

/** Reads `MODEL[:COUNT]`, several joined by commas. */
export function parseGpus(text: string, subject: Subject, place: Place | undefined): Outcome<readonly GpuModel[]> {
  const gpus: GpuModel[] = [];
  for (const part of text.split(",").map((one) => one.trim())) {
    const colon = part.indexOf(":");
    const modelText = colon < 0 ? part : part.slice(0, colon);
    const countText = colon < 0 ? "1" : part.slice(colon + 1);
    const count = /^\d+$/.test(countText) ? Number(countText) : 0;
    if (count < 1 || count > MAX_GPUS_PER_NODE) {
      const message = `${part} asks for ${JSON.stringify(countText)} GPUs`;
      return failed(badNode(subject, message, `a node has 1 to ${MAX_GPUS_PER_NODE} GPUs`, place));
    }
    const found = findModel(modelText, { subject, place });
    if (!found.ok) return found;
    gpus.push(...Array.from({ length: count }, () => found.value.model));
  }
  if (gpus.length > MAX_GPUS_PER_NODE) {
    return failed(badNode(subject, `has ${gpus.length} GPUs`, `a node has 1 to ${MAX_GPUS_PER_NODE} GPUs`, place));
  }
  return { ok: true, value: gpus, findings: [] };
}

interface Whence {
  readonly subject: Subject;
  placeOf(path: readonly string[]): Place | undefined;
}

/** What Kubernetes would refuse about the node. */
function checked(node: SimulatedNode, { subject, placeOf }: Whence): Outcome<SimulatedNode> {
  if (!isNodeName(node.name)) {
    const remedy = "use lower-case letters, digits, - and ., 63 characters at most";
    return failed(badNode(subject, `${node.name} is no node name`, remedy, placeOf(["metadata", "name"])));
  }
  for (const [key, value] of Object.entries(node.labels)) {
    const problem = labelProblem(key, value);
    if (problem === undefined) continue;
    const remedy = "use letters, digits, -, _ and ., 63 characters at most; a key may have a DNS name and / before it";
    return failed(badNode(subject, problem, remedy, placeOf(["metadata", "labels", key])));
  }
  return { ok: true, value: node, findings: [] };
}

function badNode(subject: Subject, message: string, remedy: string, place?: Place): Finding {
  return finding("bad-node", subject, message, { remedy, place });
}

function failed(one: Finding): { readonly ok: false; readonly findings: readonly Finding[] } {
  return { ok: false, findings: [one] };
}

function stringMap(manifest: Manifest, key: "labels" | "annotations"): Record<string, string> {
  const metadata = manifest.object["metadata"];
  const map = isRecord(metadata) ? metadata[key] : undefined;
  if (!isRecord(map)) return {};
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, String(value)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTaint(value: unknown): value is Taint {
  return (
    isRecord(value) && typeof value["key"] === "string" && TAINT_EFFECTS.some((effect) => effect === value["effect"])
  );
}
