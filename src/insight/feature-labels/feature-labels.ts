/**
 * What a node's labels tell of its GPUs: the labels of NVIDIA's GPU Feature Discovery, same names and same values, so
 * that selectors, affinities and dashboards made for it go on working.
 *
 * Where it would take one of several models by chance, or write a value that Kubernetes refuses, there is a rule here and
 * a finding.
 */
import { type Finding, finding, type Subject } from "../../base/index.ts";
import type { DevicePluginConfig, MigStrategy } from "../../config/index.ts";
import type { Gpu, NodeFacts } from "../../gpu/index.ts";
import { nodeDevices } from "../../sharing/index.ts";
import { fitted } from "./label-text.ts";
import { cliqueLabel, type LabelEntries, machineLabel, modeLabel, versionLabels, vgpuLabels } from "./node-labels.ts";
import { gpuLabels, migLabels, modelGroups } from "./resource-labels.ts";

/** Since when the labels hold, in Unix seconds. */
export const TIMESTAMP_LABEL = "nvidia.com/gfd.timestamp";

export interface FeatureLabelsRequest {
  readonly nodeName: string;
  readonly gpus: readonly Gpu[];
  readonly driverVersion: string;
  readonly facts: NodeFacts;
  readonly config: DevicePluginConfig;
  /** The one in force, after environment and policy. */
  readonly migStrategy: MigStrategy;
  /** What the machine type file says; `undefined` when it cannot be read. */
  readonly machineType: string | undefined;
  /** Since when the labels hold, in Unix seconds; `undefined` for labels without a time. */
  readonly timestamp: number | undefined;
}

export interface FeatureLabels {
  /** Ascending by name; every value is one that Kubernetes takes. */
  readonly labels: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
}

/** The labels of a node as it is now; a node without GPUs has those of time and vGPU only. */
export function featureLabels(request: FeatureLabelsRequest): FeatureLabels {
  const { gpus, facts, timestamp, nodeName } = request;
  const subject: Subject = { kind: "node", name: nodeName };
  const devices = nodeDevices(gpus, new Map());
  const groups = modelGroups(devices);
  const time: LabelEntries = timestamp === undefined ? [] : [[TIMESTAMP_LABEL, String(timestamp)]];
  const entries = [...time, ...vgpuLabels(facts), ...(groups.length === 0 ? [] : gpuEntries(request))];
  // Later entries take the place of earlier ones.
  const sorted = [...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : 1));
  const labels = new Map(sorted.map(([key, value]) => [key, fitted(value)]));
  const altered = sorted.filter(([key, value]) => labels.get(key) !== value);
  return {
    labels,
    findings: [
      ...(groups.length > 1 ? [modelsFinding(subject, groups)] : []),
      ...altered.map(([key, value]) => alteredFinding(subject, key, [value, labels.get(key) ?? ""])),
    ],
  };
}

function gpuEntries(request: FeatureLabelsRequest): LabelEntries {
  const { gpus, facts, driverVersion, config, migStrategy, machineType } = request;
  const devices = nodeDevices(gpus, new Map());
  const uuids = [...devices.whole, ...devices.cut].map(({ gpu }) => gpu.uuid);
  const isCapable = [...devices.whole, ...devices.cut].some(({ gpu }) => gpu.mig !== undefined);
  const isMps = config.sharing.strategy === "mps" && devices.cut.length === 0;
  return [
    ...versionLabels(driverVersion, facts.cudaVersion),
    ...machineLabel(machineType),
    ...modeLabel(uuids, facts),
    ...cliqueLabel(uuids, facts),
    ["nvidia.com/mig.capable", String(isCapable)],
    ...(migStrategy === "none" ? [] : [["nvidia.com/mig.strategy", migStrategy] as const]),
    ["nvidia.com/mps.capable", String(isMps)],
    ...gpuLabels(devices, config),
    ...migLabels(devices, config, migStrategy),
  ];
}

/** The labels as Node Feature Discovery reads them from a file: one `key=value` a line. */
export function featureFileText(labels: ReadonlyMap<string, string>): string {
  return [...labels].map(([key, value]) => `${key}=${value}\n`).join("");
}

function modelsFinding(subject: Subject, groups: readonly (readonly Gpu[])[]): Finding {
  const models = groups.map((group) => `${group.length} ${group[0]?.name}`);
  const message = `${subject.name} has GPUs of several models: ${models.join(", ")}; labels nvidia.com/gpu.* tell of ${groups[0]?.[0]?.name}`;
  const remedy = "name resources by model under resources.gpus of the device plugin's config to tell them apart";
  return finding("feature-labels-several-models", subject, message, { remedy, evidence: { models } });
}

function alteredFinding(subject: Subject, key: string, [value, written]: readonly [string, string]): Finding {
  const message = `${key} would be "${value}", which is no label value to Kubernetes; it is written as "${written}"`;
  return finding("feature-label-altered", subject, message, { evidence: { key, value, written } });
}
