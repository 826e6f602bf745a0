/**
 * Compute instances inside one GPU instance: which mixes can be reached, and by which driver calls.
 *
 * The driver puts a new compute instance at the first free start of its profile, so what can be reached depends on
 * order. A GPU instance has at most fourteen places for compute instances: every order is tried, as sets of bits.
 */
import type { MigProfile, Placement } from "../gpu/index.ts";

/** One compute instance profile of a GPU instance profile at one of its starts. */
export interface ComputeSlot {
  /** Index into `computeInstanceProfiles`. */
  readonly kind: number;
  readonly start: number;
  /** The compute slices it covers, as a bit set. */
  readonly slices: number;
}

/** A mix of compute instances that a GPU instance can get, with the fewest calls that lead there. */
export interface Content {
  /** How many there are of each of `computeInstanceProfiles`. */
  readonly counts: readonly number[];
  /** What is destroyed first. */
  readonly destroyed: readonly ComputeSlot[];
  /** What is created then, in this order; indices into `computeInstanceProfiles`. */
  readonly created: readonly number[];
}

/** One call on the way from one exact arrangement to another. */
export type ComputeMove =
  | { readonly kind: "create"; readonly computeProfile: number }
  | { readonly kind: "destroy"; readonly slot: ComputeSlot };

interface Trail {
  readonly mask: number;
  readonly previous: Trail | undefined;
  readonly move: ComputeMove | undefined;
}

/** All places for compute instances in a GPU instance of `profile`; bit `i` of a mask stands for the `i`th. */
export function computeSlots(profile: MigProfile): readonly ComputeSlot[] {
  return profile.computeInstanceProfiles.flatMap(({ starts, size }, kind) =>
    starts.map((start) => ({ kind, start, slices: ((1 << size) - 1) << start })),
  );
}

/** The mask of standing compute instances, `undefined` when one stands where the profile has no place. */
export function computeMask(
  profile: MigProfile,
  instances: readonly { readonly profile: string; readonly placement: Pick<Placement, "start"> }[],
): number | undefined {
  const slots = computeSlots(profile);
  let mask = 0;
  for (const { profile: name, placement } of instances) {
    const kind = profile.computeInstanceProfiles.findIndex((one) => one.name === name);
    const slot = slots.findIndex((one) => one.kind === kind && one.start === placement.start);
    if (slot < 0) return undefined;
    mask |= 1 << slot;
  }
  return mask;
}

/** How many compute instances of each kind `mask` has. */
export function contentCounts(profile: MigProfile, mask: number): readonly number[] {
  const counts = profile.computeInstanceProfiles.map(() => 0);
  computeSlots(profile).forEach(({ kind }, slot) => {
    if ((mask & (1 << slot)) !== 0) counts[kind] = (counts[kind] ?? 0) + 1;
  });
  return counts;
}

/**
 * Every mix that can be reached from `current` while what is in `pinned` stays, each by the fewest calls.
 *
 * Everything that goes is destroyed before anything is created, so a plan can withdraw first and create last.
 */
export function reachableContents(profile: MigProfile, current: number, pinned: number): readonly Content[] {
  const slots = computeSlots(profile);
  const found = new Map<string, Content>();
  const seen = new Set<number>();
  let level: readonly (Trail & { readonly creating: boolean })[] = [
    { mask: current, previous: undefined, move: undefined, creating: false },
  ];
  while (level.length > 0) {
    const next: (Trail & { readonly creating: boolean })[] = [];
    for (const trail of level) {
      const node = trail.mask * 2 + Number(trail.creating);
      if (seen.has(node)) continue;
      seen.add(node);
      const counts = contentCounts(profile, trail.mask);
      const key = counts.join();
      if (!found.has(key)) found.set(key, contentOf(counts, trail));
      if (!trail.creating) {
        for (const step of destroyMoves(slots, trail, ~pinned)) next.push({ ...step, creating: false });
      }
      for (const step of createMoves(profile, slots, trail)) next.push({ ...step, creating: true });
    }
    level = next;
  }
  return [...found.values()];
}

/**
 * The fewest calls from `current` to exactly `goal`, `undefined` when there is no way; what both have is not touched.
 *
 * May create a compute instance only to fill a start that the driver would choose too early, and destroy it again.
 */
export function movesTo(profile: MigProfile, current: number, goal: number): readonly ComputeMove[] | undefined {
  const slots = computeSlots(profile);
  const seen = new Set<number>();
  let level: readonly Trail[] = [{ mask: current, previous: undefined, move: undefined }];
  while (level.length > 0) {
    const next: Trail[] = [];
    for (const trail of level) {
      if (trail.mask === goal) return movesOf(trail);
      if (seen.has(trail.mask)) continue;
      seen.add(trail.mask);
      next.push(...destroyMoves(slots, trail, ~goal), ...createMoves(profile, slots, trail));
    }
    level = next;
  }
  return undefined;
}

function destroyMoves(slots: readonly ComputeSlot[], trail: Trail, allowed: number): Trail[] {
  return slots.flatMap((slot, index) => {
    const bit = 1 << index;
    if ((trail.mask & bit & allowed) === 0) return [];
    return [{ mask: trail.mask & ~bit, previous: trail, move: { kind: "destroy", slot } as const }];
  });
}

function createMoves(profile: MigProfile, slots: readonly ComputeSlot[], trail: Trail): Trail[] {
  let taken = 0;
  let width = 0;
  const counts = contentCounts(profile, trail.mask);
  slots.forEach(({ slices }, index) => {
    if ((trail.mask & (1 << index)) !== 0) taken |= slices;
  });
  profile.computeInstanceProfiles.forEach(({ computeSlices }, kind) => {
    width += computeSlices * (counts[kind] ?? 0);
  });
  return profile.computeInstanceProfiles.flatMap(({ computeSlices, maxInstances }, kind) => {
    if (width + computeSlices > profile.computeSlices || (counts[kind] ?? 0) >= maxInstances) return [];
    const index = slots.findIndex((slot) => slot.kind === kind && (slot.slices & taken) === 0);
    if (index < 0) return [];
    const move = { kind: "create", computeProfile: kind } as const;
    return [{ mask: trail.mask | (1 << index), previous: trail, move }];
  });
}

function movesOf(trail: Trail): readonly ComputeMove[] {
  const moves: ComputeMove[] = [];
  for (let at: Trail | undefined = trail; at !== undefined; at = at.previous) {
    if (at.move !== undefined) moves.push(at.move);
  }
  return moves.reverse();
}

function contentOf(counts: readonly number[], trail: Trail): Content {
  const moves = movesOf(trail);
  return {
    counts,
    destroyed: moves.flatMap((move) => (move.kind === "destroy" ? [move.slot] : [])),
    created: moves.flatMap((move) => (move.kind === "create" ? [move.computeProfile] : [])),
  };
}
