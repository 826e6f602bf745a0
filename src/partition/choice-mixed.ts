/**
 * The best layout where GPU instances are cut into several compute instances, wanted or standing.
 *
 * For each layout of GPU instances, the wanted compute instances of each profile are dealt out to its GPU instances in
 * every way there is; a profile has at most seven GPU instances, and those that can be cut at all at most three.
 */
import { bitCount } from "../gpu/index.ts";
import { type Content, computeMask, reachableContents } from "./compute.ts";
import { type Choice, type HeldDevice, type Situation, type Standing, slotsOf } from "./situation.ts";

/** How the devices of one profile are dealt out to its GPU instances. */
interface Deal {
  readonly stood: number;
  readonly devices: number;
  readonly calls: number;
  /** One for each GPU instance: first those kept, by slot, then those to be created. */
  readonly contents: readonly Content[];
}

/** What one profile needs and has. */
interface Need {
  /** Slots of the profile. */
  readonly slots: number;
  readonly wanted: readonly number[];
  /** How many of each kind may stand afterwards: the wanted ones, and held ones beyond them. */
  readonly caps: readonly number[];
  /** What a GPU instance that stands can become, by slot. */
  readonly keeping: ReadonlyMap<number, readonly Content[]>;
  /** What a new GPU instance can become. */
  readonly fresh: readonly Content[];
  /** Deals found so far, by kept slots and number of new ones. */
  readonly deals: Map<number, Deal | undefined>;
}

interface Candidate {
  readonly target: number;
  readonly stood: number;
  readonly devices: number;
  readonly instances: number;
  readonly calls: number;
  readonly deals: readonly { readonly need: Need; readonly deal: Deal }[];
}

/** As `bestChoice`, for any compute instances. */
export function mixedChoice(situation: Situation, held: readonly HeldDevice[]): Choice {
  const { space, current } = situation;
  const heldSlots = held.reduce((mask, { standing }) => mask | (1 << standing.slot), 0);
  const needs = needsOf(situation, held);
  const allowed = needs.reduce((mask, { slots }) => mask | slots, 0);
  let best: Candidate | undefined;
  for (const mask of space.masks) {
    if ((mask & heldSlots) !== heldSlots || (mask & ~allowed) !== 0) continue;
    const candidate = candidateOf(situation, needs, mask);
    if (candidate !== undefined && (best === undefined || isBetter(candidate, best))) best = candidate;
  }
  if (best === undefined) return { target: heldSlots, stood: 0, devices: held.length, contents: new Map() };
  const contents = new Map<number, Content>();
  for (const { need, deal } of best.deals) {
    const own = best.target & need.slots;
    const slots = [...slotsOf(own & current), ...slotsOf(own & ~current)];
    slots.forEach((slot, index) => {
      const content = deal.contents[index];
      if (content !== undefined) contents.set(slot, content);
    });
  }
  return { target: best.target, stood: best.stood, devices: best.devices, contents };
}

function isBetter(a: Candidate, b: Candidate): boolean {
  if (a.stood !== b.stood) return a.stood > b.stood;
  if (a.instances !== b.instances) return a.instances < b.instances;
  return a.calls < b.calls;
}

function candidateOf(situation: Situation, needs: readonly Need[], target: number): Candidate | undefined {
  const { current, standing } = situation;
  let stood = 0;
  let devices = 0;
  let calls = 0;
  const deals: { need: Need; deal: Deal }[] = [];
  for (const need of needs) {
    const kept = target & current & need.slots;
    const created = bitCount(target & ~current & need.slots);
    const deal = dealOf(need, kept, created);
    if (deal === undefined) return undefined;
    deals.push({ need, deal });
    stood += deal.stood;
    devices += deal.devices;
    calls += deal.calls + created;
  }
  for (const { instance, slot } of standing) {
    if ((target & (1 << slot)) === 0) calls += 1 + instance.computeInstances.length;
  }
  return { target, stood, devices, instances: bitCount(target), calls, deals };
}

function needsOf({ space, standing, wanted }: Situation, held: readonly HeldDevice[]): readonly Need[] {
  return space.geometry.profiles.flatMap((profile, index) => {
    const own = standing.filter(({ slot }) => space.slotProfiles[slot] === index);
    const heldHere = held.filter((one) => own.includes(one.standing));
    const wantedHere = wanted[index] ?? [];
    const heldCounts = profile.computeInstanceProfiles.map(
      ({ name }) => heldHere.filter(({ device }) => device.profile === name).length,
    );
    const caps = heldCounts.map((count, kind) => Math.max(count, wantedHere[kind] ?? 0));
    if (caps.every((count) => count === 0)) return [];
    const slots = space.profileSlots[index] ?? 0;
    const keeping = new Map(own.map((one) => [one.slot, keepingContents(one, heldHere)]));
    return [
      {
        slots,
        wanted: wantedHere,
        caps,
        keeping,
        fresh: reachableContents(profile, 0, 0).filter(isFilled),
        deals: new Map(),
      },
    ];
  });
}

function keepingContents(standing: Standing, held: readonly HeldDevice[]): readonly Content[] {
  const { profile, computeInstances } = standing.instance;
  const current = computeMask(profile, computeInstances);
  const pinned = computeMask(
    profile,
    held.filter((one) => one.standing === standing).map(({ device }) => device),
  );
  if (current === undefined || pinned === undefined) return [];
  return reachableContents(profile, current, pinned).filter(isFilled);
}

function isFilled({ counts }: Content): boolean {
  return counts.some((count) => count > 0);
}

function dealOf(need: Need, kept: number, created: number): Deal | undefined {
  const key = kept * 8 + created;
  if (need.deals.has(key)) return need.deals.get(key);
  const choices = [
    ...slotsOf(kept).map((slot) => need.keeping.get(slot) ?? []),
    ...Array.from({ length: created }, () => need.fresh),
  ];
  const deal = bestDeal(need, choices);
  need.deals.set(key, deal);
  return deal;
}

/** Tries every way to give each GPU instance one of its contents within the caps. */
function bestDeal(need: Need, choices: readonly (readonly Content[])[]): Deal | undefined {
  let best: Deal | undefined;
  const visit = (contents: readonly Content[], room: readonly number[]): void => {
    const options = choices[contents.length];
    if (options === undefined) {
      const deal = dealFrom(need, contents);
      if (best === undefined || deal.stood > best.stood || (deal.stood === best.stood && deal.calls < best.calls)) {
        best = deal;
      }
      return;
    }
    for (const content of options) {
      const left = room.map((count, kind) => count - (content.counts[kind] ?? 0));
      if (left.every((count) => count >= 0)) visit([...contents, content], left);
    }
  };
  visit([], need.caps);
  return best;
}

function dealFrom(need: Need, contents: readonly Content[]): Deal {
  const counts = need.caps.map((_, kind) => contents.reduce((sum, one) => sum + (one.counts[kind] ?? 0), 0));
  return {
    stood: counts.reduce((sum, count, kind) => sum + Math.min(count, need.wanted[kind] ?? 0), 0),
    devices: counts.reduce((sum, count) => sum + count, 0),
    calls: contents.reduce((sum, { destroyed, created }) => sum + destroyed.length + created.length, 0),
    contents,
  };
}
