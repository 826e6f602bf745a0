/**
 * `tranche gpus layouts`: the mixes of slices that a GPU can have, filtered by what somebody needs.
 */
import {
  containsCounts,
  distinctCounts,
  type Gpu,
  type GpuModel,
  type Layout,
  type MigGeometry,
  maximalLayouts,
  type ProfileCounts,
  profileCounts,
  validLayouts,
} from "../../gpu/index.ts";
import { geometryOf } from "../../partition/index.ts";
import { table } from "../table.ts";

export interface LayoutQuestion {
  /** Mixes that have at least these, profile to count. */
  readonly holding: ProfileCounts;
  /** Only mixes to which nothing can be added. */
  readonly full: boolean;
  /** Only mixes that can be reached without destroying what stands. */
  readonly keep: boolean;
}

/** What the mixes of a GPU are asked of; a model of the catalogue has nothing standing. */
export interface LayoutSubject {
  readonly name: string;
  readonly geometry: MigGeometry | undefined;
  readonly standing: Layout;
}

export function subjectOfGpu(gpu: Gpu): LayoutSubject {
  return { name: `GPU ${gpu.index} (${gpu.name})`, geometry: geometryOf(gpu), standing: standingLayout(gpu) };
}

/** What stands on a GPU, as a layout. */
export function standingLayout({ instances }: Gpu): Layout {
  return instances.map(({ profile, placement }) => ({ profile, start: placement.start }));
}

export function subjectOfModel({ nvmlName, mig }: GpuModel): LayoutSubject {
  return { name: nvmlName, geometry: mig, standing: [] };
}

/** One mix, with one way to place it. */
export interface LayoutRow {
  readonly counts: Readonly<Record<string, number>>;
  /** `3g.40gb@4, 1g.10gb@0`. */
  readonly placements: string;
  readonly memorySlices: number;
  readonly computeSlices: number;
}

/** The mixes that answer the question, those that use most of the GPU first. */
export function layoutRows({ geometry, standing }: LayoutSubject, question: LayoutQuestion): readonly LayoutRow[] {
  if (geometry === undefined) return [];
  const layouts = (question.full ? maximalLayouts(geometry) : validLayouts(geometry)).filter(
    (layout) =>
      containsCounts(profileCounts(layout), question.holding) && (!question.keep || contains(layout, standing)),
  );
  const byMix = new Map<string, Layout>();
  for (const layout of layouts) {
    const key = keyOf(profileCounts(layout));
    if (!byMix.has(key)) byMix.set(key, layout);
  }
  const rows = distinctCounts(layouts).map((counts) => rowOf(counts, byMix.get(keyOf(counts)) ?? []));
  return rows.sort((a, b) => b.computeSlices - a.computeSlices || b.memorySlices - a.memorySlices);
}

function rowOf(counts: ProfileCounts, layout: Layout): LayoutRow {
  const placed = layout.toSorted((a, b) => a.start - b.start);
  const sum = (of: (one: Layout[number]) => number): number => layout.reduce((total, one) => total + of(one), 0);
  return {
    counts: Object.fromEntries(counts),
    placements: placed.map(({ profile, start }) => `${profile.name}@${start}`).join(", "),
    memorySlices: sum(({ profile }) => profile.memorySlices),
    computeSlices: sum(({ profile }) => profile.computeSlices),
  };
}

/** Mixes as a table, for one GPU or model. */
export function layoutsText({ name, geometry }: LayoutSubject, rows: readonly LayoutRow[]): string {
  if (geometry === undefined) return `${name}: cannot be cut`;
  const head = `${name}: ${rows.length} ${rows.length === 1 ? "layout" : "layouts"}`;
  if (rows.length === 0) return head;
  const { computeSlices, memorySlices } = geometry;
  const cells = rows.map((row) => [
    Object.entries(row.counts)
      .map(([profile, count]) => `${count} x ${profile}`)
      .join(", "),
    `${row.computeSlices}/${computeSlices}`,
    `${row.memorySlices}/${memorySlices}`,
    row.placements,
  ]);
  return `${head}\n${table(["SLICES", "COMPUTE", "MEMORY", "FOR EXAMPLE AT"], cells)}`;
}

function contains(layout: Layout, part: Layout): boolean {
  return part.every(({ profile, start }) =>
    layout.some((one) => one.start === start && one.profile.smiProfileId === profile.smiProfileId),
  );
}

function keyOf(counts: ProfileCounts): string {
  return JSON.stringify([...counts].sort());
}
