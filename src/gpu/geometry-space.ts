/**
 * All valid layouts of one geometry as numbers, so that planners can compare thousands of them in microseconds.
 *
 * A *slot* is one profile at one of its starts. A GPU has at most 30 slots, so a layout is a set of slots in one
 * 32-bit number: layouts share instances where their bits meet, and one holds another when it has all its bits.
 */
import { TrancheError } from "../base/index.ts";
import { layoutFault, slicesOf } from "./geometry.ts";
import type { Layout, MigGeometry, PlacedProfile } from "./model.ts";

/** Every valid layout of a geometry, the empty one included, best first (see `layoutSpace`). */
export interface LayoutSpace {
  readonly geometry: MigGeometry;
  /** Bit `i` of a mask stands for `slots[i]`; profile by profile, starts ascending. */
  readonly slots: readonly PlacedProfile[];
  /** For each slot, which of `geometry.profiles` it is of. */
  readonly slotProfiles: readonly number[];
  /** For each of `geometry.profiles`, the mask of its slots. */
  readonly profileSlots: readonly number[];
  /** One slot mask per valid layout. */
  readonly masks: Int32Array;
  /** The masks of the layouts that hold exactly `counts` of the geometry's profiles. */
  holding(counts: readonly number[]): readonly number[];
}

/** A layout while the space is built. */
interface FoundLayout {
  readonly mask: number;
  /** Its starts, as a bit set. */
  readonly starts: number;
  /** What it holds; see `countWeights`. */
  readonly countsKey: number;
  /** How many layouts contain it, itself among them. */
  futures: number;
}

/** Slots that fit the bits of a mask. */
const maxSlots = 32;

/**
 * A geometry is a constant of a GPU model, and its space is computed from nothing else: this cache only saves the
 * milliseconds of doing it again, and a geometry that is no longer used takes its space with it.
 */
const spaces = new WeakMap<MigGeometry, LayoutSpace>();

/**
 * The space of a geometry, computed once per geometry object.
 *
 * Layouts are in the order in which they are worth having when everything else is equal: first those that leave more
 * of the GPU usable, counted in valid layouts that they can still grow into, then those with lower starts.
 * Throws when the geometry has more than 32 slots; no known GPU has more than 30.
 */
export function layoutSpace(geometry: MigGeometry): LayoutSpace {
  const known = spaces.get(geometry);
  if (known !== undefined) return known;
  const space = buildSpace(geometry);
  spaces.set(geometry, space);
  return space;
}

/**
 * For each profile what one instance of it adds to a number that tells mixes apart, as long as no count is above its
 * profile's `maxInstances` by more than one.
 */
function countWeights({ profiles }: MigGeometry): readonly number[] {
  const weights: number[] = [];
  let weight = 1;
  for (const { maxInstances } of profiles) {
    weights.push(weight);
    weight *= maxInstances + 2;
  }
  return weights;
}

/** The mask of `layout`, `undefined` when one of its instances stands where the geometry has no slot. */
export function maskOf(space: LayoutSpace, layout: Layout): number | undefined {
  let mask = 0;
  for (const { profile, start } of layout) {
    const slot = space.slots.findIndex(
      (one) => one.start === start && one.profile.smiProfileId === profile.smiProfileId,
    );
    if (slot < 0) return undefined;
    mask |= 1 << slot;
  }
  return mask;
}

/** The layout of a mask, by ascending start. */
export function layoutOf(space: LayoutSpace, mask: number): Layout {
  return space.slots.filter((_, slot) => (mask & (1 << slot)) !== 0).sort((a, b) => a.start - b.start);
}

/** How many bits are set in a 32-bit number. */
export function bitCount(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

function buildSpace(geometry: MigGeometry): LayoutSpace {
  const slots = geometry.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile, start })));
  if (slots.length > maxSlots) {
    throw new TrancheError(
      "geometry-too-large",
      `${geometry.name} has ${slots.length} placements, at most ${maxSlots}`,
    );
  }
  const slotProfiles = slots.map(({ profile }) => geometry.profiles.indexOf(profile));
  const profileSlots = geometry.profiles.map((profile) =>
    slots.reduce((mask, one, slot) => (one.profile === profile ? mask | (1 << slot) : mask), 0),
  );
  const weights = countWeights(geometry);
  const found = validLayouts(geometry, slots, { slotProfiles, weights });
  const mixes = mixesOf(found);
  // Most mixes that people ask for have one layout, so what makes some better than others is counted when it matters.
  let kept: { readonly masks: Int32Array; readonly mixes: typeof mixes } | undefined;
  const ranked = (): NonNullable<typeof kept> => {
    if (kept === undefined) {
      const layouts = bestFirst(geometry, slots, found);
      kept = { masks: Int32Array.from(layouts, ({ mask }) => mask), mixes: mixesOf(layouts) };
    }
    return kept;
  };
  return {
    geometry,
    slots,
    slotProfiles,
    profileSlots,
    get masks() {
      return ranked().masks;
    },
    holding: (counts) => {
      if (geometry.profiles.some(({ maxInstances }, index) => (counts[index] ?? 0) > maxInstances)) return [];
      const key = weights.reduce((sum, weight, index) => sum + weight * (counts[index] ?? 0), 0);
      const mix = mixes.get(key) ?? [];
      return mix.length < 2 ? mix : (ranked().mixes.get(key) ?? []);
    },
  };
}

