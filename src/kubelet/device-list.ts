/**
 * The list of devices in its wire form, of which only what changed is encoded anew.
 *
 * Every change of one device sends the whole list again (ListAndWatch has no differences), and a node with many
 * replicas has thousands of entries. Encoded messages with a repeated field may be laid end to end, so each device is
 * kept as a message of its own and a list is made by joining those.
 */
import { ListAndWatchResponseSchema } from "./gen/deviceplugin/v1beta1/api_pb.js";
import { encode } from "./grpc.ts";
import { deviceMessage } from "./messages.ts";
import type { PluginDevice } from "./types.ts";

/** What the kubelet's client takes in one message (grpc-go's default, which the kubelet does not raise). */
export const maxListBytes = 4 * 1024 * 1024;

interface Entry {
  readonly healthy: boolean;
  readonly numaNode: number | undefined;
  /** A ListAndWatchResponse that holds this device alone. */
  readonly bytes: Buffer;
}

export interface EncodedList {
  /** A ListAndWatchResponse. */
  readonly bytes: Buffer;
  /** How many devices it holds. */
  readonly devices: number;
  /** How many devices at the end of the list are not in it, because it would be over `maxListBytes`. */
  readonly leftOut: number;
}

/** Encodes list after list for one resource. */
export class DeviceListEncoder {
  #entries: ReadonlyMap<string, Entry> = new Map();

  /**
   * The list as bytes, or `undefined` when the kubelet would see no difference to the list before: order does not
   * count, and of devices with the same id the last one does, since the kubelet keeps a map.
   */
  encode(devices: readonly PluginDevice[]): EncodedList | undefined {
    const before = this.#entries;
    const entries = new Map<string, Entry>();
    let changed = false;
    for (const device of devices) {
      const known = before.get(device.id);
      const same = known !== undefined && known.healthy === device.healthy && known.numaNode === device.numaNode;
      entries.set(device.id, same ? known : entryOf(device));
      changed ||= !same;
    }
    if (!changed && entries.size === before.size) return undefined;
    this.#entries = entries;
    return joined(entries);
  }
}

function entryOf(device: PluginDevice): Entry {
  const bytes = encode(ListAndWatchResponseSchema, { devices: [deviceMessage(device)] });
  return { healthy: device.healthy, numaNode: device.numaNode, bytes };
}

function joined(entries: ReadonlyMap<string, Entry>): EncodedList {
  const parts: Buffer[] = [];
  let length = 0;
  for (const { bytes } of entries.values()) {
    if (length + bytes.length > maxListBytes) break;
    parts.push(bytes);
    length += bytes.length;
  }
  return { bytes: Buffer.concat(parts, length), devices: parts.length, leftOut: entries.size - parts.length };
}
