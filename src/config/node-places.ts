/**
 * Finds where the fields of a YAML document stand, from the parser's event stream.
 *
 * Only called for what has something to report, so it walks the events each time instead of building a tree.
 */
import {
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  getScalarValue,
  type MappingEvent,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
} from "js-yaml";
import type { FieldPath } from "./places.ts";
import { plainKey } from "./yaml-schema.ts";

/** A field found in the event stream, by positions in that stream. */
interface Found {
  readonly node: number;
  /** The key in front of the node, if it is a mapping's value. */
  readonly key: number | undefined;
}

/** The events of one text and the document looked at. */
export interface DocumentEvents {
  readonly text: string;
  readonly events: readonly Event[];
  /** Position of the document's root node; the length of `events` when it has none. */
  readonly root: number;
}

/** Merge keys and aliases can lead in circles; no real document nests deeper. */
const maxSteps = 1000;

/** Positions of the root nodes of all documents in the stream. */
export function rootsOf(events: readonly Event[]): readonly number[] {
  const roots: number[] = [];
  let position = 0;
  while (position < events.length) {
    roots.push(position + 1);
    position = skipNode(events, position);
  }
  return roots;
}

/**
 * The offset of the field at `path`, or of the closest field above it that exists.
 *
 * Scalars and flow collections are cited where they start, block collections and block scalars at their key: that
 * is where a person looks. `part: "key"` always gives the key.
 */
export function fieldOffset(document: DocumentEvents, path: FieldPath, part: "value" | "key" = "value"): number {
  let best = nodeStart(document, document.root) ?? 0;
  let found: Found = { node: document.root, key: undefined };
  for (const step of path) {
    const next = child(document, found.node, step, 0);
    if (next === undefined) break;
    best = citedOffset(document, next, part) ?? best;
    found = next;
  }
  return best;
}

/** The text scalar at `path`, if there is one. */
export function scalarAt(document: DocumentEvents, path: FieldPath): ScalarEvent | undefined {
  let node = document.root;
  for (const step of path) {
    const next = child(document, node, step, 0);
    if (next === undefined) return undefined;
    node = next.node;
  }
  const event = document.events[resolveAlias(document, node)];
  return event?.type === EVENT_ID.SCALAR ? event : undefined;
}

/** Offsets of the keys that stand a second time in their mapping, with their names. */
export function repeatedKeys(document: DocumentEvents): readonly { readonly key: string; readonly offset: number }[] {
  const repeated: { key: string; offset: number }[] = [];
  const end = skipNode(document.events, document.root);
  for (let position = document.root; position < end; position += 1) {
    if (document.events[position]?.type !== EVENT_ID.MAPPING) continue;
    const seen = new Set<string>();
    for (const pair of pairs(document, position)) {
      if (seen.has(pair.name)) repeated.push({ key: pair.name, offset: nodeStart(document, pair.key) ?? 0 });
      seen.add(pair.name);
    }
  }
  return repeated;
}

function citedOffset(document: DocumentEvents, found: Found, part: "value" | "key"): number | undefined {
  const atKey = found.key === undefined ? undefined : nodeStart(document, found.key);
  if (part === "key" || isBlockCollection(document.events[found.node])) {
    return atKey ?? nodeStart(document, found.node);
  }
  return nodeStart(document, found.node) ?? atKey;
}

function isBlockCollection(event: Event | undefined): boolean {
  return isCollection(event) && event.style === COLLECTION_STYLE.BLOCK;
}

function isCollection(event: Event | undefined): event is MappingEvent | SequenceEvent {
  return event?.type === EVENT_ID.MAPPING || event?.type === EVENT_ID.SEQUENCE;
}