/** The masks of the layouts of each mix, by what they hold; see `countWeights`. */
function mixesOf(layouts: readonly FoundLayout[]): ReadonlyMap<number, readonly number[]> {
  const mixes = new Map<number, number[]>();
  for (const { countsKey, mask } of layouts) {
    const same = mixes.get(countsKey);
    if (same === undefined) mixes.set(countsKey, [mask]);
    else same.push(mask);
  }
  return mixes;
}

/**
 * Adds slots in descending order to ever larger layouts, so that masks come out ascending; what breaks a rule is never
 * extended.
 */
function validLayouts(
  geometry: MigGeometry,
  slots: readonly PlacedProfile[],
  { slotProfiles, weights }: { readonly slotProfiles: readonly number[]; readonly weights: readonly number[] },
): readonly FoundLayout[] {
  const found: FoundLayout[] = [];
  const additions = slots.map((placed, slot) => ({
    placed,
    start: 1 << placed.start,
    /** The slots that an instance here leaves free. */
    beside: slots.reduce(
      (mask, other, at) => ((slicesOf(other) & slicesOf(placed)) === 0 ? mask | (1 << at) : mask),
      0,
    ),
    weight: weights[slotProfiles[slot] ?? 0] ?? 0,
  }));
  // All rules but that of overlap only count instances, so each mix is judged once.
  const allowed = new Map<number, boolean>();
  const placed: PlacedProfile[] = [];
  const visit = (layout: FoundLayout, open: number): void => {
    found.push(layout);
    for (let rest = open, bit = 0; rest !== 0; rest ^= bit) {
      bit = rest & -rest;
      const added = additions[31 - Math.clz32(bit)];
      if (added === undefined) continue;
      const countsKey = layout.countsKey + added.weight;
      placed.push(added.placed);
      let valid = allowed.get(countsKey);
      if (valid === undefined) {
        valid = layoutFault(geometry, placed) === undefined;
        allowed.set(countsKey, valid);
      }
      if (valid) {
        const mask = layout.mask | bit;
        visit({ mask, starts: layout.starts | added.start, countsKey, futures: 1 }, open & (bit - 1) & added.beside);
      }
      placed.pop();
    }
  };
  const every = additions.reduce((mask, _, slot) => mask | (1 << slot), 0);
  visit({ mask: 0, starts: 0, countsKey: 0, futures: 1 }, every);
  return found;
}

/** Slot by slot, each layout that has it hands on what was counted for it to the one that only lacks this slot. */
function countFutures(found: readonly FoundLayout[], slots: readonly PlacedProfile[]): void {
  const byMask = new Map(found.map((one) => [one.mask, one]));
  for (const slot of slots.keys()) {
    const bit = 1 << slot;
    for (const one of found) {
      const part = (one.mask & bit) === 0 ? undefined : byMask.get(one.mask ^ bit);
      if (part !== undefined) part.futures += one.futures;
    }
  }
}

/**
 * In the order of `layoutSpace`; what is equal stays as it was. Numbers are sorted many times faster than objects by a
 * function of ours, and a command may pay for this once for a single plan.
 */
function bestFirst(
  { memorySlices }: MigGeometry,
  slots: readonly PlacedProfile[],
  found: readonly FoundLayout[],
): readonly FoundLayout[] {
  countFutures(found, slots);
  const most = found.length;
  const keys = Float64Array.from(found, ({ futures, starts }, index) => {
    return ((most - futures) * 2 ** memorySlices + wordRank(starts, memorySlices)) * most + index;
  });
  return [...keys.sort()].flatMap((key) => found[key % most] ?? []);
}

/** The place of a set of starts among all sets, ordered as the words that their elements spell. */
function wordRank(starts: number, slices: number): number {
  let rank = 0;
  for (let start = 0; starts >>> start !== 0; start++) {
    // Either one word further, or past all words that have this start here.
    rank += (starts & (1 << start)) === 0 ? 2 ** (slices - 1 - start) : 1;
  }
  return rank;
}
