/**
 * Finds where the fields of a YAML document stand, from the parser's event stream.
 *
 * A file can have thousands of entries whose places are all asked for, so what was looked up once is kept: walking the
 * stream each time would take minutes for a ConfigMap of the largest size.
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

/** The events of one text, with what makes looking into them quick. */
export interface IndexedEvents {
  readonly text: string;
  readonly events: readonly Event[];
  /** For each node or document the position after it; 0 elsewhere. */
  readonly ends: Int32Array;
  /** For each alias the node that carries its anchor. */
  readonly targets: ReadonlyMap<number, number>;
  /** The fields of each mapping that was looked into, those that are merged into it left out. */
  readonly fields: Map<number, Fields>;
  /** The items of each list that was looked into. */
  readonly items: Map<number, readonly number[]>;
}

/** The fields of a mapping by name, and what is merged into it. */
interface Fields {
  /** The last of several equal keys counts. */
  readonly named: ReadonlyMap<string, Found>;
  readonly merged: readonly number[];
}

/** The events of one text and the document looked at. */
export interface DocumentEvents extends IndexedEvents {
  /** Position of the document's root node; the length of `events` when it has none. */
  readonly root: number;
}

/** Merge keys and aliases can lead in circles; no real document nests deeper. */
const maxSteps = 1000;

/** Makes the events of `text` quick to look into, in one pass. */
export function indexEvents(text: string, events: readonly Event[]): IndexedEvents {
  const ends = new Int32Array(events.length);
  const targets = new Map<number, number>();
  const anchors = new Map<string, number>();
  const open: number[] = [];
  for (const [position, event] of events.entries()) {
    if (event.type === EVENT_ID.DOCUMENT) anchors.clear();
    if (event.type === EVENT_ID.ALIAS) {
      const target = anchors.get(text.slice(event.anchorStart, event.anchorEnd));
      if (target !== undefined) targets.set(position, target);
    } else if ("tagStart" in event && event.anchorStart !== -1) {
      // The latest anchor of a name before the alias counts.
      anchors.set(text.slice(event.anchorStart, event.anchorEnd), position);
    }
    if (event.type === EVENT_ID.POP) ends[open.pop() ?? position] = position + 1;
    else if (event.type === EVENT_ID.SCALAR || event.type === EVENT_ID.ALIAS) ends[position] = position + 1;
    else open.push(position);
  }
  return { text, events, ends, targets, fields: new Map(), items: new Map() };
}

/** Positions of the root nodes of all documents in the stream. */
export function rootsOf({ events, ends }: IndexedEvents): readonly number[] {
  const roots: number[] = [];
  for (let position = 0; position < events.length; position = ends[position] || events.length) {
    roots.push(position + 1);
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

/** The offset of the first key that is a mapping or a list, as in a template that nobody has rendered. */
export function complexKeyOffset(indexed: IndexedEvents): number | undefined {
  for (const [position, event] of indexed.events.entries()) {
    if (event.type !== EVENT_ID.MAPPING) continue;
    for (const { key } of pairs(indexed, position)) {
      if (isCollection(indexed.events[resolveAlias(indexed, key)])) return nodeStart(indexed, key);
    }
  }
  return undefined;
}

/** Offsets of the keys that stand a second time in their mapping, with their names. */
export function repeatedKeys(document: DocumentEvents): readonly { readonly key: string; readonly offset: number }[] {
  const repeated: { key: string; offset: number }[] = [];
  const end = document.ends[document.root] ?? document.root;
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
function nodeStart({ events }: IndexedEvents, position: number): number | undefined {
  const event = events[position];
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
    const node = typeof step === "number" ? itemsOf(document, position)[step] : undefined;
    return node === undefined ? undefined : { node, key: undefined };
  }
  if (event?.type !== EVENT_ID.MAPPING) return undefined;
  const { named, merged } = fieldsOf(document, position);
  const found = named.get(String(step));
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
  return document.events[position]?.type === EVENT_ID.SEQUENCE ? itemsOf(document, position) : [position];
}

function fieldsOf(document: IndexedEvents, mapping: number): Fields {
  const known = document.fields.get(mapping);
  if (known !== undefined) return known;
  const named = new Map<string, Found>();
  const merged: number[] = [];
  for (const { name, key, value } of pairs(document, mapping)) {
    named.set(name, { node: value, key });
    if (name === "<<") merged.push(value);
  }
  const fields = { named, merged };
  document.fields.set(mapping, fields);
  return fields;
}

function itemsOf(document: IndexedEvents, sequence: number): readonly number[] {
  const known = document.items.get(sequence);
  if (known !== undefined) return known;
  const items: number[] = [];
  for (let position = sequence + 1; isNode(document.events[position]); position = endOf(document, position)) {
    items.push(position);
  }
  document.items.set(sequence, items);
  return items;
}

function* pairs(indexed: IndexedEvents, mapping: number): Generator<{ name: string; key: number; value: number }> {
  let key = mapping + 1;
  while (isNode(indexed.events[key])) {
    const value = endOf(indexed, key);
    yield { name: keyName(indexed, key), key, value };
    key = endOf(indexed, value);
  }
}

function keyName(indexed: IndexedEvents, key: number): string {
  const event = indexed.events[resolveAlias(indexed, key)];
  if (event?.type !== EVENT_ID.SCALAR) return "";
  const text = getScalarValue(indexed.text, event);
  return event.style === SCALAR_STYLE.PLAIN ? plainKey(text) : text;
}

function isNode(event: Event | undefined): boolean {
  return event !== undefined && event.type !== EVENT_ID.POP;
}

/** The position after a node. */
function endOf({ events, ends }: IndexedEvents, position: number): number {
  return ends[position] || events.length;
}

/** Follows an alias to the node that carries its anchor. */
function resolveAlias({ targets }: IndexedEvents, position: number): number {
  return targets.get(position) ?? position;
}
