/**
 * What the kubelet has written down of devices: who holds them while it cannot be asked, or does not know its pods yet.
 *
 * The file is the device manager's (kubernetes, pkg/kubelet/cm/devicemanager/checkpoint/checkpoint.go). Its checksum
 * hashes a dump that only Go can make, so it is not checked: the file is only asked who holds something, never trusted
 * to say that nobody does. It keeps entries of pods that have ended until the next allocation, and the kubelet keeps the
 * directory of a pod as long as the pod is there.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TrancheError } from "../base/index.ts";

/** Below the kubelet's root directory. */
const CHECKPOINT = "device-plugins/kubelet_internal_checkpoint";

/** What one pod holds by the checkpoint. */
export interface CheckpointEntry {
  readonly podUid: string;
  readonly deviceIds: readonly string[];
}

/**
 * Entries of pods that are still on the node, `undefined` when there is no checkpoint. Throws a `device-checkpoint` error
 * when it cannot be read.
 */
export async function readDeviceCheckpoint(kubeletRoot: string): Promise<readonly CheckpointEntry[] | undefined> {
  const path = join(kubeletRoot, CHECKPOINT);
  if (!existsSync(path)) return undefined;
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    const entries = listIn(recordIn(value, "Data"), "PodDeviceEntries").map(entryOf);
    return entries.filter(({ podUid }) => existsSync(join(kubeletRoot, "pods", podUid)));
  } catch (cause) {
    throw new TrancheError("device-checkpoint", `the kubelet's checkpoint ${path} cannot be read`, { cause });
  }
}

function entryOf(value: unknown): CheckpointEntry {
  const byNumaNode = recordIn(value, "DeviceIDs");
  const podUid = textIn(value, "PodUID");
  // The name of a directory is made of it.
  if (!/^[\w-]+$/.test(podUid)) throw new Error(`${JSON.stringify(podUid)} is no UID of a pod`);
  const deviceIds = Object.keys(byNumaNode).flatMap((node) => listIn(byNumaNode, node).map(String));
  return { podUid, deviceIds };
}

function recordIn(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const found = fieldOf(value, key);
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error(`${key} is no object`);
  return { ...found };
}

/** Go writes an empty list as null. */
function listIn(value: unknown, key: string): readonly unknown[] {
  const found = fieldOf(value, key) ?? [];
  if (!Array.isArray(found)) throw new Error(`${key} is no list`);
  return found;
}

function textIn(value: unknown, key: string): string {
  const found = fieldOf(value, key);
  if (typeof found !== "string") throw new Error(`${key} is no text`);
  return found;
}

function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) throw new Error(`nothing has a field ${key}`);
  return Object.entries(value).find(([name]) => name === key)?.[1];
}
