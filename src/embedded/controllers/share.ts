/**
 * Numbers that may be percentages (apimachinery, pkg/util/intstr).
 */
import type { Share } from "./types.ts";

/** The number meant by `share` of `total`; what cannot be read is 0. */
export function amountOf(share: Share, total: number, round: "up" | "down"): number {
  if (typeof share === "number") return share;
  const percent = /^(\d+)%$/.exec(share)?.[1];
  if (percent === undefined) return 0;
  const exact = (Number(percent) * total) / 100;
  return round === "up" ? Math.ceil(exact) : Math.floor(exact);
}
