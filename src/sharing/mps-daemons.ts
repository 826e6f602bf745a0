/**
 * Which MPS control daemons a node needs and what they are told: one for each GPU and each MIG
 * device that is shared by MPS.
 *
 * Arithmetic and commands are those of NVIDIA k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go. That has one daemon
 * for a resource name with one thread percentage for all its GPUs, and names GPUs by index; a daemon that sees its own
 * device only can have the right numbers for it, and calls it 0 wherever it sits.
 */
import { isReplica } from "./isolation.ts";
import type { Device, Offer } from "./types.ts";

/** What one client process may use at most. */
export interface MpsLimits {
  /** Device memory; `undefined` where the device's size is not known, and then nothing limits it. */
  readonly memoryMiB: number | undefined;
  /** Part of the device's threads that it may use. */
  readonly threadPercentage: number;
}

/** One control daemon as it shall run. */
export interface MpsDaemon {
  /** `GPU-…` or `MIG-…`. */
  readonly deviceUuid: string;
  /** The limits of the daemon, which no client can lift: those of the largest part that one container can get. */
  readonly limits: MpsLimits;
  /** How many shares of the device there are, under all names. */
  readonly shares: number;
}

/** The command that asks for the processes of the servers; any daemon that works answers it. */
export const MPS_SERVERS = "get_server_list";

/** The daemons that `offers` need. */
export function mpsDaemons(offers: readonly Offer[]): readonly MpsDaemon[] {
  const parts = offers
    .filter(({ sharing }) => sharing === "mps")
    .flatMap((offer) =>
      [
        ...Map.groupBy(
          offer.devices.filter(({ id }) => isReplica(id)),
          ({ uuid }) => uuid,
        ).values(),
      ].map((devices) => ({ offer, devices })),
    );
  return [...Map.groupBy(parts, ({ devices }) => devices[0]?.uuid ?? "")].map(([deviceUuid, list]): MpsDaemon => {
    const all = list.map(({ offer, devices }) =>
      limitsOf(devices, offer.failRequestsGreaterThanOne ? 1 : devices.length),
    );
    return {
      deviceUuid,
      limits: {
        memoryMiB: largest(all.map(({ memoryMiB }) => memoryMiB)),
        threadPercentage: Math.max(...all.map(({ threadPercentage }) => threadPercentage)),
      },
      shares: list.reduce((sum, { devices }) => sum + devices.length, 0),
    };
  });
}

/** What a client with `count` of the shares of a device in `offer` may use. */
export function mpsShareLimits(offer: Offer, deviceUuid: string, count: number): MpsLimits {
  return limitsOf(
    offer.devices.filter((device) => device.uuid === deviceUuid && isReplica(device.id)),
    count,
  );
}

/** What a new daemon, or one whose limits have changed, is told. Clients of servers that run keep what they have. */
export function mpsLimitCommands({ limits }: MpsDaemon): readonly string[] {
  const { memoryMiB, threadPercentage } = limits;
  const memory = memoryMiB === undefined ? [] : [`set_default_device_pinned_mem_limit 0 ${memoryMiB}M`];
  return [...memory, `set_default_active_thread_percentage ${threadPercentage}`];
}

/** The same for a server that runs: defaults count for servers that start later. */
export function mpsServerCommands({ limits }: MpsDaemon, server: number): readonly string[] {
  const { memoryMiB, threadPercentage } = limits;
  const memory = memoryMiB === undefined ? [] : [`set_device_pinned_mem_limit ${server} 0 ${memoryMiB}M`];
  return [...memory, `set_active_thread_percentage ${server} ${threadPercentage}`];
}

/** Reads the process ids that `get_server_list` and `get_client_list` print, one a line. */
export function mpsProcessIds(answer: string): readonly number[] {
  return answer
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^\d+$/.test(line))
    .map(Number);
}

/** Rounded down, in MiB and in whole percent, as NVIDIA's are. */
function limitsOf(shares: readonly Device[], count: number): MpsLimits {
  const memoryMiB = shares[0]?.memoryMiB ?? 0;
  return {
    memoryMiB: memoryMiB === 0 ? undefined : Math.floor((memoryMiB * count) / shares.length),
    threadPercentage: Math.floor((100 * count) / shares.length),
  };
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === values.length ? Math.max(...known) : undefined;
}
