/**
 * Reads bodies in Kubernetes' protobuf form into the JSON that the rest of the server works on.
 *
 * Typed clients, kubectl's `create` and `drain` among them, send protobuf and do not fall back to JSON. Answers need
 * no such form: those clients take JSON too.
 */
import { badRequest, unsupportedMediaType } from "./errors.ts";
import { isObject, type Json, type JsonObject, parsedJson } from "./json.ts";
import type { MessageField } from "./message-text.ts";
import { messageOfKind, messages } from "./messages.ts";

/** The media type of such bodies. */
export const protobufType = "application/vnd.kubernetes.protobuf";

/** What every body starts with (apimachinery, pkg/runtime/serializer/protobuf). */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

type Field =
  | { readonly number: number; readonly wire: "varint"; readonly value: bigint }
  | { readonly number: number; readonly wire: "bytes"; readonly value: Buffer };

/** The object in a body; throws 400 for what cannot be read, 415 for a kind whose messages are not known. */
export function parseProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic)) {
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  }
  const envelope = readFields(body.subarray(magic.length));
  const typeMeta = readFields(bufferAt(envelope, 1));
  const apiVersion = bufferAt(typeMeta, 1).toString("utf8");
  const kind = bufferAt(typeMeta, 2).toString("utf8");
  const message = messageOfKind(apiVersion, kind);
  if (message === undefined) throw unsupportedMediaType(["application/json"]);
  return { apiVersion, kind, ...readMessage(message, bufferAt(envelope, 2)) };
}

function* fieldsOf(buffer: Buffer): Iterable<Field> {
  let position = 0;
  while (position < buffer.length) {
    const tag = readVarint(buffer, position);
    position = tag.end;
    const number = Number(tag.value >> 3n);
    const wire = Number(tag.value & 7n);
    const next = readVarint(buffer, position);
    if (wire === 0) {
      yield { number, wire: "varint", value: next.value };
      position = next.end;
    } else if (wire === 2) {
      const end = next.end + Number(next.value);
      // A length is read as a signed number; one below zero would lead back to where this began.
      if (next.value < 0n || end > buffer.length) throw badRequest("unexpected end of a protobuf message");
      yield { number, wire: "bytes", value: buffer.subarray(next.end, end) };
      position = end;
    } else throw badRequest(`protobuf wire type ${wire} is not used by Kubernetes`);
  }
}

function readVarint(buffer: Buffer, start: number): { readonly value: bigint; readonly end: number } {
  let value = 0n;
  for (let index = 0; index < 10; index++) {
    const byte = buffer[start + index];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return { value: BigInt.asIntN(64, value), end: start + index + 1 };
  }
  throw badRequest("unexpected end of a protobuf message");
}

function readMessage(message: string, buffer: Buffer): JsonObject {
  const known = messages.get(message)?.byNumber;
  const gathered: Gathered = { result: new Map(), lists: new Map(), maps: new Map() };
  for (const field of fieldsOf(buffer)) {
    const facts = known?.get(field.number);
    if (facts === undefined || facts.type === "open") assertEmpty(message, field);
    else addField(gathered, facts, field);
  }
  const { result, lists, maps } = gathered;
  for (const [name, list] of lists) result.set(name, list);
  for (const [name, map] of maps) result.set(name, Object.fromEntries(map));
  return Object.fromEntries(result);
}

/** What has been read of a message; lists and maps come an entry at a time. */
interface Gathered {
  readonly result: Map<string, Json>;
  readonly lists: Map<string, Json[]>;
  readonly maps: Map<string, Map<string, Json>>;
}

/** Go writes fields that hold nothing too; one that holds something must not get lost in silence. */
function assertEmpty(message: string, { number, wire, value }: Field): void {
  if (wire === "varint" ? value === 0n : value.length === 0) return;
  throw badRequest(`field ${number} of ${message} is not read in protobuf here; send the object as JSON`);
}

