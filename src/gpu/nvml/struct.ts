/**
 * C structs as NVML lays them out: natural alignment, 8-byte pointers, little-endian, as on Linux x86-64 and arm64.
 *
 * Structs live in buffers and are read field by field; no copy in a library's own type system has to agree with this.
 */
import { TrancheError } from "../../base/index.ts";

/** `text` fields are `char[length]`, cut at the first zero byte. */
export type FieldType = "u8" | "u32" | "u64" | "pointer" | { readonly text: number };

export class Struct<Field extends string> {
  /** As nvml.h names it. */
  readonly name: string;
  /** In bytes, padding at the end included. */
  readonly size: number;
  /** What the field `version` must hold, `sizeof | version << 24`; `undefined` when the struct has no such field. */
  readonly tag: number | undefined;
  readonly offsets: ReadonlyMap<Field, number>;

  constructor(name: string, fields: readonly (readonly [Field, FieldType])[], version?: number) {
    const offsets = new Map<Field, number>();
    let end = 0;
    let alignment = 1;
    for (const [field, type] of fields) {
      const [size, align] = shapeOf(type);
      const offset = roundedUp(end, align);
      offsets.set(field, offset);
      end = offset + size;
      alignment = Math.max(alignment, align);
    }
    this.name = name;
    this.offsets = offsets;
    this.size = roundedUp(end, alignment);
    this.tag = version === undefined ? undefined : this.size + version * 0x100_0000;
  }

  /** Zeroed memory for `count` structs in a row, with the version tag of each in place. */
  allocate(count = 1): Buffer {
    const memory = Buffer.alloc(this.size * count);
    if (this.tag !== undefined) {
      for (let index = 0; index < count; index++) memory.writeUInt32LE(this.tag, index * this.size);
    }
    return memory;
  }

  u8(memory: Buffer, field: Field, index = 0): number {
    return memory.readUInt8(this.#at(field, index));
  }

  u32(memory: Buffer, field: Field, index = 0): number {
    return memory.readUInt32LE(this.#at(field, index));
  }

  u64(memory: Buffer, field: Field, index = 0): bigint {
    return memory.readBigUInt64LE(this.#at(field, index));
  }

  text(memory: Buffer, field: Field, index = 0): string {
    return textIn(memory.subarray(this.#at(field, index)));
  }

  #at(field: Field, index: number): number {
    const offset = this.offsets.get(field);
    if (offset === undefined) throw new TrancheError("no-such-field", `${this.name} has no field ${field}`);
    return index * this.size + offset;
  }
}

/** The text before the first zero byte. */
export function textIn(memory: Buffer): string {
  const end = memory.indexOf(0);
  return memory.toString("latin1", 0, end < 0 ? memory.length : end);
}

function shapeOf(type: FieldType): readonly [size: number, alignment: number] {
  if (typeof type === "object") return [type.text, 1];
  if (type === "u8") return [1, 1];
  return type === "u32" ? [4, 4] : [8, 8];
}

function roundedUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
