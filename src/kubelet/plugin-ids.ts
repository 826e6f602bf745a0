/**
 * Reads requests for GetPreferredAllocation and Allocate, with ids as the very strings that were offered.
 *
 * For the first the kubelet lists every free device, 375 kB for 8,000 shares, and it has all these ids from this plugin.
 * To make strings of them and to look those up takes 3 ms: each has to be allocated, hashed and compared. So an id is
 * found by its bytes in a table, and becomes a string that everybody has seen before.
 */
import { sameIds } from "./device-list.ts";
import {
  type AllocateRequest,
  AllocateRequestSchema,
  type ContainerAllocateRequest,
  type ContainerPreferredAllocationRequest,
  type PreferredAllocationRequest,
  PreferredAllocationRequestSchema,
} from "./gen/deviceplugin/v1beta1/api_pb.js";
import { decode } from "./grpc.ts";
import type { PluginDevice } from "./types.ts";

/** What is offered now, and how to find it by bytes. */
export class OfferedIds {
  #devices: readonly PluginDevice[] = [];
  /** These two are made when somebody asks. */
  #ids: readonly string[] | undefined;
  #table: IdTable | undefined;

  offer(devices: readonly PluginDevice[]): void {
    if (this.#table !== undefined && !sameIds(this.#devices, devices)) this.#table = undefined;
    this.#devices = devices;
    this.#ids = undefined;
  }

  /** The request in `bytes`; throws what the general decoder throws when there is none. */
  preferredAllocationRequest(bytes: Buffer): PreferredAllocationRequest {
    const containerRequests = this.#reader(bytes).preferredAllocations();
    if (containerRequests === undefined) return decode(PreferredAllocationRequestSchema, bytes);
    return { $typeName: "v1beta1.PreferredAllocationRequest", containerRequests };
  }

  /** As `preferredAllocationRequest`. */
  allocateRequest(bytes: Buffer): AllocateRequest {
    const containerRequests = this.#reader(bytes).allocations();
    if (containerRequests === undefined) return decode(AllocateRequestSchema, bytes);
    return { $typeName: "v1beta1.AllocateRequest", containerRequests };
  }

  #reader(bytes: Buffer): Reader {
    this.#ids ??= this.#devices.map(({ id }) => id);
    this.#table ??= new IdTable(this.#ids);
    return new Reader(bytes, this.#table, this.#ids);
  }
}

/** Finds the place of an id in a list by the id's bytes; open addressing, at most half full. */
class IdTable {
  /** All ids, end to end. */
  readonly #ids: DataView;
  /** Where each id begins, and last where they end. */
  readonly #offsets: Int32Array;
  /** Places in the list; -1 where there is none. */
  readonly #slots: Int32Array;

