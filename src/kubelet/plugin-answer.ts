/**
 * Encodes what Allocate answers.
 *
 * The general encoder walks descriptors and makes a buffer of each string, which takes a good part of the time of a
 * call. A message is put together as text here, one character for each byte, and becomes bytes in the end.
 */
import type { AllocateAnswer } from "../sharing/index.ts";

/** An AllocateResponse (api.proto, v1beta1) with one answer for each container. */
export function allocateResponse(answers: readonly AllocateAnswer[]): Buffer {
  return Buffer.from(answers.map((answer) => message(1, containerResponse(answer))).join(""), "latin1");
}

/** Fields in the order of their numbers, as every encoder writes them; what is empty or false is left out. */
function containerResponse({ envs, mounts, devices, annotations, cdiDevices }: AllocateAnswer): string {
  let fields = map(1, envs);
  for (const { containerPath, hostPath, readOnly } of mounts) {
    fields += message(2, text(1, containerPath) + text(2, hostPath) + (readOnly ? "\x18\x01" : ""));
  }
  for (const { containerPath, hostPath, permissions } of devices) {
    fields += message(3, text(1, containerPath) + text(2, hostPath) + text(3, permissions));
  }
  fields += map(4, annotations);
  for (const name of cdiDevices) fields += message(5, text(1, name));
  return fields;
}

/** An entry of a map has key and value even if they are empty. */
function map(number: number, entries: Readonly<Record<string, string>>): string {
  let fields = "";
  for (const [key, value] of Object.entries(entries)) {
    fields += message(number, message(1, utf8(key)) + message(2, utf8(value)));
  }
  return fields;
}

function text(number: number, value: string): string {
  return value === "" ? "" : message(number, utf8(value));
}

/** A field of bytes with their length in front (wire type 2). */
function message(number: number, bytes: string): string {
  return String.fromCharCode((number << 3) | 2) + varint(bytes.length) + bytes;
}

function varint(value: number): string {
  return value < 0x80 ? String.fromCharCode(value) : String.fromCharCode((value & 0x7f) | 0x80) + varint(value >>> 7);
}

/** One character for each byte. */
function utf8(value: string): string {
  return /^\p{ASCII}*$/u.test(value) ? value : Buffer.from(value).toString("latin1");
}
