/**
 * What stands on a node's GPUs as a mig-parted file, so that applying it anywhere alike gives the same devices.
 *
 * The form is that of NVIDIA mig-parted's own export (cmd/nvidia-mig-parted/export/export.go): GPUs alike share an
 * entry, `device-filter` is there only where the node has several GPU types, `devices: all` where an entry has them all.
 */
import type { Gpu } from "../gpu/index.ts";
import { deviceFilterOf } from "./device-filter.ts";

/** A mig-parted file with one named config; plain values, fit for YAML and JSON. */
export interface ExportedMigFile {
  readonly version: "v1";
  readonly "mig-configs": Readonly<Record<string, readonly ExportedEntry[]>>;
}

interface ExportedEntry {
  readonly "device-filter"?: string | readonly string[];
  readonly devices: "all" | readonly number[];
  readonly "mig-enabled": boolean;
  readonly "mig-devices": Readonly<Record<string, number>>;
}

/** GPUs of one type that are in the same state. */
interface Alike {
  readonly filter: string;
  readonly devices: "all" | readonly number[];
  readonly migEnabled: boolean;
  readonly migDevices: Readonly<Record<string, number>>;
}

/** The config `name` that describes `gpus`; compute instances are what is counted, and MIG off is written out too. */
export function exportedMigFile(gpus: readonly Gpu[], name: string): ExportedMigFile {
  const types = Map.groupBy(gpus, (gpu) => deviceFilterOf(gpu.pci));
  const alike = [...types].flatMap(([filter, some]) => statesOf(filter, some));
  const wholeTypes = Map.groupBy(alike, (one) =>
    one.devices === "all" ? stateKey(one) : JSON.stringify([one.filter, one.devices]),
  );
  const entries = [...wholeTypes.values()].map((some) => entryOf(some, types.size > 1));
  return { version: "v1", "mig-configs": { [name]: entries } };
}

function statesOf(filter: string, gpus: readonly Gpu[]): readonly Alike[] {
  const states = gpus.map((gpu) => {
    const migEnabled = gpu.mig?.current ?? false;
    return { filter, index: gpu.index, migEnabled, migDevices: devicesOf(gpu) };
  });
  const groups = [...Map.groupBy(states, stateKey).values()];
  return groups.flatMap((some) => {
    const [first] = some;
    if (first === undefined) return [];
    const devices = groups.length === 1 ? "all" : some.map(({ index }) => index);
    return [{ filter, devices, migEnabled: first.migEnabled, migDevices: first.migDevices }];
  });
}

function entryOf(some: readonly Alike[], filtered: boolean): ExportedEntry {
  const [first] = some;
  const filters = some.map(({ filter }) => filter).sort();
  return {
    ...(filtered ? { "device-filter": filters.length === 1 ? (filters[0] ?? "") : filters } : {}),
    devices: first?.devices ?? "all",
    "mig-enabled": first?.migEnabled ?? false,
    "mig-devices": first?.migDevices ?? {},
  };
}

/** Names in the order of their places; a GPU instance without a compute instance has no device and does not count. */
function devicesOf({ instances }: Gpu): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { profile } of instances.flatMap((one) => one.computeInstances)) {
    counts[profile] = (counts[profile] ?? 0) + 1;
  }
  return counts;
}

function stateKey({ migEnabled, migDevices }: Pick<Alike, "migEnabled" | "migDevices">): string {
  return JSON.stringify([migEnabled, Object.entries(migDevices).sort()]);
}