  constructor(ids: readonly string[]) {
    const bytes = Buffer.from(ids.join(""));
    this.#ids = viewOf(bytes);
    this.#offsets = new Int32Array(ids.length + 1);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(ids.length * 2 + 1))).fill(-1);
    let end = 0;
    for (const [place, id] of ids.entries()) {
      const from = end;
      end += Buffer.byteLength(id);
      this.#offsets[place + 1] = end;
      let slot = this.#firstSlot(this.#ids, from, end);
      while (this.#slots[slot] !== -1) slot = this.#next(slot);
      this.#slots[slot] = place;
    }
  }

  /** -1 when the bytes are no id of the list. */
  place(view: DataView, from: number, to: number): number {
    for (let slot = this.#firstSlot(view, from, to); ; slot = this.#next(slot)) {
      const place = this.#slots[slot] ?? -1;
      if (place === -1 || this.#isAt(place, view, from, to)) return place;
    }
  }

  /** By the end of the id, which has the share's number and enough of the UUID to tell devices apart. */
  #firstSlot(view: DataView, from: number, to: number): number {
    let hash = to - from;
    for (let at = to - 4; at >= from && at >= to - 16; at -= 4) hash = mix(hash, view.getInt32(at));
    return hash & (this.#slots.length - 1);
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  #isAt(place: number, view: DataView, from: number, to: number): boolean {
    const shift = (this.#offsets[place] ?? 0) - from;
    if ((this.#offsets[place + 1] ?? 0) !== to + shift) return false;
    let at = from;
    for (; at + 4 <= to; at += 4) if (view.getInt32(at) !== this.#ids.getInt32(at + shift)) return false;
    for (; at < to; at += 1) if (view.getUint8(at) !== this.#ids.getUint8(at + shift)) return false;
    return true;
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Fields of the messages (api.proto, v1beta1), with their wire types. */
const tags = {
  containerRequests: 0x0a,
  deviceIds: 0x0a,
  availableDeviceIds: 0x0a,
  mustIncludeDeviceIds: 0x12,
  allocationSize: 0x18,
};

/** Reads what the kubelet writes about offered ids; anything else is left to the general decoder. */
class Reader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #table: IdTable;
  readonly #ids: readonly string[];
  #at = 0;

  constructor(bytes: Buffer, table: IdTable, ids: readonly string[]) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#table = table;
    this.#ids = ids;
  }

  preferredAllocations(): ContainerPreferredAllocationRequest[] | undefined {
    return this.#containers((to) => this.#preferredAllocation(to));
  }

  allocations(): ContainerAllocateRequest[] | undefined {
    return this.#containers((to) => this.#allocation(to));
  }

  #containers<Container>(read: (to: number) => Container | undefined): Container[] | undefined {
    const containers: Container[] = [];
    while (this.#at < this.#bytes.length) {
      if (this.#varint() !== tags.containerRequests) return undefined;
      const to = this.#end(this.#bytes.length);
      const one = to === undefined ? undefined : read(to);
      if (one === undefined) return undefined;
      containers.push(one);
    }
    return containers;
  }

  #allocation(to: number): ContainerAllocateRequest | undefined {
    const devicesIds: string[] = [];
    while (this.#at < to) {
      const id = this.#varint() === tags.deviceIds ? this.#id(to) : undefined;
      if (id === undefined) return undefined;
      devicesIds.push(id);
    }
    return { $typeName: "v1beta1.ContainerAllocateRequest", devicesIds };
  }

  /** Available ids in the order of the list, which says nothing: the kubelet has them from a set. */
  #preferredAllocation(to: number): ContainerPreferredAllocationRequest | undefined {
    const available = new Uint8Array(this.#ids.length);
    const mustIncludeDeviceIDs: string[] = [];
    let allocationSize: number | undefined = 0;
    this.#available(to, available);
    while (this.#at < to && allocationSize !== undefined) {
      const tag = this.#varint();
      if (tag === tags.mustIncludeDeviceIds) {
        const id = this.#id(to);
        if (id === undefined) return undefined;
        mustIncludeDeviceIDs.push(id);
      } else {
        allocationSize = tag === tags.allocationSize ? this.#varint() : undefined;
      }
    }
    if (this.#at !== to || allocationSize === undefined) return undefined;
    const availableDeviceIDs: string[] = [];
    for (const [place, id] of this.#ids.entries()) if (available[place] === 1) availableDeviceIDs.push(id);
    const $typeName = "v1beta1.ContainerPreferredAllocationRequest";
    return { $typeName, availableDeviceIDs, mustIncludeDeviceIDs, allocationSize };
  }

  /** Marks the places of available ids, up to the first one that was not offered or is longer than 127 bytes. */
  #available(to: number, available: Uint8Array): void {
    const view = this.#view;
    let at = this.#at;
    while (at + 2 < to && view.getUint8(at) === tags.availableDeviceIds) {
      const from = at + 2;
      const end = from + view.getUint8(at + 1);
      if (end > to || end - from > 0x7f) break;
      const place = this.#table.place(view, from, end);
      if (place === -1) break;
      available[place] = 1;
      at = end;
    }
    this.#at = at;
  }

  /** `undefined` also for one that is not offered. */
  #id(last: number): string | undefined {
    const to = this.#end(last);
    if (to === undefined) return undefined;
    const from = this.#at;
    this.#at = to;
    return this.#ids[this.#table.place(this.#view, from, to)];
  }

  /** Where the bytes end whose length stands here; `undefined` when that is after `last`. */
  #end(last: number): number | undefined {
    const length = this.#varint();
    return length === undefined || this.#at + length > last ? undefined : this.#at + length;
  }

  /** `undefined` for more than four bytes, as a negative number has, and when the bytes end. */
  #varint(): number | undefined {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) return undefined;
      this.#at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }
}
