/**
 * The rules of MIG geometry: which layouts a GPU can have, and what still fits beside a layout.
 *
 * A GPU instance occupies a run of memory slices at one of its profile's starts and takes compute slices and engines
 * with it. The rules only ever forbid, so every part of a valid layout is valid too. Enumeration of all layouts of a
 * geometry is in `geometry-space.ts`, questions about whole sets of them in `geometry-layouts.ts`.
 */
import type { Engines, Exclusion, Layout, MigGeometry, MigProfile, PlacedProfile, Placement } from "./model.ts";

/** Why a layout cannot be: the rule it breaks, and a sentence for people. */
export interface LayoutFault {
  readonly rule: "profile" | "start" | "overlap" | "max-instances" | "compute-slices" | "engines" | "exclusion";
  readonly message: string;
}

const engineKinds = ["copy", "decoder", "encoder", "jpeg", "ofa"] as const satisfies readonly (keyof Engines)[];

/**
 * The first rule that `layout` breaks on this geometry, `undefined` when it is valid.
 *
 * Profiles are told apart by `smiProfileId`. Engine kinds whose total or share no source tells are not counted; the
 * exclusions say the same rule in words and are checked as well, so they also hold where figures are missing.
 */
export function layoutFault(geometry: MigGeometry, layout: Layout): LayoutFault | undefined {
  return (
    placementFault(geometry, layout) ??
    instanceCountFault(layout) ??
    computeFault(geometry, layout) ??
    exclusionFault(geometry.exclusions, layout) ??
    engineFault(geometry, layout)
  );
}

/** Whether `placed` can be created beside `layout`, which is taken to be valid. */
export function fits(geometry: MigGeometry, layout: Layout, placed: PlacedProfile): boolean {
  return layoutFault(geometry, [...layout, placed]) === undefined;
}

/** Where an instance of `profile` could be created now beside `layout`, by ascending start. */
export function freePlacements(geometry: MigGeometry, layout: Layout, profile: MigProfile): readonly Placement[] {
  return profile.starts
    .filter((start) => fits(geometry, layout, { profile, start }))
    .map((start) => ({ start, size: profile.memorySlices }));
}

/**
 * How many more instances of `profile` fit beside `layout`: nvmlDeviceGetGpuInstanceRemainingCapacity.
 *
 * Taking the lowest free start again and again is exact, because runs of one length are packed best from one end and
 * the other rules only count instances.
 */
export function remainingCapacity(geometry: MigGeometry, layout: Layout, profile: MigProfile): number {
  const grown = [...layout];
  for (const start of profile.starts) {
    if (fits(geometry, grown, { profile, start })) grown.push({ profile, start });
  }
  return grown.length - layout.length;
}

/** `3g.40gb@4`, the way people and messages name a profile at a start. */
export function placedName(placed: PlacedProfile): string {
  return `${placed.profile.name}@${placed.start}`;
}

/** The memory slices that `placed` covers, as a bit set. */
export function slicesOf(placed: PlacedProfile): number {
  return ((1 << placed.profile.memorySlices) - 1) << placed.start;
}

function placementFault(geometry: MigGeometry, layout: Layout): LayoutFault | undefined {
  let taken = 0;
  for (const placed of layout) {
    const own = geometry.profiles.find((profile) => profile.smiProfileId === placed.profile.smiProfileId);
    if (own === undefined) return fault("profile", `the GPU has no MIG profile ${placed.profile.name}`);
    if (!own.starts.includes(placed.start)) {
      return fault(
        "start",
        `${own.name} cannot start at memory slice ${placed.start}, only at ${own.starts.join(", ")}`,
      );
    }
    const slices = slicesOf(placed);
    if ((taken & slices) !== 0) {
      const other = layout.find((one) => one !== placed && (slicesOf(one) & slices) !== 0) ?? placed;
      return fault("overlap", `${placedName(placed)} and ${placedName(other)} overlap`);
    }
    taken |= slices;
  }
  return undefined;
}

function instanceCountFault(layout: Layout): LayoutFault | undefined {
  for (const { profile } of layout) {
    const count = layout.filter((one) => one.profile.smiProfileId === profile.smiProfileId).length;
    if (count > profile.maxInstances) {
      return fault("max-instances", `${count} instances of ${profile.name}, at most ${profile.maxInstances} can be`);
    }
  }
  return undefined;
}

function computeFault(geometry: MigGeometry, layout: Layout): LayoutFault | undefined {
  const sum = layout.reduce((total, { profile }) => total + profile.computeSlices, 0);
  if (sum <= geometry.computeSlices) return undefined;
  return fault("compute-slices", `${sum} compute slices of ${geometry.computeSlices}`);
}

function engineFault(geometry: MigGeometry, layout: Layout): LayoutFault | undefined {
  for (const kind of engineKinds) {
    const total = geometry.engineTotals[kind];
    if (total === undefined) continue;
    const sum = layout.reduce((so, { profile }) => so + (profile.engines[kind] ?? 0), 0);
    if (sum > total) return fault("engines", `${sum} ${kind} engines of ${total}`);
  }
  return undefined;
}

function exclusionFault(exclusions: readonly Exclusion[], layout: Layout): LayoutFault | undefined {
  for (const exclusion of exclusions) {
    const named = layout.filter(({ profile }) => exclusion.profiles.includes(profile.name));
    const broken =
      exclusion.rule === "at-most-one-in-total"
        ? named.length > 1
        : named.some((one) =>
            layout.some((other) => other !== one && !exclusion.alongside.includes(other.profile.name)),
          );
    if (broken) return fault("exclusion", `${named.map(placedName).join(" and ")}: ${exclusion.reason}`);
  }
  return undefined;
}

function fault(rule: LayoutFault["rule"], message: string): LayoutFault {
  return { rule, message };
}
