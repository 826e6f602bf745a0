/**
 * Counts and ages as the live view words them.
 */
import type { Line } from "../../terminal.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * `45s`, `3m20s`, `12m`, `5h30m`, `9h`, `3d`: two units only while the first is small, as
 * k8s.io/apimachinery/pkg/util/duration `HumanDuration` does.
 */
export function ageText(ageMs: number): string {
  const ms = Math.max(0, ageMs);
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`;
  if (ms < 10 * MINUTE_MS) return twoUnits(ms, [MINUTE_MS, "m"], [SECOND_MS, "s"]);
  if (ms < 3 * HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`;
  if (ms < 8 * HOUR_MS) return twoUnits(ms, [HOUR_MS, "h"], [MINUTE_MS, "m"]);
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)}h`;
  return `${Math.floor(ms / DAY_MS)}d`;
}

/** `1 slice`, `2 slices`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Something that is not shown, and how many of it. */
export type Missing = readonly [count: number, word: string];

/** `… 3 GPUs and 7 nodes more, 2 above`. */
export function moreLine(missing: readonly Missing[], above: number): Line {
  const below = missing.flatMap(([count, word]) => (count > 0 ? [plural(count, word)] : [])).join(" and ");
  const parts = [...(below === "" ? [] : [`${below} more`]), ...(above > 0 ? [`${above} above`] : [])];
  return [{ text: `… ${parts.join(", ")}`, style: "dim" }];
}

type Unit = readonly [ms: number, letter: string];

function twoUnits(ms: number, [bigMs, big]: Unit, [smallMs, small]: Unit): string {
  const rest = Math.floor((ms % bigMs) / smallMs);
  return `${Math.floor(ms / bigMs)}${big}${rest === 0 ? "" : `${rest}${small}`}`;
}
