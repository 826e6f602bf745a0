/**
 * The catalogue of GPU models: every model and MIG layout that public sources tell.
 *
 * What people type is looked up in `catalogue-search.ts`.
 */
import { type IncompleteModel, readIncompleteModels, readModels } from "./catalogue-data.ts";
import type { GpuModel, MigProfile } from "./model.ts";

const models = readModels();
const incomplete = readIncompleteModels();
const byId = new Map(models.map((model) => [model.id, model]));

/** All models, with the aliases (other product names for the same layout and figures) after them. */
export function catalogue(): readonly GpuModel[] {
  return models;
}

/** The MIG-capable models whose layout nobody has published. */
export function incompleteModels(): readonly IncompleteModel[] {
  return incomplete;
}

/** The model with this catalogue id, for example `a100-sxm4-80gb`. */
export function modelById(id: string): GpuModel | undefined {
  return byId.get(id);
}

/** The model with exactly this NVML name, current or former. */
export function modelByNvmlName(name: string): GpuModel | undefined {
  return models.find((model) => model.nvmlName === name || model.otherNvmlNames.includes(name));
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
  const candidates = models.filter((model) => model.pciDeviceIds.includes(device));
  if (candidates.length < 2) return candidates[0];
  return candidates.find((model) => model.pciSubsystemIds.includes(pciSubsystemId?.toUpperCase() ?? ""));
}

/** Memory of one instance: what NVML reports, or the arithmetic share, an upper bound, where no source tells. */
export function instanceMemoryMiB(profile: MigProfile): number {
  return profile.memoryMiB ?? profile.memoryMiBShare;
}
