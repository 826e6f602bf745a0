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
  /** One slot mask per valid layout. */
  readonly masks: Int32Array;
  /** How often profile `p` occurs in layout `i` stands at `i * profiles + p`. */
  readonly counts: Uint8Array;
  /** Layouts by what they hold wherever it stands, as indices into `masks`, ascending; see `layoutsHolding`. */
  readonly byCounts: ReadonlyMap<number, readonly number[]>;
}

/** Slots that fit the bits of a mask. */
const maxSlots = 32;

/**
 * A geometry is a constant of a GPU model, and its space is computed from nothing else: this cache only saves the
 * ten milliseconds of doing it again, and a geometry that is no longer used takes its space with it.
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
 * A number that is the same for two sets of counts exactly when the counts are; no count may be above its profile's
 * `maxInstances`.
 */
function countsKey(geometry: MigGeometry, counts: ArrayLike<number>): number {
  let key = 0;
  for (let index = 0; index < geometry.profiles.length; index++) {
    const radix = (geometry.profiles[index]?.maxInstances ?? 0) + 1;
    key = key * radix + (counts[index] ?? 0);
  }
  return key;
}

/** The layouts that hold exactly `counts` of the geometry's profiles, as indices into `masks`, best first. */
export function layoutsHolding(space: LayoutSpace, counts: ArrayLike<number>): readonly number[] {
  const { profiles } = space.geometry;
  for (let index = 0; index < profiles.length; index++) {
    if ((counts[index] ?? 0) > (profiles[index]?.maxInstances ?? 0)) return [];
  }
  return space.byCounts.get(countsKey(space.geometry, counts)) ?? [];
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
  const masks = Int32Array.from(bestFirst(slots, validMasks(geometry, slots)));
  const width = geometry.profiles.length;
  const counts = new Uint8Array(masks.length * width);
  const byCounts = new Map<number, number[]>();
  masks.forEach((mask, index) => {
    const own = counts.subarray(index * width, (index + 1) * width);
    slotProfiles.forEach((profile, slot) => {
      if ((mask & (1 << slot)) !== 0) own[profile] = (own[profile] ?? 0) + 1;
    });
    const key = countsKey(geometry, own);
    const same = byCounts.get(key);
    if (same === undefined) byCounts.set(key, [index]);
    else same.push(index);
  });
  return { geometry, slots, slotProfiles, masks, counts, byCounts };
}

/** Adds slots in ascending order to ever larger layouts; what breaks a rule is never extended. */
function validMasks(geometry: MigGeometry, slots: readonly PlacedProfile[]): number[] {
  const found: number[] = [];
  const layout: PlacedProfile[] = [];
  const visit = (mask: number, taken: number, from: number): void => {
    found.push(mask);
    for (let slot = from; slot < slots.length; slot++) {
      const placed = slots[slot];
      if (placed === undefined || (taken & slicesOf(placed)) !== 0) continue;
      layout.push(placed);
      if (layoutFault(geometry, layout) === undefined) visit(mask | (1 << slot), taken | slicesOf(placed), slot + 1);
      layout.pop();
    }
  };
  visit(0, 0, 0);
  return found;
}

function bestFirst(slots: readonly PlacedProfile[], masks: readonly number[]): number[] {
  const futures = futuresOf(masks);
  const ranked = masks.map((mask) => ({
    mask,
    futures: futures.get(mask) ?? 0,
    starts: slots
      .filter((_, slot) => (mask & (1 << slot)) !== 0)
      .map(({ start }) => String(start).padStart(2, "0"))
      .sort()
      .join(),
  }));
  ranked.sort((a, b) => b.futures - a.futures || compareText(a.starts, b.starts) || a.mask - b.mask);
  return ranked.map(({ mask }) => mask);
}

/** For each layout, how many layouts contain it: each counts once for every part of itself. */
function futuresOf(masks: readonly number[]): ReadonlyMap<number, number> {
  const futures = new Map<number, number>();
  for (const mask of masks) {
    futures.set(0, (futures.get(0) ?? 0) + 1);
    for (let part = mask; part !== 0; part = (part - 1) & mask) futures.set(part, (futures.get(part) ?? 0) + 1);
  }
  return futures;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
