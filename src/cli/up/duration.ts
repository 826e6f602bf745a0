/**
 * Durations as people type and read them: `10s`, `1m30s`, `500ms`.
 */
import { parseGoDuration } from "../../config/index.ts";

/** Reads one in Go's syntax, as kubectl does; `undefined` when it is none. */
export function parseDuration(text: string): number | undefined {
  const read = parseGoDuration(text);
  return read.ok ? read.durationMs : undefined;
}

/** The shortest way to write it: `1m30s`, `10s`, `500ms`, `0s`. */
export function durationText(durationMs: number): string {
  const ms = Math.round(durationMs);
  const parts = [
    [Math.floor(ms / 3_600_000), "h"],
    [Math.floor(ms / 60_000) % 60, "m"],
    [Math.floor(ms / 1000) % 60, "s"],
    [ms % 1000, "ms"],
  ] as const;
  const text = parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join("");
  return text === "" ? "0s" : text;
}