/** Where a node starts, `undefined` for an empty scalar or a block scalar, whose `|` the stream does not tell. */
function nodeStart(document: DocumentEvents, position: number): number | undefined {
  const event = document.events[position];
  if (event === undefined) return undefined;
  if (isCollection(event)) return event.start;
  if (event.type === EVENT_ID.ALIAS) return event.anchorStart - 1;
  if (event.type !== EVENT_ID.SCALAR || event.valueStart === -1) return undefined;
  if (event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK) return undefined;
  return event.style === SCALAR_STYLE.PLAIN ? event.valueStart : event.valueStart - 1;
}

function child(document: DocumentEvents, from: number, step: string | number, steps: number): Found | undefined {
  if (steps > maxSteps) return undefined;
  const position = resolveAlias(document, from);
  const event = document.events[position];
  if (event?.type === EVENT_ID.SEQUENCE) {
    return typeof step === "number" ? item(document, position, step) : undefined;
  }
  if (event?.type !== EVENT_ID.MAPPING) return undefined;
  let found: Found | undefined;
  const merged: number[] = [];
  for (const pair of pairs(document, position)) {
    // The last of several equal keys counts.
    if (pair.name === String(step)) found = { node: pair.value, key: pair.key };
    if (pair.name === "<<") merged.push(pair.value);
  }
  if (found !== undefined) return found;
  for (const source of merged) {
    for (const one of mergeSources(document, source)) {
      const inherited = child(document, one, step, steps + 1);
      if (inherited !== undefined) return inherited;
    }
  }
  return undefined;
}

/** A merge key takes one mapping or a list of mappings. */
function mergeSources(document: DocumentEvents, from: number): readonly number[] {
  const position = resolveAlias(document, from);
  return document.events[position]?.type === EVENT_ID.SEQUENCE ? [...items(document, position)] : [position];
}

function item(document: DocumentEvents, sequence: number, index: number): Found | undefined {
  let count = 0;
  for (const node of items(document, sequence)) {
    if (count === index) return { node, key: undefined };
    count += 1;
  }
  return undefined;
}

function* items(document: DocumentEvents, sequence: number): Generator<number> {
  let position = sequence + 1;
  while (isNode(document.events[position])) {
    yield position;
    position = skipNode(document.events, position);
  }
}

function* pairs(document: DocumentEvents, mapping: number): Generator<{ name: string; key: number; value: number }> {
  let key = mapping + 1;
  while (isNode(document.events[key])) {
    const value = skipNode(document.events, key);
    yield { name: keyName(document, key), key, value };
    key = skipNode(document.events, value);
  }
}

function keyName(document: DocumentEvents, key: number): string {
  const event = document.events[resolveAlias(document, key)];
  if (event?.type !== EVENT_ID.SCALAR) return "";
  const text = getScalarValue(document.text, event);
  return event.style === SCALAR_STYLE.PLAIN ? plainKey(text) : text;
}

function isNode(event: Event | undefined): boolean {
  return event !== undefined && event.type !== EVENT_ID.POP;
}

/** The position after the node (or document) at `position`. */
function skipNode(events: readonly Event[], position: number): number {
  let depth = 0;
  for (let next = position; next < events.length; next += 1) {
    const type = events[next]?.type;
    if (type === EVENT_ID.POP) depth -= 1;
    else if (type !== EVENT_ID.SCALAR && type !== EVENT_ID.ALIAS) depth += 1;
    if (depth <= 0) return next + 1;
  }
  return events.length;
}

/** Follows an alias to the node that carries its anchor; the latest before the alias counts. */
function resolveAlias(document: DocumentEvents, position: number): number {
  const event = document.events[position];
  if (event?.type !== EVENT_ID.ALIAS) return position;
  const name = document.text.slice(event.anchorStart, event.anchorEnd);
  for (let before = position - 1; before >= document.root; before -= 1) {
    const candidate = document.events[before];
    if (candidate === undefined || !("tagStart" in candidate) || candidate.anchorStart === -1) continue;
    if (document.text.slice(candidate.anchorStart, candidate.anchorEnd) === name) return before;
  }
  return position;
}
