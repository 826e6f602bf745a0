/**
 * The device files a container needs for a GPU or MIG device, as the kernel module lists them (NVIDIA
 * open-gpu-kernel-modules, nv-caps.c and nv-procfs.c).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface DeviceNode {
  /** As a container sees it, `/dev/nvidia0`. */
  readonly path: string;
  /** `undefined` where /proc/devices does not list the driver. */
  readonly major: number | undefined;
  readonly minor: number;
}

/** Fixed for the GPUs and the control device. */
const nvidiaMajor = 195;
const controlMinor = 255;

/** Of a whole GPU: the control device, unified memory, and the GPU itself. */
export async function gpuNodes(root: string, gpuMinor: number): Promise<readonly DeviceNode[]> {
  const majors = await characterMajors(root);
  const uvm = majors.get("nvidia-uvm");
  return [
    { path: "/dev/nvidiactl", major: nvidiaMajor, minor: controlMinor },
    { path: "/dev/nvidia-uvm", major: uvm, minor: 0 },
    { path: "/dev/nvidia-uvm-tools", major: uvm, minor: 1 },
    { path: `/dev/nvidia${gpuMinor}`, major: nvidiaMajor, minor: gpuMinor },
  ];
}

/** Of a MIG device beside its GPU's: the rights to use the GPU instance and the compute instance. */
export async function capabilityNodes(
  root: string,
  gpuMinor: number,
  instance: { readonly gpuInstanceId: number; readonly computeInstanceId: number },
): Promise<readonly DeviceNode[]> {
  const major = (await characterMajors(root)).get("nvidia-caps");
  const { gpuInstanceId, computeInstanceId } = instance;
  const nodes: DeviceNode[] = [];
  for (const name of [`gi${gpuInstanceId}/access`, `gi${gpuInstanceId}/ci${computeInstanceId}/access`]) {
    const minor = await capabilityMinor(root, `gpu${gpuMinor}/mig/${name}`);
    if (minor !== undefined) nodes.push({ path: `/dev/nvidia-caps/nvidia-cap${minor}`, major, minor });
  }
  return nodes;
}

/** Minor numbers by name, `gpu0/gi1/ci0/access`: the static table of all that can ever be; empty without a driver. */
export async function migMinors(root: string): Promise<ReadonlyMap<string, number>> {
  const text = await maybeRead(join(root, "proc/driver/nvidia-caps/mig-minors"));
  const pairs = text.split("\n").flatMap((line) => {
    const [name = "", minor = ""] = line.trim().split(/\s+/);
    return /^[0-9]+$/.test(minor) ? [[name, Number(minor)] as const] : [];
  });
  return new Map(pairs);
}

/** From the three lines of a capability file; `name` is below `/proc/driver/nvidia/capabilities`. */
async function capabilityMinor(root: string, name: string): Promise<number | undefined> {
  const text = await maybeRead(join(root, "proc/driver/nvidia/capabilities", name));
  const minor = /^DeviceFileMinor:\s*([0-9]+)/m.exec(text)?.[1];
  if (minor !== undefined) return Number(minor);
  return (await migMinors(root)).get(name.replace("/mig/", "/"));
}

/** The character section of /proc/devices; block devices follow it with numbers of their own. */
async function characterMajors(root: string): Promise<ReadonlyMap<string, number>> {
  const text = await maybeRead(join(root, "proc/devices"));
  const [characters = ""] = text.split(/^Block devices:/m);
  const lines = characters.split("\n").flatMap((line) => {
    const match = /^\s*([0-9]+)\s+(\S+)/.exec(line);
    return match === null ? [] : [[match[2] ?? "", Number(match[1])] as const];
  });
  return new Map(lines);
}

async function maybeRead(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return "";
  }
}
