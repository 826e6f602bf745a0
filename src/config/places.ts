/**
 * Places of text: from offsets to lines and columns, and from a text inside a text to the file a person opens.
 */
import type { Place } from "../base/index.ts";

/** Steps from the root of a document to a field: keys of mappings and indexes of lists. */
export type FieldPath = readonly (string | number)[];

/** Maps a line and column of a text, both from 1, to the place a person can open. */
export type PlaceAt = (line: number, column: number) => Place;

/** For a text that is a whole file. */
export function placesIn(file: string): PlaceAt {
  return (line, column) => ({ file, line, column });
}

/** Line and column, both from 1, of an offset. */
export function lineAndColumn(text: string, offset: number): { readonly line: number; readonly column: number } {
  let line = 1;
  let lineStart = 0;
  for (;;) {
    const lineEnd = text.indexOf("\n", lineStart);
    if (lineEnd === -1 || lineEnd >= offset) return { line, column: offset - lineStart + 1 };
    line += 1;
    lineStart = lineEnd + 1;
  }
}
