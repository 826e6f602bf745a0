/**
 * Where the simulated GPUs of a node sit and how they are linked: plausible boards, not measured ones.
 *
 * GPUs come in pairs under one PCIe switch, and a node with more than four has two sockets. NVLink follows the product:
 * up to four SXM boards are meshed directly; more go through NVSwitch, which NVML shows as no direct link between two
 * GPUs (but eight V100, which are wired as a cube); PCIe cards are bridged in pairs.
 */
import type { GpuLink, PciAddress } from "../driver.ts";
import type { GpuModel } from "../model.ts";

/** A GPU's seat in its node. */
export interface Seat {
  readonly model: GpuModel;
  readonly index: number;
  /** Whether MIG is on, which switches NVLink between GPUs off. */
  readonly migOn: boolean;
}

/** The PCI address of the GPU at `index`. */
export function pciAddressOf(model: GpuModel, index: number): PciAddress {
  const bus = 0x07 + pairOf(index) * 0x20 + (index % 2) * 4;
  return {
    busId: `${hex(bus >> 8, 4)}:${hex(bus & 0xff, 2)}:00.0`,
    deviceId: model.pciDeviceIds[0] ?? "0000",
    vendorId: "10DE",
    subsystemDeviceId: model.pciSubsystemIds[0] ?? "0000",
    subsystemVendorId: "10DE",
  };
}

/** `030000` for boards that drive displays, which are made for workstations and desks, `030200` for all others. */
export function pciClassOf({ nvmlName }: GpuModel): string {
  return /GeForce|RTX (?!PRO .*Server)/.test(nvmlName) ? "030000" : "030200";
}

/** The NUMA node of the GPU at `index` of `count` GPUs: up to four sit on one socket, more on two. */
export function numaNodeOf(index: number, count: number): number {
  return Math.floor(index / Math.max(4, Math.ceil(count / 2)));
}

/** The link between two seats of a node whose GPUs are `seats`. */
export function linkBetween(a: Seat, b: Seat, seats: readonly Seat[]): GpuLink {
  const numaNode = (seat: Seat): number => numaNodeOf(seat.index, seats.length);
  const sameSocket = numaNode(a) === numaNode(b) ? "node" : "system";
  const ancestor = pairOf(a.index) === pairOf(b.index) ? "single" : sameSocket;
  const linkable = a.model.id === b.model.id && a.model.nvlink && !a.migOn && !b.migOn;
  return { ancestor, nvlinks: linkable ? nvlinksBetween(a, b, seats) : 0 };
}

/** NVLinks of one GPU, by the start of the model's id (NVIDIA data sheets: bandwidth over bandwidth per link). */
const nvlinksOfModel: readonly (readonly [string, number])[] = [
  ["v100", 6],
  ["a30", 4],
  ["a40", 4],
  ["rtx", 4],
  ["a800", 8],
  ["a100", 12],
  ["h100-pcie", 12],
  ["h100-nvl", 12],
  ["h", 18],
  ["b", 18],
];

/** NVLinks between the GPUs of a DGX-1 with V100: within a quad by position, and to the partner in the other quad. */
const cubeMeshQuad: readonly (readonly number[])[] = [
  [0, 1, 1, 2],
  [1, 0, 2, 1],
  [1, 2, 0, 2],
  [2, 1, 2, 0],
];
const cubeMeshPartner: readonly number[] = [2, 2, 1, 1];

function nvlinksBetween(a: Seat, b: Seat, seats: readonly Seat[]): number {
  const { id, nvlinkNote = "", aliasOf } = a.model;
  const links = nvlinksOfModel.find(([start]) => (aliasOf ?? id).startsWith(start))?.[1] ?? 0;
  if (nvlinkNote.includes("bridge")) return pairOf(a.index) === pairOf(b.index) ? links : 0;
  if (nvlinkNote.includes("C2C")) return 0;
  const peers = seats.filter((seat) => seat.model.id === id).length - 1;
  if (peers <= 3) return Math.floor(links / peers);
  return id.startsWith("v100") ? cubeMeshLinks(a.index, b.index) : 0;
}

function cubeMeshLinks(a: number, b: number): number {
  if (a >= 8 || b >= 8) return 0;
  if (a % 4 === b % 4) return cubeMeshPartner[a % 4] ?? 0;
  return Math.floor(a / 4) === Math.floor(b / 4) ? (cubeMeshQuad[a % 4]?.[b % 4] ?? 0) : 0;
}

function pairOf(index: number): number {
  return Math.floor(index / 2);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
