/**
 * The planner's slow and obvious twin: looks at every valid layout as a set of `profile@start` names.
 */
import { type Gpu, type Layout, placedName, profileCounts } from "../../../src/gpu/index.ts";

export interface SlowAnswer {
  /** Destroy and create operations to the nearest layout with exactly the wanted counts; `undefined` if none keeps all held. */
  readonly operations: number | undefined;
  /** The most wanted instances that can stand beside the held ones. */
  readonly mostStanding: number;
  /** The fewest operations to a layout where so many stand. */
  readonly operationsToMost: number;
  /** How many held instances have to go at least before the wanted layout can stand. */
  readonly fewestInTheWay: number;
}

/** `layouts` are all layouts of the GPU, the empty one included. Every instance has one device that takes it whole. */
export function slowAnswer(
  layouts: readonly Layout[],
  gpu: Gpu,
  { wanted, held }: { readonly wanted: ReadonlyMap<string, number>; readonly held: ReadonlySet<string> },
): SlowAnswer {
  const current = new Set(gpu.instances.map(({ profile, placement }) => `${profile.name}@${placement.start}`));
  const heldCounts = new Map<string, number>();
  for (const name of held) add(heldCounts, name.slice(0, name.indexOf("@")));
  let operations = Number.POSITIVE_INFINITY;
  let most = { standing: -1, operations: Number.POSITIVE_INFINITY };
  let fewestInTheWay = Number.POSITIVE_INFINITY;
  for (const layout of layouts) {
    const names = new Set(layout.map(placedName));
    const counts = profileCounts(layout);
    const exact = counts.size === wanted.size && [...wanted].every(([name, count]) => counts.get(name) === count);
    if (exact) fewestInTheWay = Math.min(fewestInTheWay, [...held].filter((name) => !names.has(name)).length);
    if (![...held].every((name) => names.has(name))) continue;
    const shared = [...names].filter((name) => current.has(name)).length;
    const cost = names.size + current.size - 2 * shared;
    if (exact) operations = Math.min(operations, cost);
    if ([...counts].some(([name, count]) => count > Math.max(wanted.get(name) ?? 0, heldCounts.get(name) ?? 0)))
      continue;
    const standing = [...counts].reduce((sum, [name, count]) => sum + Math.min(count, wanted.get(name) ?? 0), 0);
    if (standing > most.standing || (standing === most.standing && cost < most.operations)) {
      most = { standing, operations: cost };
    }
  }
  return {
    operations: Number.isFinite(operations) ? operations : undefined,
    mostStanding: most.standing,
    operationsToMost: most.operations,
    fewestInTheWay,
  };
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
