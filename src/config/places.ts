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

/** Line and column, both from 1. */
export interface LineAndColumn {
  readonly line: number;
  readonly column: number;
}

/** Answers with the line and column of an offset; the lines of `text` are looked for once, when first asked. */
export function linesOf(text: string): (offset: number) => LineAndColumn {
  let starts: readonly number[] | undefined;
  return (offset) => {
    starts ??= lineStarts(text);
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", end + 1)) starts.push(end + 1);
  return starts;
}
