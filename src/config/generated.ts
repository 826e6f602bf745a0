/**
 * The mig-parted configs a node has when nobody wrote any: made from what its GPUs can be cut into.
 *
 * Names and rules are those of NVIDIA mig-parted's own generator (pkg/mig/builder/builder.go, balanced.go), so that
 * `nvidia.com/mig.config=all-balanced` means the same here.
 */
import type { Place } from "../base/index.ts";
import type { Gpu, MigProfile } from "../gpu/index.ts";
import { deviceFilterOf } from "./device-filter.ts";
import type { MigConfig, MigConfigEntry, MigPartedFile } from "./types.ts";

const place: Place = { file: "generated from the node's GPUs", line: 1, column: 1 };

/** GPUs of one PCI device id; NVIDIA's generator tells types apart no further. */
interface GpuType {
  readonly filter: string;
  readonly profiles: readonly MigProfile[];
}

/** How many instances of how many compute slices make a balanced GPU, by the GPU's compute slices. */
const balancedCuts: ReadonlyMap<number, readonly (readonly [computeSlices: number, count: number])[]> = new Map([
  [
    7,
    [
      [1, 2],
      [2, 1],
      [3, 1],
    ],
  ],
  [
    4,
    [
      [1, 2],
      [2, 1],
    ],
  ],
]);

/** `all-disabled`, `all-enabled`, `all-<profile>` for each profile, and `all-balanced` where that is defined. */
export function generatedMigConfigs(gpus: readonly Gpu[]): MigPartedFile {
  const types = gpuTypes(gpus);
  const configs = [
    config("all-disabled", [entry([], false, new Map())]),
    config("all-enabled", [entry([], true, new Map())]),
    ...profileConfigs(types),
    ...balancedConfig(types),
  ];
  return { configs: new Map(configs.map((one) => [one.name, one])), place };
}

function gpuTypes(gpus: readonly Gpu[]): readonly GpuType[] {
  const capable = gpus.filter((gpu) => gpu.mig !== undefined && gpu.profiles.length > 0);
  const byFilter = new Map(capable.map((gpu) => [deviceFilterOf(gpu.pci), gpu.profiles]));
  return [...byFilter].map(([filter, profiles]) => ({ filter, profiles }));
}

/** Types with the same count share an entry; a node of one type needs no filter. */
function profileConfigs(types: readonly GpuType[]): readonly MigConfig[] {
  const names = [...new Set(types.flatMap((type) => type.profiles.map((profile) => profile.name)))];
  return names.map((name) => {
    const withProfile = types.filter((type) => type.profiles.some((profile) => profile.name === name));
    const byCount = Map.groupBy(withProfile, (type) => countOf(type, name));
    const entries = [...byCount].map(([count, some]) => entry(filtersOf(some, types), true, new Map([[name, count]])));
    return config(`all-${name.replaceAll("+", ".")}`, entries);
  });
}

function balancedConfig(types: readonly GpuType[]): readonly MigConfig[] {
  const entries = types.flatMap((type) => {
    const counts = balancedCounts(type);
    return counts === undefined ? [] : [entry(filtersOf([type], types), true, counts)];
  });
  return entries.length === 0 ? [] : [config("all-balanced", entries)];
}

function balancedCounts({ profiles }: GpuType): ReadonlyMap<string, number> | undefined {
  const plain = profiles.filter((profile) => profile.attributes.length === 0);
  const cut = balancedCuts.get(Math.max(0, ...plain.map((profile) => profile.computeSlices)));
  if (cut === undefined) return undefined;
  const counts = new Map<string, number>();
  for (const [computeSlices, count] of cut) {
    const [most] = plain
      .filter((profile) => profile.computeSlices === computeSlices)
      .toSorted((a, b) => b.maxInstances - a.maxInstances);
    if (most === undefined) return undefined;
    counts.set(most.name, count);
  }
  return counts;
}

function countOf(type: GpuType, name: string): number {
  return type.profiles.find((profile) => profile.name === name)?.maxInstances ?? 0;
}

function filtersOf(some: readonly GpuType[], all: readonly GpuType[]): readonly string[] {
  return all.length === 1 ? [] : some.map((type) => type.filter).sort();
}

function entry(
  deviceFilter: readonly string[],
  migEnabled: boolean,
  migDevices: ReadonlyMap<string, number>,
): MigConfigEntry {
  return { deviceFilter, devices: "all", migEnabled, migDevices, place, placeOf: () => place };
}

function config(name: string, entries: readonly MigConfigEntry[]): MigConfig {
  return { name, entries, place };
}
