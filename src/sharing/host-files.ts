/**
 * What of a node's files a container with GPUs needs: device files, and the driver's libraries, programs and sockets.
 */
import type { MigMinors } from "./node-device.ts";

/** Files as they are on the node; every path as a container shall see it, whatever root the node keeps it under. */
export interface HostFiles {
  /** Device files that exist: `/dev/nvidiactl`, `/dev/gdrdrv`, `/dev/infiniband/uverbs0`. */
  readonly deviceNodes: ReadonlySet<string>;
  readonly migMinors: MigMinors;
  /** DRM device files by PCI address, `0000:07:00.0` to `/dev/dri/card1` and `/dev/dri/renderD128`. */
  readonly drmNodes: ReadonlyMap<string, readonly string[]>;
  /** The driver's shared libraries: `/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05`. */
  readonly libraries: readonly string[];
  /** The driver's programs and firmware. */
  readonly programs: readonly string[];
  /** Sockets and pipe directories of the driver's daemons. */
  readonly sockets: readonly string[];
  /** What GPUDirect Storage reads beside its devices: `/run/udev`, `/etc/cufile.json`. */
  readonly storageFiles: readonly string[];
}

/** A node that has none of them. */
export const noHostFiles: HostFiles = {
  deviceNodes: new Set(),
  migMinors: new Map(),
  drmNodes: new Map(),
  libraries: [],
  programs: [],
  sockets: [],
  storageFiles: [],
};

/** The device file of an IMEX channel (NVIDIA k8s-device-plugin internal/imex/imex.go). */
export function imexChannelPath(channel: number): string {
  return `/dev/nvidia-caps-imex-channels/channel${channel}`;
}

/** `path` below `root`, which may end with slashes. */
export function under(root: string, path: string): string {
  return `${root.replace(/\/+$/, "")}${path}`;
}
