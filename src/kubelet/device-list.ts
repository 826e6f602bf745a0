/**
 * The list of devices in its wire form, of which only what changed is encoded anew.
 *
 * Every change of one device sends the whole list again (ListAndWatch has no differences), and a node with many
 * replicas has thousands of entries. Encoded messages with a repeated field may be laid end to end, so each device is
 * encoded as a list of its own, and a new list is joined from these and from runs of the list before.
 */
import { ListAndWatchResponseSchema } from "./gen/deviceplugin/v1beta1/api_pb.js";
import { encode } from "./grpc.ts";
import { deviceMessage } from "./messages.ts";
import type { PluginDevice } from "./types.ts";

/** What the kubelet's client takes in one message (grpc-go's default, which the kubelet does not raise). */
export const maxListBytes = 4 * 1024 * 1024;

export interface EncodedList {
  /** A ListAndWatchResponse. */
  readonly bytes: Buffer;
  /** How many devices it holds. */
  readonly devices: number;
  /** How many devices at the end of the list are not in it, because it would be over `maxListBytes`. */
  readonly leftOut: number;
}

/** All devices of one list, each id once. */
interface Encoded {
  readonly devices: readonly PluginDevice[];
  readonly bytes: Buffer;
  /** Where in `bytes` each device begins, and last where they end. */
  readonly offsets: Uint32Array;
}

/** Encodes list after list for one resource. */
export class DeviceListEncoder {
  #last: Encoded = { devices: [], bytes: Buffer.alloc(0), offsets: new Uint32Array(1) };

  /**
   * The list as bytes, or `undefined` when the kubelet would see no difference to the list before: order does not
   * count, and of devices with the same id the last one does, since the kubelet keeps a map.
   */
  encode(devices: readonly PluginDevice[]): EncodedList | undefined {
    const before = this.#last;
    const inPlace = sameIds(before.devices, devices);
    const unique = inPlace ? devices : [...new Map(devices.map((device) => [device.id, device])).values()];
    const { encoded, kept } = compose(before, unique, inPlace ? undefined : placesOf(before.devices));
    if (kept === unique.length && kept === before.devices.length) return undefined;
    this.#last = encoded;
    return cut(encoded);
  }
}

/** The common case, in which a list needs no look-up by id: the same devices in the same order. */
export function sameIds(before: readonly PluginDevice[], after: readonly PluginDevice[]): boolean {
  return before.length === after.length && after.every((device, index) => device.id === before[index]?.id);
}

function placesOf(devices: readonly PluginDevice[]): ReadonlyMap<string, number> {
  return new Map(devices.map((device, index) => [device.id, index]));
}

/**
 * Encodes `devices`, taking from `before` those that have not changed; `kept` counts them. Without `places` each device
 * stands where it stood.
 */
function compose(
  before: Encoded,
  devices: readonly PluginDevice[],
  places: ReadonlyMap<string, number> | undefined,
): { readonly encoded: Encoded; readonly kept: number } {
  const parts: Buffer[] = [];
  const offsets = new Uint32Array(devices.length + 1);
  const run = { from: 0, to: 0 };
  let length = 0;
  let kept = 0;
  for (const [index, device] of devices.entries()) {
    const place = places === undefined ? index : places.get(device.id);
    if (place !== undefined && unchanged(before.devices[place], device)) {
      const [from = 0, to = 0] = [before.offsets[place], before.offsets[place + 1]];
      if (from !== run.to) {
        parts.push(before.bytes.subarray(run.from, run.to));
        run.from = from;
      }
      run.to = to;
      length += to - from;
      kept += 1;
    } else {
      const bytes = encode(ListAndWatchResponseSchema, { devices: [deviceMessage(device)] });
      parts.push(before.bytes.subarray(run.from, run.to), bytes);
      run.from = run.to;
      length += bytes.length;
    }
    offsets[index + 1] = length;
  }
  parts.push(before.bytes.subarray(run.from, run.to));
  return { encoded: { devices, bytes: Buffer.concat(parts, length), offsets }, kept };
}

function unchanged(before: PluginDevice | undefined, after: PluginDevice): boolean {
  return before !== undefined && before.healthy === after.healthy && before.numaNode === after.numaNode;
}

/** As many devices as the kubelet takes. */
function cut({ devices, bytes, offsets }: Encoded): EncodedList {
  if (bytes.length <= maxListBytes) return { bytes, devices: devices.length, leftOut: 0 };
  const fitting = offsets.findLastIndex((offset) => offset <= maxListBytes);
  return { bytes: bytes.subarray(0, offsets[fitting]), devices: fitting, leftOut: devices.length - fitting };
}
