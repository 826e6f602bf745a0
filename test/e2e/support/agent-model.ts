/**
 * What a kubelet must show of a node with two GPUs, the first of which may be cut, by the plainest rules: from the
 * config in force, what stands on the GPUs, what is ill and who holds what.
 */
import assert from "node:assert/strict";
import type { Gpu } from "../../../src/gpu/index.ts";

export const GPU = "nvidia.com/gpu";

/** A device-plugin config. */
export interface ShareConfig {
  readonly text: string;
  /** By resource as it is without sharing; what is not named is not shared. */
  readonly replicas: Readonly<Record<string, number>>;
  readonly renamed: boolean;
}

function shared(replicas: Readonly<Record<string, number>>, renamed = false): ShareConfig {
  const resources = Object.entries(replicas).map(([name, count]) => ({ name, replicas: count }));
  const sharing = resources.length === 0 ? {} : { timeSlicing: { renameByDefault: renamed, resources } };
  return { text: JSON.stringify({ version: "v1", sharing }), replicas, renamed };
}

/** Between these the node is edited. */
export const shareConfigs: readonly [ShareConfig, ...ShareConfig[]] = [
  shared({ [GPU]: 4 }),
  shared({ [GPU]: 2 }),
  shared({ [GPU]: 8 }),
  shared({}),
  shared({ [GPU]: 4, "nvidia.com/mig-1g.10gb": 2 }),
  shared({ [GPU]: 4 }, true),
];

/** Profiles with how many of each. */
export type GpuLayout = Readonly<Record<string, number>>;

export const layouts: readonly [GpuLayout, ...GpuLayout[]] = [
  { "1g.10gb": 2, "3g.40gb": 1 },
  { "1g.10gb": 7 },
  { "3g.40gb": 2 },
];

/** One device as it stands, before sharing. */
interface Unit {
  readonly resource: string;
  readonly uuid: string;
  readonly gpuUuid: string;
}

/** What a running pod has of the node. */
export interface Held {
  readonly resource: string;
  readonly id: string;
}

/** Ids that the kubelet must show healthy for one unit: so many, of this form, these among them. */
export interface Expected {
  readonly resource: string;
  readonly uuid: string;
  readonly gpuUuid: string;
  /** How many devices there are, healthy or not. */
  readonly slots: number;
  /** How many of them pods may have or get. */
  readonly healthy: number;
  /** Those that pods hold. */
  readonly held: readonly string[];
}

export class AgentModel {
  /** As the driver listed them last. */
  gpus: readonly Gpu[] = [];
  /** The last config that the agent has had and could read. */
  inForce = shareConfigs[0];
  readonly pods = new Map<string, Held>();
  isAgentUp = false;
  /** Whether the driver has answered the agent that runs. */
  isDriverKnown = false;
  isDriverUp = true;
  /** GPU UUIDs. */
  readonly lost = new Set<string>();
  /** UUIDs of GPUs, or of MIG devices, that an error has named. */
  readonly ill = new Set<string>();
  /** GPUs that the agent which runs has never seen. */
  readonly unseen = new Set<string>();

  agentStarts(): void {
    this.isAgentUp = true;
    this.isDriverKnown = this.isDriverUp;
    this.ill.clear();
    this.unseen.clear();
    for (const uuid of this.lost) this.unseen.add(uuid);
  }

  agentEnds(): void {
    this.isAgentUp = false;
  }

  driverComes(): void {
    this.isDriverUp = true;
    this.isDriverKnown = this.isAgentUp;
  }

  gpu(index: number): Gpu {
    return this.gpus[index] ?? assert.fail(`no GPU ${index}`);
  }

  /** What stands on the GPU, `3g.40gb` and the like, sorted; `undefined` while it is whole. */
  profiles(index: number): readonly string[] | undefined {
    const { mig, instances } = this.gpu(index);
    return mig?.current === true ? instances.map(({ profile }) => profile.name).sort() : undefined;
  }

  /** Whether nothing hinders the agent from changing the GPU. */
  isCuttable(gpu: Gpu): boolean {
    const units = new Set(unitsOf(gpu).map(({ uuid }) => uuid));
    const isHeld = [...this.pods.values()].some(({ id }) => units.has(uuidOf(id)));
    return !isHeld && this.isAgentUp && this.isDriverUp && !this.lost.has(gpu.uuid) && !this.ill.has(gpu.uuid);
  }

  /** Whether an error has named the GPU or a part of it. */
  isIll(gpu: Gpu): boolean {
    return this.ill.has(gpu.uuid) || unitsOf(gpu).some(({ uuid }) => this.ill.has(uuid));
  }

  /** How many of a resource the scheduler takes for free, without those of one GPU. */
  schedulerSees(resource: string, withoutGpu: string | undefined): number {
    const all = this.expected.filter((one) => one.resource === resource && one.gpuUuid !== withoutGpu);
    const held = [...this.pods.values()].filter((one) => one.resource === resource).length;
    return all.reduce((sum, { healthy }) => sum + healthy, 0) - held;
  }

  /** Pods whose device is not there any more. */
  get homeless(): readonly string[] {
    const uuids = new Set(this.gpus.flatMap(unitsOf).map(({ uuid }) => uuid));
    return [...this.pods].filter(([, { id }]) => !uuids.has(uuidOf(id))).map(([name, { id }]) => `${name} held ${id}`);
  }

  get expected(): readonly Expected[] {
    const units = this.gpus.filter(({ uuid }) => !this.unseen.has(uuid)).flatMap(unitsOf);
    return units.map((unit): Expected => {
      const replicas = this.inForce.replicas[unit.resource];
      const isRenamed = replicas !== undefined && this.inForce.renamed;
      const resource = isRenamed ? `${unit.resource}.shared` : unit.resource;
      const slots = replicas ?? 1;
      const all = [...this.pods.values()].filter(({ id }) => uuidOf(id) === unit.uuid);
      const held = all.filter((one) => one.resource === resource).map(({ id }) => id);
      // Who holds it under another name takes a place, too.
      const elsewhere = all.length - held.length;
      const healthy = this.#isHealthy(unit) ? Math.max(Math.min(held.length, slots), slots - elsewhere) : 0;
      return { ...unit, resource, slots, healthy, held };
    });
  }

  #isHealthy({ uuid, gpuUuid }: Unit): boolean {
    if (!this.isAgentUp || !this.isDriverUp || this.lost.has(gpuUuid)) return false;
    return !this.ill.has(uuid) && !this.ill.has(gpuUuid);
  }
}

function unitsOf(gpu: Gpu): readonly Unit[] {
  const { uuid: gpuUuid, mig, instances } = gpu;
  if (mig?.current !== true) return [{ resource: GPU, uuid: gpuUuid, gpuUuid }];
  return instances.flatMap(({ profile, computeInstances }) =>
    computeInstances.map(({ uuid }) => ({ resource: `nvidia.com/mig-${profile.name}`, uuid, gpuUuid })),
  );
}

export function uuidOf(id: string): string {
  return id.split("::")[0] ?? id;
}
