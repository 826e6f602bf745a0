/**
 * Tables for a terminal: aligned columns without frames, as kubectl prints them.
 */
import { stripVTControlCharacters } from "node:util";

/** Pads every column but the last to its widest cell, three spaces apart; colours do not count as width. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  // Not by spreading into Math.max: a report can have more rows than a call can have arguments.
  const widths = header.map((_, column) => all.reduce((most, row) => Math.max(most, width(row[column] ?? "")), 0));
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
        )
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
