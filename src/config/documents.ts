/**
 * Reads YAML or JSON text into plain values whose places in the text can be asked for later.
 *
 * Values come from one fast pass; places are looked up, document by document, only when something is reported.
 */
import { constructFromEvents, EVENT_ID, type Event, parseEvents, SCALAR_STYLE, YAMLException } from "js-yaml";
import { errorText, type Finding, finding, type Place } from "../base/index.ts";
import {
  complexKeyOffset,
  type DocumentEvents,
  fieldOffset,
  type IndexedEvents,
  indexEvents,
  repeatedKeys,
  rootsOf,
  scalarAt,
} from "./node-places.ts";
import { type FieldPath, type LineAndColumn, linesOf, type PlaceAt } from "./places.ts";
import { syntaxRemedy } from "./syntax-remedy.ts";
import { kubernetesSchema } from "./yaml-schema.ts";

/** One document of a text. */
export interface TextDocument {
  /** Plain JSON; `null` for a document without content. Parts may be shared where the text uses aliases. */
  readonly value: unknown;
  /** The document's own text, and where its lines and columns stand. */
  readonly text: string;
  readonly placeAt: PlaceAt;
  /** The place of the field at `path`, or of the closest field above it that exists. */
  placeOf(path: FieldPath): Place;
  /** Like `placeOf`, but always the key. */
  keyPlaceOf(path: FieldPath): Place;
  /** The place of a line and column, from 1, of the text that the string at `path` is. */
  placeInside(path: FieldPath, line: number, column: number): Place;
}

export interface DocumentsRead {
  /** Documents that could be read; those without any node are left out. */
  readonly documents: readonly TextDocument[];
  readonly findings: readonly Finding[];
}

/** A stretch of text between `---` lines; it holds one document, or more after `...` lines. */
interface Chunk {
  readonly text: string;
  readonly placeAt: PlaceAt;
  /** Of an offset in the text. */
  readonly lineAndColumn: (offset: number) => LineAndColumn;
}

/** Kubernetes objects nest some twenty deep; the parser recurses, so there must be an end. */
const maxDepth = 200;
/** What aliases and merge keys may blow a document up to, as values visited. */
const maxExpandedValues = 1_000_000;

/**
 * Reads all documents of `text`; one that cannot be read is a finding and does not hide the others.
 *
 * The text is cut at `---` lines first, as kubectl does: no YAML construct can span such a line.
 */
export function readDocuments(text: string, file: string, placeAt: PlaceAt): DocumentsRead {
  const documents: TextDocument[] = [];
  const findings: Finding[] = [];
  const lookup = eventLookup();
  for (const chunk of chunksOf(text, placeAt)) {
    const read = readChunk(chunk, file, lookup);
    documents.push(...read.documents);
    findings.push(...read.findings);
  }
  return { documents, findings };
}

/** Reads the first document only, as sigs.k8s.io/yaml does; a further one is a warning. */
export function readFirstDocument(text: string, file: string, placeAt: PlaceAt): DocumentsRead {
  const lookup = eventLookup();
  let first: DocumentsRead | undefined;
  for (const chunk of chunksOf(text, placeAt)) {
    const read = readChunk(chunk, file, lookup);
    if (read.documents.length === 0 && read.findings.length === 0) continue;
    const further = first === undefined ? read.documents[1] : read.documents[0];
    first ??= { documents: read.documents.slice(0, 1), findings: read.findings };
    if (further !== undefined && further.value !== null) {
      return { documents: first.documents, findings: [...first.findings, ignoredDocument(file, further)] };
    }
  }
  return first ?? { documents: [], findings: [] };
}

function ignoredDocument(file: string, document: TextDocument): Finding {
  return finding("ignored-document", { kind: "file", name: file }, "only the first YAML document is used", {
    place: document.placeOf([]),
    remedy: "move the settings into the first document, or the document into a file of its own",
  });
}

function* chunksOf(whole: string, placeAt: PlaceAt): Generator<Chunk> {
  const text = whole.startsWith("\uFEFF") ? whole.slice(1) : whole;
  let start = 0;
  let startLine = 1;
  let line = 1;
  let lineStart = 0;
  while (lineStart < text.length) {
    if (lineStart > start && isMarker(text, lineStart) && !isPreamble(text.slice(start, lineStart))) {
      yield chunk(text.slice(start, lineStart), startLine, placeAt);
      start = lineStart;
      startLine = line;
    }
    const lineEnd = text.indexOf("\n", lineStart);
    if (lineEnd === -1) break;
    lineStart = lineEnd + 1;
    line += 1;
  }
  yield chunk(text.slice(start), startLine, placeAt);
}

function chunk(text: string, startLine: number, placeAt: PlaceAt): Chunk {
  return { text, placeAt: (line, column) => placeAt(startLine + line - 1, column), lineAndColumn: linesOf(text) };
}

function isMarker(text: string, lineStart: number): boolean {
  if (!text.startsWith("---", lineStart)) return false;
  const next = text[lineStart + 3];
  return next === undefined || next === "\n" || next === "\r" || next === " " || next === "\t";
}

