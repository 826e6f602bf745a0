/** Directories, devices and backends for the tests of this room. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { DevicePluginBackend, PluginDevice, ResourceOffer } from "../../../src/kubelet/index.ts";

/** A directory of its own for a test, with a path short enough for sockets. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tr-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Devices from ids; a leading `!` marks an unhealthy one. */
export function devicesOf(ids: string): readonly PluginDevice[] {
  return ids
    .split(" ")
    .filter((id) => id !== "")
    .map((id) => ({ id: id.replace("!", ""), healthy: !id.startsWith("!"), numaNode: undefined }));
}

/** Hands out what is asked for, names it in the environment, and prefers the last ids. */
export const plainBackend: DevicePluginBackend = {
  preferredAllocation: ({ available, size }) => available.slice(-size),
  allocate: (ids) => ({
    envs: { NVIDIA_VISIBLE_DEVICES: ids.join(",") },
    mounts: [],
    devices: [],
    annotations: {},
    cdiDevices: [],
  }),
};

/** `{ "nvidia.com/gpu": "GPU-a !GPU-b" }` as an offer. */
export function offersOf(resources: Readonly<Record<string, string>>): ReadonlyMap<string, ResourceOffer> {
  return new Map(
    Object.entries(resources).map(([name, ids]) => [name, { devices: devicesOf(ids), backend: plainBackend }]),
  );
}
