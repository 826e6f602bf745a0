/** Points for the link between two GPUs, as NVIDIA go-gpuallocator internal/links/device.go counts them. */
import type { GpuLink } from "../gpu/index.ts";

/** NVML's levels of common ancestor, from the same board to different CPUs. */
const ancestorPoints: Readonly<Record<GpuLink["ancestor"], number>> = {
  internal: 60,
  single: 50,
  multiple: 40,
  hostbridge: 30,
  node: 20,
  system: 10,
};

/** NVIDIA counts no more than 18 NVLinks of a pair. */
const countedNvlinks = 18;

/** PCIe points plus 100 for each direct NVLink; links through an NVSwitch are not direct and count nothing. */
export function linkScore(link: GpuLink): number {
  return ancestorPoints[link.ancestor] + 100 * Math.min(link.nvlinks, countedNvlinks);
}