/** Directives (`%YAML 1.2`) belong to the document whose `---` follows. */
function isPreamble(text: string): boolean {
  return text.includes("%") && /^(?:[ \t\r]*(?:#.*)?\n|%.*\n)*$/.test(text);
}

/** Events of the chunk asked for last: findings of one document tend to come together. */
type EventLookup = (chunk: Chunk) => IndexedEvents;

function eventLookup(): EventLookup {
  let last: { readonly chunk: Chunk; readonly events: IndexedEvents } | undefined;
  return (chunk) => {
    if (last?.chunk !== chunk) last = { chunk, events: indexed(chunk.text) };
    return last.events;
  };
}

function indexed(text: string): IndexedEvents {
  return indexEvents(text, parseEvents(text, { maxDepth }));
}

function readChunk(chunk: Chunk, file: string, lookup: EventLookup): DocumentsRead {
  try {
    const events = parseEvents(chunk.text, { maxDepth });
    const { values, repeated } = construct(chunk.text, events);
    const documents = values.map((value, index) => textDocument(chunk, value, index, lookup));
    const findings = repeated ? duplicateKeys(chunk, file, indexEvents(chunk.text, events)) : [];
    return hasAliases(events) ? withoutBombs({ documents, findings }, file) : { documents, findings };
  } catch (error) {
    return { documents: [], findings: [syntaxFinding(error, chunk, file)] };
  }
}

function construct(text: string, events: Event[]): { readonly values: unknown[]; readonly repeated: boolean } {
  const options = { source: text, schema: kubernetesSchema, maxTotalMergeKeys: maxExpandedValues };
  try {
    return { values: constructFromEvents(events, options), repeated: false };
  } catch (error) {
    if (!(error instanceof YAMLException) || error.reason !== "duplicated mapping key") throw error;
    return { values: constructFromEvents(events, { ...options, json: true }), repeated: true };
  }
}

function textDocument(chunk: Chunk, value: unknown, index: number, lookup: EventLookup): TextDocument {
  const events = (): DocumentEvents => {
    const all = lookup(chunk);
    return { ...all, root: rootsOf(all)[index] ?? all.events.length };
  };
  const at = (offset: number): Place => placeOfOffset(chunk, offset);
  return {
    value,
    text: chunk.text,
    placeAt: chunk.placeAt,
    placeOf: (path) => at(fieldOffset(events(), path)),
    keyPlaceOf: (path) => at(fieldOffset(events(), path, "key")),
    placeInside: (path, line, column) => {
      const document = events();
      const scalar = scalarAt(document, path);
      // Only in a literal block do lines of the value and lines of the file go together.
      if (scalar?.style !== SCALAR_STYLE.LITERAL_BLOCK) return at(fieldOffset(document, path));
      const first = chunk.lineAndColumn(scalar.valueStart).line;
      return chunk.placeAt(first + line - 1, column + Math.max(scalar.indent, 0));
    },
  };
}

function placeOfOffset(chunk: Chunk, offset: number): Place {
  const { line, column } = chunk.lineAndColumn(offset);
  return chunk.placeAt(line, column);
}

function duplicateKeys(chunk: Chunk, file: string, events: IndexedEvents): readonly Finding[] {
  const repeated = rootsOf(events).flatMap((root) => repeatedKeys({ ...events, root }));
  return repeated.map(({ key, offset }) =>
    finding("duplicate-key", { kind: "file", name: file }, `key "${key}" is there twice; the last one counts`, {
      place: placeOfOffset(chunk, offset),
      remedy: `remove one "${key}"`,
      evidence: { key },
    }),
  );
}

function syntaxFinding(error: unknown, chunk: Chunk, file: string): Finding {
  const offset = error instanceof YAMLException ? mistakeOffset(error, chunk.text) : 0;
  const reason = error instanceof YAMLException ? error.reason : errorText(error);
  const place = placeOfOffset(chunk, Math.min(offset, chunk.text.trimEnd().length));
  const remedy = syntaxRemedy(reason, chunk.text, offset);
  return finding("yaml-syntax", { kind: "file", name: file }, reason, { place, remedy });
}

function mistakeOffset({ reason, mark }: YAMLException, text: string): number {
  // Of these keys the library does not say where they are.
  if (reason.includes("complex keys")) return complexKeyOffset(indexed(text)) ?? 0;
  return mark?.position ?? 0;
}

function hasAliases(events: readonly Event[]): boolean {
  return events.some((event) => event.type === EVENT_ID.ALIAS);
}

/** Refuses documents that aliases make endless or huge, as go-yaml does; JSON could not carry them. */
function withoutBombs(read: DocumentsRead, file: string): DocumentsRead {
  const bombs = read.documents.filter((document) => expandedSize(document.value, new Map()) > maxExpandedValues);
  const findings = bombs.map((document) =>
    finding("yaml-syntax", { kind: "file", name: file }, "document contains excessive aliasing", {
      place: document.placeOf([]),
      remedy: "write the values out instead of repeating them through anchors",
    }),
  );
  return {
    documents: read.documents.filter((document) => !bombs.includes(document)),
    findings: [...read.findings, ...findings],
  };
}

/** How many values a document has when every alias is written out; infinite when an anchor contains itself. */
function expandedSize(value: unknown, known: Map<object, number>): number {
  if (typeof value !== "object" || value === null) return 1;
  const before = known.get(value);
  if (before !== undefined) return before;
  known.set(value, Number.POSITIVE_INFINITY);
  let size = 1;
  for (const inner of Object.values(value)) size += expandedSize(inner, known);
  known.set(value, size);
  return size;
}