function addField({ result, lists, maps }: Gathered, facts: MessageField, field: Field): void {
  const { name, type, isMap, isRepeated, keepsZero } = facts;
  if (type === "skip") return;
  if (name === "inline") {
    for (const [key, value] of Object.entries(readMessage(type, bytesOf(field)))) result.set(key, value);
  } else if (isMap) {
    const { key, value } = readEntry(type, bytesOf(field));
    const map = maps.get(name) ?? new Map<string, Json>();
    maps.set(name, map.set(key, value));
  } else if (isRepeated) {
    const list = lists.get(name) ?? [];
    list.push(readValue(type, field));
    lists.set(name, list);
  } else {
    const value = readValue(type, field);
    if (keepsZero || !isZero(value)) result.set(name, value);
  }
}

function bytesOf(field: Field): Buffer {
  if (field.wire === "bytes") return field.value;
  throw badRequest(`field ${field.number} of a protobuf message is of the wrong wire type`);
}

function readEntry(type: string, buffer: Buffer): { readonly key: string; readonly value: Json } {
  let key = "";
  let value: Json = type === "quantity" ? "0" : "";
  for (const field of fieldsOf(buffer)) {
    if (field.number === 1) key = bytesOf(field).toString("utf8");
    if (field.number === 2) value = readValue(type, field);
  }
  return { key, value };
}

function readValue(type: string, field: Field): Json {
  switch (type) {
    case "text":
      return bytesOf(field).toString("utf8");
    case "bytes":
      return bytesOf(field).toString("base64");
    case "int":
      return Number(varintOf(field));
    case "bool":
      return varintOf(field) !== 0n;
    case "time":
      return readTime(bytesOf(field), "seconds");
    case "microtime":
      return readTime(bytesOf(field), "microseconds");
    case "quantity":
      return readFields(bytesOf(field)).get(1)?.toString() ?? "0";
    case "intOrString":
      return readIntOrString(bytesOf(field));
    case "fieldsV1":
      return readRawJson(bytesOf(field));
    default:
      return readMessage(type, bytesOf(field));
  }
}

function varintOf(field: Field): bigint {
  if (field.wire === "varint") return field.value;
  throw badRequest(`field ${field.number} of a protobuf message is of the wrong wire type`);
}

function readFields(buffer: Buffer): ReadonlyMap<number, bigint | Buffer> {
  return new Map([...fieldsOf(buffer)].map(({ number, value }) => [number, value]));
}

function bufferAt(fields: ReadonlyMap<number, bigint | Buffer>, number: number): Buffer {
  const value = fields.get(number);
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}

/** An empty message is Go's zero time, which JSON leaves out. */
function readTime(buffer: Buffer, precision: "seconds" | "microseconds"): Json {
  const fields = readFields(buffer);
  const seconds = fields.get(1);
  if (typeof seconds !== "bigint") return "";
  const date = new Date(Number(seconds) * 1000);
  const year = date.getUTCFullYear();
  // RFC 3339 writes years in four digits.
  if (!(year >= 0 && year <= 9999)) throw badRequest(`a time of ${seconds} seconds is out of range`);
  const text = date.toISOString().slice(0, 19);
  if (precision === "seconds") return `${text}Z`;
  const nanos = Number(fields.get(2) ?? 0n);
  return `${text}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

/** Type 0 is a number, type 1 a text. */
function readIntOrString(buffer: Buffer): Json {
  const fields = readFields(buffer);
  return fields.get(1) === 1n ? (fields.get(3)?.toString() ?? "") : Number(fields.get(2) ?? 0n);
}

/** A set of fields travels as the text of its JSON. */
function readRawJson(buffer: Buffer): Json {
  const value = parsedJson(bufferAt(readFields(buffer), 1).toString("utf8") || "{}");
  if (value === undefined) throw badRequest("a field of a protobuf message holds no JSON");
  return isObject(value) ? value : {};
}

function isZero(value: Json): boolean {
  if (value === "" || value === 0 || value === false) return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
