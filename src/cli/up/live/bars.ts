/**
 * One GPU as bars: its memory, and its memory slices with who holds them.
 */

import type { ReportGpu, ReportInstance } from "../../../insight/index.ts";
import { clean } from "../../report/clean.ts";
import { plural } from "../../report/text.ts";
import type { Line, Span } from "../../terminal.ts";
import { cutText, fitText, textWidth } from "./text.ts";

/** From this part of the memory on, a bar warns. */
const NEARLY_FULL = 0.9;
/** A memory slice need not be wider to show the name of a pod. */
const WIDEST_SLICE = 14;

/** A bar of `width` cells; whatever is used shows as one cell at least. */
export function memoryBar(usedMiB: number, totalMiB: number, width: number): Line {
  const part = totalMiB > 0 ? Math.min(1, usedMiB / totalMiB) : 0;
  const filled = usedMiB > 0 ? Math.max(1, Math.round(part * width)) : 0;
  const style = part >= NEARLY_FULL ? "yellow" : "green";
  return [
    { text: "█".repeat(filled), style },
    { text: "░".repeat(width - filled), style: "dim" },
  ];
}

/**
 * The memory slices of a GPU with MIG on, from left to right: `●1g.10gb ml/a│○1g.10gb│···`, a dot for what is held, a
 * ring for what is free, points where nothing is cut. A count where `width` cells are too few to draw it.
 */
export function sliceBar(gpu: ReportGpu, memorySlices: number, width: number): Line {
  const cells = Math.min(WIDEST_SLICE, Math.floor((width + 1) / memorySlices) - 1);
  const at = Map.groupBy(gpu.instances, (one) => one.placement.start);
  if (cells < 1) return [{ text: cutText(plural(at.size, "slice"), width) }];
  const line: Span[] = [];
  for (let slice = 0; slice < memorySlices; ) {
    if (slice > 0) line.push({ text: "│", style: "dim" });
    const here = at.get(slice);
    const size = Math.max(1, here?.[0]?.placement.size ?? 1);
    const room = size * (cells + 1) - 1;
    line.push(here === undefined ? { text: "·".repeat(room), style: "dim" } : sliceSpan(here, gpu, room));
    slice += size;
  }
  return line;
}

/** One GPU instance; several entries are compute instances in it. */
function sliceSpan(instances: readonly ReportInstance[], gpu: ReportGpu, room: number): Span {
  const shares = instances.flatMap((one) => gpu.shares.filter((share) => share.id.startsWith(`${one.uuid}::`)));
  const parts = shares.length > 0 ? shares : instances;
  const holders = parts.flatMap(({ pod }) => (pod === null ? [] : [clean(pod)]));
  const dot = holders.length > 0 ? "●" : "○";
  const profile = clean(instances[0]?.profile ?? "");
  const short = profile.split(".")[0] ?? "";
  const texts = parts.length > 1 ? countTexts(profile, holders.length, parts.length) : nameTexts(profile, holders[0]);
  const text = [...texts, short].find((one) => textWidth(one) < room) ?? cutText(short, room - 1);
  return { text: fitText(`${dot}${text}`, room), style: holders.length > 0 ? "cyan" : "dim" };
}

/** From long to short. */
function nameTexts(profile: string, pod: string | undefined): readonly string[] {
  const short = profile.split(".")[0] ?? "";
  if (pod === undefined) return [profile];
  const name = pod.slice(pod.indexOf("/") + 1);
  return [`${profile} ${pod}`, `${profile} ${name}`, `${short} ${name}`, profile];
}

function countTexts(profile: string, held: number, all: number): readonly string[] {
  return [`${profile} ${held} of ${all}`, `${profile} ${held}/${all}`, `${profile.split(".")[0] ?? ""} ${held}/${all}`];
}
