/**
 * The catalogue of GPU models: every model and MIG layout that public sources tell.
 *
 * What people type is looked up in `catalogue-search.ts`.
 */
import { type CatalogueEntry, type IncompleteModel, readEntries, readIncompleteModels } from "./catalogue-data.ts";
import type { GpuModel, MigProfile } from "./model.ts";

const entries = readEntries();
const incomplete = readIncompleteModels();
const byId = new Map(entries.map((entry) => [entry.id, entry]));

/** What every model is found by, with the aliases (other product names for the same layout and figures) at the end. */
export function catalogueEntries(): readonly CatalogueEntry[] {
  return entries;
}

/** All models, in the same order. */
export function catalogue(): readonly GpuModel[] {
  return entries.map((entry) => entry.model());
}

/** The MIG-capable models whose layout nobody has published. */
export function incompleteModels(): readonly IncompleteModel[] {
  return incomplete;
}

/** The model with this catalogue id, for example `a100-sxm4-80gb`. */
export function modelById(id: string): GpuModel | undefined {
  return byId.get(id)?.model();
}

/** The model with exactly this NVML name, current or former. */
export function modelByNvmlName(name: string): GpuModel | undefined {
  return entries.find((entry) => entry.nvmlName === name || entry.otherNvmlNames.includes(name))?.model();
}

/** What tells a model on a real machine. */
export interface ModelEvidence {
  /** The product name NVML reports. */
  readonly name: string;
  /** Hexadecimal PCI device and subsystem device ids, if known. */
  readonly pciDeviceId?: string;
  readonly pciSubsystemId?: string;
}

/**
 * The model of a GPU: by its NVML name, else by PCI device id, and by subsystem where two products share that.
 *
 * A known name on a card that is listed as incomplete is not believed: a GB300 of a DGX Station calls itself like the
 * one of the data centre and is cut differently.
 */
export function modelOf({ name, pciDeviceId, pciSubsystemId }: ModelEvidence): GpuModel | undefined {
  const device = pciDeviceId?.toUpperCase();
  const named = modelByNvmlName(name);
  if (device === undefined) return named;
  if (named !== undefined) {
    const other = incomplete.some((one) => one.nvmlName === name && one.pciDeviceIds.includes(device));
    return other ? undefined : named;
  }
  const candidates = entries.filter((entry) => entry.pciDeviceIds.includes(device));
  if (candidates.length < 2) return candidates[0]?.model();
  return candidates.find((entry) => entry.pciSubsystemIds.includes(pciSubsystemId?.toUpperCase() ?? ""))?.model();
}

/** Memory of one instance: what NVML reports, or the arithmetic share, an upper bound, where no source tells. */
export function instanceMemoryMiB(profile: MigProfile): number {
  return profile.memoryMiB ?? profile.memoryMiBShare;
}
