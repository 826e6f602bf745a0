/**
 * The best layout to go to, found exactly: every layout the GPU can have is looked at.
 *
 * Best is, in this order: most of the wanted devices stand afterwards, fewest GPU instances, fewest driver calls, and
 * then the order of the layout space (most of the GPU left usable, low starts). What is held is in every candidate.
 */
import { bitCount } from "../gpu/index.ts";
import { mixedChoice } from "./choice-mixed.ts";
import { holdsWanted, plainChoice } from "./choice-plain.ts";
import { type Choice, type HeldDevice, isWhole, type Situation } from "./situation.ts";

/** The best layout that keeps all of `held`. There always is one: the layout of what is held. */
export function bestChoice(situation: Situation, held: readonly HeldDevice[]): Choice {
  return isPlain(situation) ? plainChoice(situation, held) : mixedChoice(situation, held);
}

/** Whether all wanted devices and no others stand after `choice`. */
export function isComplete(situation: Situation, choice: Choice): boolean {
  return choice.stood === choice.devices && choice.stood === wantedDevices(situation);
}

/** How many devices are wanted in all. */
export function wantedDevices({ wanted }: Situation): number {
  return wanted.reduce((sum, kinds) => kinds.reduce((so, count) => so + count, sum), 0);
}

/**
 * The smallest part of `held` that has to go before the wanted layout can stand, the first of equals in the order of
 * `held`. Empty when nothing held is in the way.
 */
export function inTheWay(situation: Situation, held: readonly HeldDevice[]): readonly HeldDevice[] {
  const subsets = Array.from({ length: 1 << held.length }, (_, mask) => mask).sort(
    (a, b) => bitCount(a) - bitCount(b) || a - b,
  );
  for (const subset of subsets) {
    const staying = held.filter((_, index) => (subset & (1 << index)) === 0);
    if (!exceeds(situation, staying) && canComplete(situation, staying)) {
      return held.filter((_, index) => (subset & (1 << index)) !== 0);
    }
  }
  return held;
}

function canComplete(situation: Situation, held: readonly HeldDevice[]): boolean {
  return isPlain(situation) ? holdsWanted(situation, held) : isComplete(situation, mixedChoice(situation, held));
}

/** Only devices that take their GPU instance whole are wanted, and no GPU instance that stands is cut further. */
function isPlain({ wanted, standing }: Situation): boolean {
  return (
    wanted.every((kinds) => kinds.every((count, kind) => count === 0 || kind === kinds.length - 1)) &&
    standing.every(({ instance }) => instance.computeInstances.length === 0 || isWhole(instance))
  );
}

/** Whether `held` has more of some device than is wanted of it, so that the wanted layout cannot contain it. */
function exceeds({ space, wanted }: Situation, held: readonly HeldDevice[]): boolean {
  return held.some(({ standing: { slot, instance }, device }) => {
    const kind = instance.profile.computeInstanceProfiles.findIndex(({ name }) => name === device.profile);
    const same = held.filter(
      (one) => one.standing.instance.profile === instance.profile && one.device.profile === device.profile,
    );
    return same.length > (wanted[space.slotProfiles[slot] ?? 0]?.[kind] ?? 0);
  });
}
