/**
 * The journal's format: lines of JSON, each with a check sum.
 *
 * ```
 * {"sum":"…","format":"tranche-journal","version":1,"revision":812,"objects":2}
 * {"sum":"…","collection":"nodes.","object":{…}}
 * {"sum":"…","collection":"pods.","object":{…}}
 * {"sum":"…","revision":813,"collection":"pods.","object":{…}}
 * {"sum":"…","revision":814,"collection":"pods.","gone":["default","train-0"]}
 * ```
 *
 * The first line says how many objects follow as they were at its revision; after them comes one line a change, and
 * their revisions have no gap. `sum` is the CRC-32 of the line behind it. So a line that was changed, lost or doubled is
 * noticed; only of the very last line, which a crash may have cut off, nothing is concluded.
 */
import { crc32 } from "node:zlib";
import type { Change, Version } from "./collection.ts";
import { isObject, type JsonObject, listAt, numberAt, parsedJson, textAt, valueAt } from "./json.ts";
import type { KeptState } from "./store.ts";

const formatName = "tranche-journal";
const formatVersion = 1;

/** The first line of a journal that holds `objects` objects as they were at `revision`. */
export function headerLine(revision: number, objects: number): string {
  return line(`"format":"${formatName}","version":${formatVersion},"revision":${revision},"objects":${objects}}`);
}

/** An object as it stands. */
export function objectLine(collection: string, version: Version): string {
  return line(`"collection":${JSON.stringify(collection)},"object":${version.text}}`);
}

/** A change that was made. */
export function changeLine(collection: string, { type, revision, current }: Change): string {
  const what =
    type === "DELETED" ? `"gone":${JSON.stringify([current.namespace, current.name])}` : `"object":${current.text}`;
  return line(`"revision":${revision},"collection":${JSON.stringify(collection)},${what}}`);
}

function line(rest: string): string {
  return `{"sum":"${sumOf(rest)}",${rest}\n`;
}

function sumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}

/** What a journal's text tells. */
export type JournalRead =
  /** `cutOff`: the last line could not be read and is left out. */
  | { readonly kind: "read"; readonly state: KeptState; readonly cutOff: boolean }
  /** `line` counts from 1; `what` says what is wrong with it. */
  | { readonly kind: "damaged"; readonly line: number; readonly what: string }
  | { readonly kind: "newer"; readonly version: number }
  /** Not a journal at all. */
  | { readonly kind: "foreign" };

/** Reads a journal; any bytes are an answer, never an error. */
export function readJournal(text: string): JournalRead {
  const lines = text.split("\n");
  // What stands behind the last line feed: nothing, or a line that was never finished.
  const unfinished = lines.pop() !== "";
  const [first = ""] = lines;
  const header = fieldsOf(first);
  if (header === undefined || textAt(header, "format") !== formatName) return headerFault(first);
  const version = numberAt(header, "version") ?? 0;
  if (version > formatVersion) return { kind: "newer", version };
  const replay = new Replay(numberAt(header, "revision") ?? 0, numberAt(header, "objects") ?? 0);
  for (const [index, one] of lines.entries()) {
    if (index === 0) continue;
    const what = replay.take(one);
    if (what === undefined) continue;
    const isLast = index === lines.length - 1 && !unfinished;
    if (!isLast || replay.missing > 0) return { kind: "damaged", line: index + 1, what };
    return { kind: "read", state: replay.state(), cutOff: true };
  }
  // The snapshot is put in place as a whole, so nothing cuts it off.
  if (replay.missing > 0)
    return { kind: "damaged", line: lines.length + 1, what: `${replay.missing} objects are missing` };
  return { kind: "read", state: replay.state(), cutOff: unfinished };
}

/** A first line of a later format may have sums of another kind, so its version is looked for without. */
function headerFault(first: string): JournalRead {
  const header = parsedJson(first);
  if (textAt(header, "format") !== formatName) {
    return first.includes(formatName) ? { kind: "damaged", line: 1, what: unreadable } : { kind: "foreign" };
  }
  const version = numberAt(header, "version") ?? 0;
  return version > formatVersion ? { kind: "newer", version } : { kind: "damaged", line: 1, what: unreadable };
}

const unreadable = "it does not fit its check sum";

/** Brings back objects line by line. */
class Replay {
  readonly #objects = new Map<string, Map<string, JsonObject>>();
  #revision: number;
  #missing: number;

  constructor(revision: number, objects: number) {
    this.#revision = revision;
    this.#missing = objects;
  }

  /** How many objects of the snapshot are still to come. */
  get missing(): number {
    return this.#missing;
  }

  /** Takes one line; the answer says what is wrong with it, and then nothing was taken. */
  take(text: string): string | undefined {
    const fields = fieldsOf(text);
    if (fields === undefined) return unreadable;
    const collection = textAt(fields, "collection");
    const object = valueAt(fields, "object");
    const gone = listAt(fields, "gone").map(String);
    if (collection === "" || (!isObject(object) && gone.length !== 2)) return "it names no object";
    const revision = numberAt(fields, "revision");
    if (this.#missing > 0) {
      if (revision !== undefined) return `${this.#missing} objects are missing before it`;
      this.#missing -= 1;
    } else if (revision === undefined) {
      return "it has no revision";
    } else {
      const expected = this.#revision + 1;
      if (revision !== expected) return `it has revision ${revision} where ${expected} is due`;
      this.#revision = revision;
    }
    this.#put(collection, isObject(object) ? object : undefined, gone);
    return undefined;
  }

  state(): KeptState {
    const objects = new Map([...this.#objects].map(([collection, some]) => [collection, [...some.values()]]));
    return { revision: this.#revision, objects };
  }

  #put(collection: string, object: JsonObject | undefined, gone: readonly string[]): void {
    const some = this.#objects.get(collection) ?? new Map<string, JsonObject>();
    this.#objects.set(collection, some);
    if (object === undefined) some.delete(gone.join("/"));
    else some.set(`${textAt(object, "metadata", "namespace")}/${textAt(object, "metadata", "name")}`, object);
  }
}

/** The fields of a line whose sum is right. */
function fieldsOf(text: string): JsonObject | undefined {
  const [, sum, rest] = /^\{"sum":"([0-9a-f]{8})",(.*)$/s.exec(text) ?? [];
  if (rest === undefined || sumOf(rest) !== sum) return undefined;
  const value = parsedJson(`{${rest}`);
  return isObject(value) ? value : undefined;
}
