/**
 * Counts and ages as the live view words them.
 */
import { humanDuration } from "../../../embedded/index.ts";
import { plural } from "../../report/text.ts";
import type { Line } from "../../terminal.ts";

/** How long ago something was; a clock that was put back makes nothing younger than now. */
export function ageText(ageMs: number): string {
  return humanDuration(Math.max(0, ageMs));
}

/** Something that is not shown, and how many of it. */
export type Missing = readonly [count: number, word: string];

/** `… 3 GPUs and 7 nodes more, 2 above`. */
export function moreLine(missing: readonly Missing[], above: number): Line {
  const below = missing.flatMap(([count, word]) => (count > 0 ? [plural(count, word)] : [])).join(" and ");
  const parts = [...(below === "" ? [] : [`${below} more`]), ...(above > 0 ? [`${above} above`] : [])];
  return [{ text: `… ${parts.join(", ")}`, style: "dim" }];
}
