/**
 * The best layout where every device takes its GPU instance whole: the usual case, and the fast one.
 *
 * A layout is one number here, and the wanted counts lead straight to the few dozen layouts that have them. Only when
 * none of these keeps what is held are all layouts of the GPU gone through.
 */
import { bitCount, type LayoutSpace } from "../gpu/index.ts";
import type { Choice, HeldDevice, Situation } from "./situation.ts";

/** As `bestChoice`, where every device takes its GPU instance whole. */
export function plainChoice(situation: Situation, heldDevices: readonly HeldDevice[]): Choice {
  const held = slotMask(heldDevices);
  const { space } = situation;
  const wantedCounts = wholeCounts(situation);
  const heldCounts = slotCounts(space, held);
  const total = wantedCounts.reduce((sum, count) => sum + count, 0);
  if (heldCounts.every((count, profile) => count <= (wantedCounts[profile] ?? 0))) {
    const target = fewestCalls(situation, space.holding(wantedCounts), held);
    if (target !== undefined) return { target, stood: total, devices: total, contents: undefined };
  }
  return nearestChoice(situation, { wantedCounts, heldCounts, held });
}

/** Whether some layout with exactly the wanted devices keeps all of `held`. */
export function holdsWanted(situation: Situation, heldDevices: readonly HeldDevice[]): boolean {
  const held = slotMask(heldDevices);
  return situation.space.holding(wholeCounts(situation)).some((mask) => (mask & held) === held);
}

function wholeCounts({ wanted }: Situation): number[] {
  return wanted.map((kinds) => kinds.at(-1) ?? 0);
}

/** Among `candidates` that keep all of `held`, the one with the fewest driver calls, the first of equals. */
function fewestCalls(situation: Situation, candidates: readonly number[], held: number): number | undefined {
  const bare = bareMask(situation);
  let best: number | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const mask of candidates) {
    if ((mask & held) !== held) continue;
    const calls = plainCalls(situation.current, mask, bare);
    if (calls < fewest) {
      fewest = calls;
      best = mask;
    }
  }
  return best;
}

/** An instance and its one device are two calls each way; one without a device is destroyed or completed by one. */
function plainCalls(current: number, target: number, bare: number): number {
  return 2 * bitCount(current ^ target) - bitCount(bare & ~target) + bitCount(bare & target);
}

interface PlainNeed {
  readonly wantedCounts: readonly number[];
  readonly heldCounts: readonly number[];
  readonly held: number;
}

/** As many of the wanted devices as there can be beside what is held, by the fewest calls. */
function nearestChoice({ space, current, standing }: Situation, need: PlainNeed): Choice {
  const { wantedCounts, heldCounts, held } = need;
  const bare = bareMask({ standing });
  const caps = wantedCounts.map((count, profile) => Math.max(count, heldCounts[profile] ?? 0));
  let best = { target: held, stood: -1, calls: 0 };
  space.masks.forEach((mask) => {
    if ((mask & held) !== held) return;
    let stood = 0;
    for (const [profile, slots] of space.profileSlots.entries()) {
      const count = bitCount(mask & slots);
      if (count > (caps[profile] ?? 0)) return;
      stood += Math.min(count, wantedCounts[profile] ?? 0);
    }
    if (stood < best.stood) return;
    const calls = plainCalls(current, mask, bare);
    if (stood > best.stood || calls < best.calls) best = { target: mask, stood, calls };
  });
  const { target, stood } = best;
  return { target, stood: Math.max(stood, 0), devices: bitCount(target), contents: undefined };
}

function bareMask({ standing }: Pick<Situation, "standing">): number {
  return standing.reduce(
    (mask, { instance, slot }) => (instance.computeInstances.length === 0 ? mask | (1 << slot) : mask),
    0,
  );
}

function slotMask(held: readonly HeldDevice[]): number {
  return held.reduce((mask, { standing }) => mask | (1 << standing.slot), 0);
}

function slotCounts(space: LayoutSpace, mask: number): number[] {
  return space.profileSlots.map((slots) => bitCount(mask & slots));
}
