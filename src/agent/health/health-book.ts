/**
 * Which of a node's GPUs and MIG devices are healthy: from what the driver lists and which XID errors it raised.
 *
 * Keeps every GPU it has seen, as it was seen last: one that falls off the bus is unhealthy, it does not vanish. Time is
 * passed in, nothing here waits.
 */
import type { Gpu, XidEvent } from "../../gpu/index.ts";
import { QUIET_MS, type Recovery, xidMeaning } from "./xid-table.ts";

/** What is wrong with a GPU or with some of its MIG devices. */
export interface Illness {
  readonly gpuUuid: string;
  /** `undefined`: the driver does not list the GPU. */
  readonly xid: number | undefined;
  /** UUIDs of the MIG devices concerned; `undefined` when it is all of the GPU. */
  readonly devices: ReadonlySet<string> | undefined;
}

/** A change of health, to be told. */
export type HealthChange =
  | { readonly kind: "ill"; readonly illness: Illness }
  | {
      readonly kind: "well";
      readonly gpuUuid: string;
      /** What is healthy again; `undefined` when it is all of the GPU. */
      readonly devices: ReadonlySet<string> | undefined;
      /** The errors that are over. */
      readonly xids: readonly number[];
      readonly why: string;
    };

interface KnownGpu {
  readonly gpu: Gpu;
  /** UUIDs that the kubelet can be offered of it: its own, or those of its MIG devices. */
  readonly present: ReadonlySet<string>;
  /** Whether the driver listed it when it was last asked. */
  listed: boolean;
}

/** An XID error that makes something unhealthy. */
interface Mark {
  readonly xid: number;
  readonly devices: ReadonlySet<string> | undefined;
  lastMs: number;
}

export class HealthBook {
  readonly #gpus = new Map<string, KnownGpu>();
  readonly #marks = new Map<string, readonly Mark[]>();
  #answers = true;

