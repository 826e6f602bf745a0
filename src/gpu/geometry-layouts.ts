/**
 * Questions about whole sets of layouts: all valid ones, the full ones, the mixes they hold, and where to put profiles
 * beside what already stands.
 */
import { bitCount, layoutOf, layoutSpace, maskOf } from "./geometry-space.ts";
import type { Layout, MigGeometry, MigProfile } from "./model.ts";

/** Profile name to how often it occurs; profiles that do not occur are left out. */
export type ProfileCounts = ReadonlyMap<string, number>;

/** The same geometry with only the profiles that `keep` wants, for example those of one software version. */
export function geometryWith(geometry: MigGeometry, keep: (profile: MigProfile) => boolean): MigGeometry {
  return { ...geometry, profiles: geometry.profiles.filter(keep) };
}

/**
 * The geometry of a GPU that the catalogue does not know, from the profiles its driver tells; `undefined` when none of
 * them has a place to stand.
 *
 * The GPU's slices and engines are those of its largest profile, which takes it whole: on every known model that allows
 * exactly the same layouts as the catalogue's own totals and exclusions.
 */
export function geometryOfProfiles(profiles: readonly MigProfile[]): MigGeometry | undefined {
  if (profiles.every(({ starts }) => starts.length === 0)) return undefined;
  const most = (count: (profile: MigProfile) => number | undefined): number | undefined => {
    const counts = profiles.map(count);
    return counts.includes(undefined) ? undefined : Math.max(...counts.map((one) => one ?? 0));
  };
  return {
    name: "as the driver tells",
    memorySlices: most(({ starts, memorySlices }) => (starts.at(-1) ?? 0) + memorySlices) ?? 0,
    computeSlices: most(({ computeSlices }) => computeSlices) ?? 0,
    engineTotals: {
      copy: most(({ engines }) => engines.copy),
      decoder: most(({ engines }) => engines.decoder),
      encoder: most(({ engines }) => engines.encoder),
      jpeg: most(({ engines }) => engines.jpeg),
      ofa: most(({ engines }) => engines.ofa),
    },
    exclusions: [],
    profiles,
  };
}

/** Every valid layout but the empty one. */
export function validLayouts(geometry: MigGeometry): readonly Layout[] {
  const space = layoutSpace(geometry);
  return [...space.masks].filter((mask) => mask !== 0).map((mask) => layoutOf(space, mask));
}

/** The layouts to which nothing can be added. */
export function maximalLayouts(geometry: MigGeometry): readonly Layout[] {
  const space = layoutSpace(geometry);
  const grows = new Set<number>();
  for (const mask of space.masks) {
    space.slots.forEach((_, slot) => {
      const bit = 1 << slot;
      if ((mask & bit) !== 0) grows.add(mask & ~bit);
    });
  }
  return [...space.masks].filter((mask) => !grows.has(mask)).map((mask) => layoutOf(space, mask));
}

/** What `layout` holds, wherever it stands. */
export function profileCounts(layout: Layout): ProfileCounts {
  const counts = new Map<string, number>();
  for (const { profile } of layout) counts.set(profile.name, (counts.get(profile.name) ?? 0) + 1);
  return counts;
}

/** The different mixes among `layouts`, in the order in which they first occur. */
export function distinctCounts(layouts: readonly Layout[]): readonly ProfileCounts[] {
  const found = new Map<string, ProfileCounts>();
  for (const layout of layouts) {
    const key = layout
      .map(({ profile }) => profile.name)
      .sort()
      .join();
    if (!found.has(key)) found.set(key, profileCounts(layout));
  }
  return [...found.values()];
}

/** Whether every profile of `part` occurs at least as often in `whole`. */
export function containsCounts(whole: ProfileCounts, part: ProfileCounts): boolean {
  return [...part].every(([name, count]) => (whole.get(name) ?? 0) >= count);
}

/**
 * Starts for all of `profiles` beside `layout`, `undefined` when there is no way to place them.
 *
 * Exact: every valid layout that contains `layout` and the wanted profiles is looked at, so an unlucky order cannot
 * hide a solution. Of several, the one that leaves most of the GPU usable is chosen, then the one with lower starts.
 */
export function placementsFor(
  geometry: MigGeometry,
  layout: Layout,
  profiles: readonly MigProfile[],
): Layout | undefined {
  const space = layoutSpace(geometry);
  const current = maskOf(space, layout);
  if (current === undefined) return undefined;
  const wanted = geometry.profiles.map(() => 0);
  for (const { smiProfileId } of [...layout.map((placed) => placed.profile), ...profiles]) {
    const index = geometry.profiles.findIndex((profile) => profile.smiProfileId === smiProfileId);
    if (index < 0) return undefined;
    wanted[index] = (wanted[index] ?? 0) + 1;
  }
  const mask = space.holding(wanted).find((one) => (one & current) === current);
  return mask === undefined ? undefined : layoutOf(space, mask & ~current);
}

/** The most instances of `profile` that an empty GPU can hold, by enumeration. */
export function mostInstances(geometry: MigGeometry, profile: MigProfile): number {
  const space = layoutSpace(geometry);
  const own = space.profileSlots[geometry.profiles.findIndex((one) => one.smiProfileId === profile.smiProfileId)] ?? 0;
  return space.masks.reduce((most, mask) => Math.max(most, bitCount(mask & own)), 0);
}
