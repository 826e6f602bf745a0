/**
 * The device manager's checkpoint file `kubelet_internal_checkpoint`: what containers hold, across kubelet restarts.
 *
 * The shape is the kubelet's (pkg/kubelet/cm/devicemanager/checkpoint/checkpoint.go), with two differences: the checksum is FNV-1a over the JSON text of `Data`,
 * where the kubelet hashes a dump only Go can make; and `AllocResp` is base64 of the answer as JSON, where the kubelet
 * has protobuf bytes. Nobody but the kubelet that wrote it reads this file back.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { TrancheError } from "../../base/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import type { Holding } from "./device-table.ts";

/** File name in the device plugin directory. */
export const checkpointName = "kubelet_internal_checkpoint";

/** What the file tells. */
export interface Checkpoint {
  readonly holdings: readonly Holding[];
  /** Resource → ids of devices that were healthy when the file was written. */
  readonly registered: Readonly<Record<string, readonly string[]>>;
}

/** NUMA node of a device, for the file's grouping; `undefined` when it has none. */
export type NumaNodeOf = (resource: string, deviceId: string) => number | undefined;

/** The file's text. */
export function checkpointText(checkpoint: Checkpoint, numaNodeOf: NumaNodeOf): string {
  const data = {
    PodDeviceEntries: checkpoint.holdings.map((one) => ({
      PodUID: one.podUid,
      ContainerName: one.container,
      ResourceName: one.resource,
      DeviceIDs: byNumaNode(one, numaNodeOf),
      AllocResp: Buffer.from(JSON.stringify(one.answer)).toString("base64"),
    })),
    RegisteredDevices: checkpoint.registered,
  };
  return JSON.stringify({ Data: data, Checksum: fnv1a(JSON.stringify(data)) });
}

/** Reads the file's text; throws when it is not what `checkpointText` writes. */
export function parseCheckpoint(text: string): Checkpoint {
  const { Data: data, Checksum: checksum } = record(JSON.parse(text), "the file");
  if (checksum !== fnv1a(JSON.stringify(data))) throw corrupt("the checksum does not match");
  const { PodDeviceEntries: entries, RegisteredDevices: registered } = record(data, "Data");
  if (!Array.isArray(entries)) throw corrupt("PodDeviceEntries is not a list");
  return {
    holdings: entries.map(holding),
    registered: Object.fromEntries(
      Object.entries(record(registered, "RegisteredDevices")).map(([resource, ids]) => [resource, strings(ids)]),
    ),
  };
}

/** Reads the file at `path`; `undefined` when there is none. Throws when it is damaged. */
export async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return parseCheckpoint(text);
  } catch (cause) {
    throw new TrancheError("checkpoint-damaged", `checkpoint ${path} cannot be read`, { cause });
  }
}

/**
 * Writes the file, one write at a time, each through a temporary file and a rename so that a reader or a crash never
 * meets half of it. Requests that come while a write is under way share the next one.
 */
export class CheckpointFile {
  readonly #path: string;
  readonly #text: () => string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `text` is asked for the content when a write begins. */
  constructor(path: string, text: () => string) {
    this.#path = path;
    this.#text = text;
  }

  /** Resolves when everything known now is in the file. */
  save(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    // Whoever asked for the write under way is told if it fails; the next one begins all the same.
    this.#next = this.#running.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#write().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #write(): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    await writeFile(temporary, this.#text(), { mode: 0o600 });
    await rename(temporary, this.#path);
  }
}

function byNumaNode(one: Holding, numaNodeOf: NumaNodeOf): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const id of one.deviceIds) {
    const node = String(numaNodeOf(one.resource, id) ?? -1);
    groups[node] = [...(groups[node] ?? []), id];
  }
  return groups;
}

function holding(entry: unknown): Holding {
  const { PodUID, ContainerName, ResourceName, DeviceIDs, AllocResp } = record(entry, "an entry");
  const answer = JSON.parse(Buffer.from(string(AllocResp), "base64").toString("utf8"));
  return {
    podUid: string(PodUID),
    container: string(ContainerName),
    resource: string(ResourceName),
    deviceIds: Object.values(record(DeviceIDs, "DeviceIDs")).flatMap(strings),
    answer: allocateAnswer(answer),
  };
}

/** The checksum has vouched for the text, so the shape is checked to the depth that matters here. */
function allocateAnswer(value: unknown): AllocateAnswer {
  const { envs, mounts, devices, annotations, cdiDevices } = record(value, "AllocResp");
  if (!Array.isArray(mounts) || !Array.isArray(devices)) throw corrupt("AllocResp has no lists");
  return {
    envs: texts(envs),
    mounts: mounts.map((one: unknown) => {
      const { containerPath, hostPath, readOnly } = record(one, "a mount");
      return { containerPath: string(containerPath), hostPath: string(hostPath), readOnly: readOnly === true };
    }),
    devices: devices.map((one: unknown) => {
      const { containerPath, hostPath, permissions } = record(one, "a device");
      return { containerPath: string(containerPath), hostPath: string(hostPath), permissions: string(permissions) };
    }),
    annotations: texts(annotations),
    cdiDevices: strings(cdiDevices),
  };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw corrupt(`${what} is not an object`);
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(record(value, "a map")).map(([key, one]) => [key, string(one)]));
}

function strings(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw corrupt("a list is missing");
  return value.map(string);
}

function string(value: unknown): string {
  if (typeof value === "string") return value;
  throw corrupt("a text is missing");
}

function corrupt(what: string): TrancheError {
  return new TrancheError("checkpoint-damaged", what);
}

/** 32-bit FNV-1a. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
