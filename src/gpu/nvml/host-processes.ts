/**
 * What the host's /proc tells of a process: its command, its container and pod, and which of them hold a device file.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Where a process runs; `undefined` where it is in no container, or /proc does not tell. */
export interface ProcessOrigin {
  readonly containerId: string | undefined;
  readonly podUid: string | undefined;
}

/** A process that keeps a GPU in use. */
export interface GpuHolder extends ProcessOrigin {
  readonly pid: number;
  readonly command: string;
}

/** Longer command lines are cut. */
const longestCommand = 120;

/** `/proc/<pid>/cmdline` in one line, else the short name; `undefined` when there is no such process. */
export async function commandOf(root: string, pid: number): Promise<string | undefined> {
  const line = await maybeRead(join(root, "proc", String(pid), "cmdline"));
  const command =
    line
      ?.split("\0")
      .filter((word) => word !== "")
      .join(" ") ?? "";
  if (command !== "") return command.slice(0, longestCommand);
  return (await maybeRead(join(root, "proc", String(pid), "comm")))?.trim() || undefined;
}

/** Container and pod of a process, from its control groups. */
export async function originOf(root: string, pid: number): Promise<ProcessOrigin> {
  return originIn((await maybeRead(join(root, "proc", String(pid), "cgroup"))) ?? "");
}

const podForm = /pod([0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}|[0-9a-f]{32})/g;
const containerForm = /[0-9a-f]{64}/g;

/**
 * Container and pod in the text of `/proc/<pid>/cgroup`: the kubelet's cgroupfs driver writes `pod<uid>/<id>`, its
 * systemd driver `kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope` (kubernetes, pkg/kubelet/cm). Of
 * several the last counts: clusters in containers nest them. Static pods have a hash instead of a UID.
 */
export function originIn(cgroups: string): ProcessOrigin {
  const pod = [...cgroups.matchAll(podForm)].at(-1)?.[1];
  return {
    containerId: [...cgroups.matchAll(containerForm)].at(-1)?.[0],
    podUid: pod?.replaceAll("_", "-"),
  };
}

/** `python train.py (pid 4711, pod 0f6c…, container 9a1b2c3d4e5f)`. */
export function holderText({ pid, command, podUid, containerId }: GpuHolder): string {
  const pod = podUid === undefined ? "" : `, pod ${podUid}`;
  const container = containerId === undefined ? "" : `, container ${containerId.slice(0, 12)}`;
  return `${command} (pid ${pid}${pod}${container})`;
}

/** Processes that have the device file open: whoever talks to the GPU at all, monitoring agents included. */
export async function holdersOfFile(root: string, path: string): Promise<readonly GpuHolder[]> {
  const holders: GpuHolder[] = [];
  for (const name of await maybeList(join(root, "proc"))) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const directory = join(root, "proc", name, "fd");
    for (const file of await maybeList(directory)) {
      if ((await maybeLink(join(directory, file))) !== path) continue;
      holders.push({ pid, command: (await commandOf(root, pid)) ?? "?", ...(await originOf(root, pid)) });
      break;
    }
  }
  return holders;
}

async function maybeRead(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

async function maybeList(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch {
    return [];
  }
}

async function maybeLink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch {
    return undefined;
  }
}
