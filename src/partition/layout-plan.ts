/**
 * The plan for the instances of a GPU whose MIG mode is on: which stay, which go, which come, and who is waited for.
 */
import type { Gpu, MigGeometry } from "../gpu/index.ts";
import { blockersOf, inUse } from "./blockers.ts";
import { bestChoice, inTheWay, isComplete } from "./choice.ts";
import type { Content } from "./compute.ts";
import type { Draft } from "./plan-draft.ts";
import {
  type Choice,
  type DeviceCounts,
  type Holders,
  heldDevices,
  type Situation,
  type Standing,
  situationOf,
  standingCounts,
} from "./situation.ts";
import { instanceSteps, missingAfter } from "./steps.ts";
import { countsText } from "./text.ts";

export interface LayoutCase {
  readonly geometry: MigGeometry;
  readonly gpu: Gpu;
  readonly standing: readonly Standing[];
  readonly holders: Holders;
}

export interface LayoutWish {
  readonly counts: DeviceCounts;
  /** The same by name. */
  readonly names: ReadonlyMap<string, number>;
}

/** The exact best change of layout; what it lacks of `wanted` waits for the blockers it names. */
export function planLayout(
  { geometry, gpu, standing, holders }: LayoutCase,
  { counts, names }: LayoutWish,
): Pick<Draft, "parts" | "complete" | "blockers" | "findings"> & { readonly findings: NonNullable<Draft["findings"]> } {
  const situation = situationOf(geometry, standing, counts);
  const asIs = standingChoice(situation);
  if (asIs !== undefined) {
    return { parts: instanceSteps(situation, asIs), complete: true, blockers: [], findings: [] };
  }
  const held = heldDevices(gpu, standing, holders);
  const choice = bestChoice(situation, held);
  const parts = instanceSteps(situation, choice);
  if (isComplete(situation, choice)) return { parts, complete: true, blockers: [], findings: [] };
  const blockers = blockersOf(gpu, inTheWay(situation, held), holders);
  const missing = missingAfter(names, parts);
  const reason =
    missing.size === 0
      ? "the wanted layout has no place for it"
      : `until it is free ${countsText(missing)} cannot be created`;
  const findings = blockers.map((blocker) => inUse(gpu, blocker, reason));
  return { parts, complete: false, blockers, findings };
}

/**
 * What stands, if exactly the wanted devices do, without GPU instances that hold none.
 *
 * Only names and counts are compared, as NVIDIA mig-parted does (MigConfig.Equals): devices that are dealt out to GPU
 * instances in another way than they would be created now are not rebuilt.
 */
function standingChoice(situation: Situation): Choice | undefined {
  const { space, standing, wanted } = situation;
  const counts = standingCounts(space, standing);
  const same = counts.every((kinds, profile) => kinds.every((count, kind) => count === (wanted[profile]?.[kind] ?? 0)));
  if (!same) return undefined;
  const filled = standing.filter(({ instance }) => instance.computeInstances.length > 0);
  const devices = filled.reduce((sum, { instance }) => sum + instance.computeInstances.length, 0);
  const untouched: Content = { counts: [], destroyed: [], created: [] };
  return {
    target: filled.reduce((mask, { slot }) => mask | (1 << slot), 0),
    stood: devices,
    devices,
    contents: new Map(filled.map(({ slot }) => [slot, untouched])),
  };
}