  /** Every GPU as it was last seen, in index order. */
  get gpus(): readonly Gpu[] {
    return [...this.#gpus.values()].map((one) => one.gpu).sort((a, b) => a.index - b.index);
  }

  /** Whether the driver answered when it was last asked; while it does not, nothing counts as healthy. */
  get answers(): boolean {
    return this.#answers;
  }

  gpu(uuid: string): Gpu | undefined {
    return this.#gpus.get(uuid)?.gpu;
  }

  isListed(gpuUuid: string): boolean {
    return this.#answers && this.#gpus.get(gpuUuid)?.listed === true;
  }

  /** Whether work can be given to the GPU or MIG device `uuid` of that GPU. */
  isHealthy({ uuid, gpuUuid }: { readonly uuid: string; readonly gpuUuid: string }): boolean {
    if (!this.isListed(gpuUuid) || this.#gpus.get(gpuUuid)?.present.has(uuid) !== true) return false;
    return this.#marksOf(gpuUuid).every(({ devices }) => devices !== undefined && !devices.has(uuid));
  }

  /** Whether the GPU as a whole is unhealthy, so that nothing may be changed on it. */
  isIll(gpuUuid: string): boolean {
    return !this.isListed(gpuUuid) || this.#marksOf(gpuUuid).some(({ devices }) => devices === undefined);
  }

  /** What is wrong now, by GPU index; that the driver does not answer is not among it. */
  illnesses(): readonly Illness[] {
    return this.gpus.flatMap(({ uuid: gpuUuid }) => {
      const marks = this.#marksOf(gpuUuid).map(({ xid, devices }): Illness => ({ gpuUuid, xid, devices }));
      if (marks.length > 0 || this.#gpus.get(gpuUuid)?.listed === true) return marks;
      return [{ gpuUuid, xid: undefined, devices: undefined }];
    });
  }

  /** When the next error is over by itself; `undefined` when none will be. */
  get nextCalmMs(): number | undefined {
    const quiet = [...this.#marks.values()].flat().filter((one) => recoveryOf(one) === "quiet");
    return quiet.length === 0 ? undefined : Math.min(...quiet.map((one) => one.lastMs)) + QUIET_MS;
  }

  /** The driver has listed its GPUs. */
  listed(gpus: readonly Gpu[]): readonly HealthChange[] {
    this.#answers = true;
    const changes: HealthChange[] = [];
    const uuids = new Set(gpus.map((one) => one.uuid));
    for (const [gpuUuid, known] of this.#gpus) {
      if (uuids.has(gpuUuid) || !known.listed) continue;
      known.listed = false;
      const isTold = this.#marksOf(gpuUuid).some(({ devices }) => devices === undefined);
      if (!isTold) changes.push({ kind: "ill", illness: { gpuUuid, xid: undefined, devices: undefined } });
    }
    for (const gpu of gpus) {
      const isBack = this.#gpus.get(gpu.uuid)?.listed === false;
      const present = offeredUuids(gpu);
      this.#gpus.set(gpu.uuid, { gpu, present, listed: true });
      if (!isBack) this.#forgetGoneDevices(gpu.uuid, present);
      else changes.push(this.#backOnTheBus(gpu.uuid));
    }
    return changes;
  }

  /** The driver does not answer: all it has told stays known, and nothing of it is healthy. */
  silent(): void {
    this.#answers = false;
  }

  /** An XID error that counts. One that is known already only begins its quiet time anew. */
  raised(event: XidEvent, nowMs: number): readonly HealthChange[] {
    const { gpuUuid, xid } = event;
    const devices = this.#concerned(event);
    const marks = this.#marksOf(gpuUuid);
    const known = marks.find((one) => one.xid === xid && sameScope(one.devices, devices));
    if (known !== undefined) {
      known.lastMs = nowMs;
      return [];
    }
    this.#marks.set(gpuUuid, [...marks, { xid, devices, lastMs: nowMs }]);
    return [{ kind: "ill", illness: { gpuUuid, xid, devices } }];
  }

  /** The agent has reset the GPU. */
  reset(gpuUuid: string): readonly HealthChange[] {
    return this.#drop(gpuUuid, (one) => recoveryOf(one) === "reboot", "the GPU was reset");
  }

  /** The node was rebooted. What the driver does not list any more has been taken out. */
  rebooted(): readonly HealthChange[] {
    for (const [gpuUuid, { listed }] of this.#gpus) {
      if (listed) continue;
      this.#gpus.delete(gpuUuid);
      this.#marks.delete(gpuUuid);
    }
    return [...this.#marks.keys()].flatMap((gpuUuid) => this.#drop(gpuUuid, () => false, "the node was rebooted"));
  }

  /** Ends the errors whose quiet time is over. */
  calm(nowMs: number): readonly HealthChange[] {
    const why = `it did not come again for ${QUIET_MS / 60_000} minutes`;
    const stays = (one: Mark): boolean => recoveryOf(one) !== "quiet" || nowMs < one.lastMs + QUIET_MS;
    return [...this.#marks.keys()].flatMap((gpuUuid) => this.#drop(gpuUuid, stays, why));
  }

  #marksOf(gpuUuid: string): readonly Mark[] {
    return this.#marks.get(gpuUuid) ?? [];
  }

  /** A GPU or compute instance that the event names, if it stands; otherwise all of the GPU is concerned. */
  #concerned({ gpuUuid, gpuInstanceId, computeInstanceId }: XidEvent): ReadonlySet<string> | undefined {
    const instance = this.gpu(gpuUuid)?.instances.find((one) => one.id === gpuInstanceId);
    const parts = instance?.computeInstances ?? [];
    const named = parts.filter((one) => one.id === computeInstanceId);
    const concerned = named.length > 0 ? named : parts;
    return concerned.length === 0 ? undefined : new Set(concerned.map((one) => one.uuid));
  }

  #backOnTheBus(gpuUuid: string): HealthChange {
    const xids = this.#marksOf(gpuUuid).map((one) => one.xid);
    this.#marks.delete(gpuUuid);
    return { kind: "well", gpuUuid, devices: undefined, xids, why: "the driver lists it again" };
  }

  /** An error of a MIG device goes with the device. */
  #forgetGoneDevices(gpuUuid: string, present: ReadonlySet<string>): void {
    const stays = ({ devices }: Mark): boolean =>
      devices === undefined || [...devices].some((uuid) => present.has(uuid));
    this.#keep(gpuUuid, this.#marksOf(gpuUuid).filter(stays));
  }

  /** Takes errors away; tells what no other error holds down, each place once. */
  #drop(gpuUuid: string, stays: (mark: Mark) => boolean, why: string): readonly HealthChange[] {
    const marks = this.#marksOf(gpuUuid);
    const kept = marks.filter(stays);
    if (kept.length === marks.length) return [];
    this.#keep(gpuUuid, kept);
    if (!this.isListed(gpuUuid)) return [];
    const over = marks.filter((one) => !stays(one) && !kept.some((other) => covers(other.devices, one.devices)));
    const places = Map.groupBy(over, ({ devices }) => [...(devices ?? [])].sort().join());
    return [...places.values()].map((place): HealthChange => {
      const xids = place.map((one) => one.xid);
      return { kind: "well", gpuUuid, devices: place[0]?.devices, xids, why };
    });
  }

  #keep(gpuUuid: string, marks: readonly Mark[]): void {
    if (marks.length === 0) this.#marks.delete(gpuUuid);
    else this.#marks.set(gpuUuid, marks);
  }
}

function recoveryOf({ xid }: Mark): Recovery {
  return xidMeaning(xid).recovery;
}

function offeredUuids(gpu: Gpu): ReadonlySet<string> {
  if (gpu.mig?.current !== true) return new Set([gpu.uuid]);
  return new Set(gpu.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid)));
}

/** Whether `one` holds down all that `other` does; `undefined` is all of the GPU. */
function covers(one: ReadonlySet<string> | undefined, other: ReadonlySet<string> | undefined): boolean {
  if (one === undefined || other === undefined) return one === undefined;
  return [...other].every((uuid) => one.has(uuid));
}

function sameScope(one: ReadonlySet<string> | undefined, other: ReadonlySet<string> | undefined): boolean {
  return covers(one, other) && covers(other, one);
}
