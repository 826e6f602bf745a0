/**
 * PCI filters of mig-parted files: `0x<device><vendor>`, optionally `:0x<subsystem device><subsystem vendor>`
 * (NVIDIA mig-parted pkg/types/device.go).
 */
import type { PciAddress } from "../gpu/index.ts";

/** Four 16-bit ids; the subsystem pair only when the filter has one. */
export interface DeviceFilter {
  readonly device: number;
  readonly vendor: number;
  readonly subsystem: { readonly device: number; readonly vendor: number } | undefined;
}

/** Reads a filter; `undefined` for one that cannot be read, which matches no GPU. */
export function parseDeviceFilter(text: string): DeviceFilter | undefined {
  const parts = text.split(":");
  const main = parseUnsigned32(parts[0] ?? "");
  if (parts.length > 2 || main === undefined) return undefined;
  const { high: device, low: vendor } = halves(main);
  if (parts[1] === undefined) return { device, vendor, subsystem: undefined };
  const second = parseUnsigned32(parts[1]);
  if (second === undefined) return undefined;
  const { high, low } = halves(second);
  return { device, vendor, subsystem: { device: high, vendor: low } };
}

/** Whether a GPU with these PCI ids passes one of the filters; no filters at all let every GPU pass. */
export function filtersMatch(filters: readonly string[], pci: PciAddress): boolean {
  if (filters.length === 0) return true;
  return filters.some((text) => {
    const filter = parseDeviceFilter(text);
    return filter !== undefined && filterMatches(filter, pci);
  });
}

/** The filter that matches exactly the model of a GPU with these PCI ids. */
export function deviceFilterOf(pci: PciAddress): string {
  return `0x${pci.deviceId}${pci.vendorId}`.toUpperCase().replace("0X", "0x");
}

/** The subsystem counts only if the filter has one. */
function filterMatches(filter: DeviceFilter, pci: PciAddress): boolean {
  if (filter.device !== hex(pci.deviceId) || filter.vendor !== hex(pci.vendorId)) return false;
  if (filter.subsystem === undefined) return true;
  return (
    filter.subsystem.device === hex(pci.subsystemDeviceId) && filter.subsystem.vendor === hex(pci.subsystemVendorId)
  );
}

/** Go's strconv.ParseUint with automatic base and 32 bits. */
function parseUnsigned32(text: string): number | undefined {
  const underscored = /^0[xXbBoO]?_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*$|^[1-9][0-9]*(?:_[0-9]+)*$/.test(text);
  if (!underscored) return undefined;
  const digits = text.replaceAll("_", "").replace(/^0(?=[0-7]+$)/, "0o");
  const value = Number(digits);
  return Number.isInteger(value) && value <= 0xffff_ffff ? value : undefined;
}

function halves(value: number): { readonly high: number; readonly low: number } {
  return { high: Math.floor(value / 0x1_0000), low: value % 0x1_0000 };
}

function hex(id: string): number {
  return Number.parseInt(id, 16);
}
