/**
 * What a node's GPUs are to the kubelet before anything is shared: whole GPUs and MIG devices, in a fixed order.
 *
 * Ids, indexes and paths as in NVIDIA k8s-device-plugin internal/rm/nvml_devices.go and device_map.go.
 */
import type { ComputeInstance, Gpu, GpuInstance } from "../gpu/index.ts";
import type { Device } from "./types.ts";

/** Minor numbers of the MIG capability nodes, by name as `/proc/driver/nvidia-caps/mig-minors` has them. */
export type MigMinors = ReadonlyMap<string, number>;

/** A device with what is needed to name it and to find it by what a configuration calls it. */
export interface NodeDevice {
  readonly device: Device;
  readonly gpu: Gpu;
  /** Position among all devices of the node: by GPU index, then placement. */
  readonly order: number;
  /** Where a MIG device stands; `undefined` for a whole GPU. */
  readonly mig: { readonly instance: GpuInstance; readonly compute: ComputeInstance } | undefined;
}

/** A node's GPUs by what they can give: as a whole, or what MIG cut from them. */
export interface NodeDevices {
  /** GPUs whose MIG mode is off now, whatever is pending. */
  readonly whole: readonly NodeDevice[];
  /** GPUs whose MIG mode is on now, each with its MIG devices. */
  readonly cut: readonly { readonly gpu: Gpu; readonly devices: readonly NodeDevice[] }[];
}

/** NVIDIA leaves the GPU that drives a DGX station's display to the display (k8s-device-plugin internal/rm). */
const displayGpus: readonly string[] = ["DGX Display", "NVIDIA DGX Display"];

/** Every device of the node that could be offered, ordered by GPU index, then placement. */
export function nodeDevices(gpus: readonly Gpu[], migMinors: MigMinors): NodeDevices {
  const whole: NodeDevice[] = [];
  const cut: { gpu: Gpu; devices: readonly NodeDevice[] }[] = [];
  let order = 0;
  const usable = gpus.filter((gpu) => !displayGpus.includes(gpu.name)).sort((a, b) => a.index - b.index);
  for (const gpu of usable) {
    if (gpu.mig?.current !== true) {
      whole.push({ device: wholeGpu(gpu), gpu, order, mig: undefined });
      order += 1;
      continue;
    }
    const devices = computeInstances(gpu).map(
      (mig, at): NodeDevice => ({ device: migDevice(gpu, mig, migMinors), gpu, order: order + at, mig }),
    );
    order += devices.length;
    cut.push({ gpu, devices });
  }
  return { whole, cut };
}

/** Reads `/proc/driver/nvidia-caps/mig-minors`; lines that are no `<name> <minor>` are passed over, as NVIDIA does. */
export function parseMigMinors(text: string): MigMinors {
  const minors = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name, minor, ...more] = line.trim().split(/\s+/);
    if (name !== undefined && minor !== undefined && more.length === 0 && /^\d+$/.test(minor)) {
      minors.set(name, Number(minor));
    }
  }
  return minors;
}

/** Names of the two capability nodes a container needs for a MIG device; the number after `gpu` is the GPU's minor. */
export function capabilityNames(gpu: Gpu, instance: GpuInstance, compute: ComputeInstance): readonly string[] {
  const own = `gpu${gpu.minor}/gi${instance.id}`;
  return [`${own}/access`, `${own}/ci${compute.id}/access`];
}

function computeInstances(gpu: Gpu): { instance: GpuInstance; compute: ComputeInstance }[] {
  return gpu.instances
    .flatMap((instance) => instance.computeInstances.map((compute) => ({ instance, compute })))
    .sort(
      (a, b) =>
        a.instance.placement.start - b.instance.placement.start ||
        a.compute.placement.start - b.compute.placement.start ||
        a.compute.id - b.compute.id,
    );
}

function wholeGpu(gpu: Gpu): Device {
  return {
    id: gpu.uuid,
    uuid: gpu.uuid,
    gpuUuid: gpu.uuid,
    gpuIndex: gpu.index,
    index: String(gpu.index),
    migProfile: undefined,
    memoryMiB: gpu.memoryMiB,
    numaNode: gpu.numaNode,
    paths: [gpuPath(gpu)],
  };
}

function migDevice(gpu: Gpu, mig: { instance: GpuInstance; compute: ComputeInstance }, migMinors: MigMinors): Device {
  const { instance, compute } = mig;
  const capabilities = capabilityNames(gpu, instance, compute)
    .map((name) => migMinors.get(name))
    .filter((minor) => minor !== undefined)
    .map((minor) => `/dev/nvidia-caps/nvidia-cap${minor}`);
  return {
    id: compute.uuid,
    uuid: compute.uuid,
    gpuUuid: gpu.uuid,
    gpuIndex: gpu.index,
    index: `${gpu.index}:${compute.migIndex}`,
    migProfile: compute.profile,
    memoryMiB: instance.memoryMiB,
    numaNode: gpu.numaNode,
    paths: [gpuPath(gpu), ...capabilities],
  };
}

function gpuPath(gpu: Gpu): string {
  return `/dev/nvidia${gpu.minor}`;
}
