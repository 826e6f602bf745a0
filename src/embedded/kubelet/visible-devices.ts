/**
 * Which GPUs and MIG devices a container sees: resolved from what device plugins answered, as a container runtime does.
 *
 * Two ways lead in. The NVIDIA container runtime reads `NVIDIA_VISIBLE_DEVICES` or, if that names the directory, the
 * mounts below `/var/run/nvidia-container-devices` (nvidia-container-toolkit internal/config/image). CDI names come
 * with the CRI request or in annotations, and containerd injects what the specs on the node say of them.
 */
import {
  type ComputeInstance,
  type DriverError,
  type Gpu,
  type GpuInstance,
  migCapabilityMinors,
} from "../../gpu/index.ts";
import type { EnvVar } from "../../kube/index.ts";
import type { AllocateAnswer, CdiEdits } from "../../sharing/index.ts";

/** The ids a container's runtime configuration names, in order. */
export interface DeviceRequest {
  /** For the NVIDIA container runtime: UUIDs, indices, or `all`. */
  readonly legacy: readonly string[];
  /** Device files that CDI specs bring in. */
  readonly nodes: readonly string[];
}

/** What a container's environment and CDI add to what the plugins answered. */
export interface ContainerExtras {
  readonly env?: readonly EnvVar[] | undefined;
  readonly edits?: CdiEdits;
}

/** A GPU or MIG device as a program in the container sees it. */
export interface VisibleDevice {
  /** `GPU-…` or `MIG-…`. */
  readonly uuid: string;
  readonly gpuUuid: string;
  /** For people: `GPU 0` or `GPU 0 3g.40gb@4`. */
  readonly name: string;
  readonly memoryMiB: number;
  /** Where on a MIG GPU; `undefined` on a whole one. */
  readonly instance: { readonly gpuInstanceId: number; readonly computeInstanceId: number } | undefined;
}

/** Why a container cannot get its devices: where it fails, and with which of the runtime's texts. */
export interface DeviceFault {
  readonly reason: "CreateContainerError" | "RunContainerError";
  readonly message: string;
}

const mountRoot = "/var/run/nvidia-container-devices";

/**
 * Merges the answers of several resources for one container. The first value wins for an equal key, as in the
 * kubelet's `deviceRunContainerOptions` (pkg/kubelet/cm/devicemanager/pod_devices.go).
 */
export function mergeAnswers(answers: readonly AllocateAnswer[]): AllocateAnswer {
  const backwards = answers.toReversed();
  const firstBy = <T>(items: readonly T[], key: (item: T) => string): T[] =>
    [...new Map(items.toReversed().map((item) => [key(item), item])).values()].toReversed();
  return {
    envs: Object.assign({}, ...backwards.map((one) => one.envs)),
    annotations: Object.assign({}, ...backwards.map((one) => one.annotations)),
    mounts: firstBy(
      answers.flatMap((one) => one.mounts),
      (mount) => mount.containerPath,
    ),
    devices: firstBy(
      answers.flatMap((one) => one.devices),
      (device) => device.containerPath,
    ),
    cdiDevices: [...new Set(answers.flatMap((one) => one.cdiDevices))],
  };
}

/** The fully qualified CDI names that a container is created with. */
export function cdiNames(answer: AllocateAnswer): readonly string[] {
  const annotated = Object.entries(answer.annotations)
    .filter(([key]) => key.includes("cdi.k8s.io/"))
    .flatMap(([, value]) => value.split(","));
  return [...new Set([...annotated, ...answer.cdiDevices])];
}

/** What `answer` names; the container's own environment comes later and wins, and what CDI injects comes last. */
export function requestedDevices(
  answer: AllocateAnswer,
  { env = [], edits = {} }: ContainerExtras = {},
): DeviceRequest {
  const variable = "NVIDIA_VISIBLE_DEVICES";
  const own = env.findLast((one) => one.name === variable);
  const injected = edits.env?.findLast((one) => one.startsWith(`${variable}=`))?.slice(variable.length + 1);
  const visible = injected ?? (own === undefined ? answer.envs[variable] : (own.value ?? ""));
  return {
    legacy: visible === mountRoot ? mountedIds(answer) : listedIds(visible),
    nodes: (edits.deviceNodes ?? []).map((one) => one.path),
  };
}

/** What a container sees, or why it cannot. */
export type ResolvedDevices =
  | { readonly ok: true; readonly devices: readonly VisibleDevice[] }
  | { readonly ok: false; readonly fault: DeviceFault };

/** Finds the requested devices among `gpus`; an id that is not there fails the container as its runtime would. */
export function resolveDevices(request: DeviceRequest, gpus: readonly Gpu[]): ResolvedDevices {
  const injected = injectedDevices(request.nodes, gpus);
  if (!injected.ok) return injected;
  const found = new Map(injected.devices.map((device) => [device.uuid, device]));
  for (const id of request.legacy) {
    const devices = devicesOf(id, gpus);
    if (devices.length === 0 && id !== "all") {
      return { ok: false, fault: hookFault(`device error: ${id}: unknown device`) };
    }
    for (const device of devices) found.set(device.uuid, device);
  }
  return { ok: true, devices: [...found.values()] };
}

/**
 * What the device files let a container use: a GPU as a whole or, with the files of a GPU and a compute instance, that
 * MIG device. The kernel takes away the files of instances that are gone, those of a GPU stay.
 */
function injectedDevices(nodes: readonly string[], gpus: readonly Gpu[]): ResolvedDevices {
  const has = new Set(nodes);
  const named = migCapabilityMinors(gpus.map(({ minor }) => minor));
  const file = (name: string): string => `/dev/nvidia-caps/nvidia-cap${named.get(name)}`;
  const present = new Set<string>();
  const devices: VisibleDevice[] = [];
  for (const gpu of gpus) {
    const parts = gpu.instances.flatMap((instance) => instance.computeInstances.map((part) => ({ instance, part })));
    const open = parts.filter(({ instance, part }) => {
      const own = `gpu${gpu.minor}/gi${instance.id}`;
      const files = [file(`${own}/access`), file(`${own}/ci${part.id}/access`)];
      for (const one of files) present.add(one);
      return files.every((one) => has.has(one));
    });
    if (!has.has(`/dev/nvidia${gpu.minor}`)) continue;
    if (open.length === 0 && gpu.mig?.current !== true) devices.push(wholeGpu(gpu));
    devices.push(...open.map(({ instance, part }) => migDevice(gpu, instance, part)));
  }
  const gone = nodes.find((path) => path.startsWith("/dev/nvidia-caps/") && !present.has(path));
  if (gone === undefined) return { ok: true, devices };
  const message = `failed to create containerd container: CDI device injection failed: failed to inject devices: failed to stat CDI host device "${gone}": no such file or directory`;
  return { ok: false, fault: { reason: "CreateContainerError", message } };
}

/** The driver does not answer the runtime, in the words of NVIDIA's hook. */
export function driverFault({ nvmlCode }: DriverError): DeviceFault {
  return hookFault(`initialization error: nvml error: ${nvmlCode.replaceAll("-", " ")}`);
}

function hookFault(text: string): DeviceFault {
  const message = `failed to create containerd task: failed to create shim task: OCI runtime create failed: nvidia-container-cli: ${text}`;
  return { reason: "RunContainerError", message };
}

function listedIds(value: string | undefined): readonly string[] {
  if (value === undefined || value === "void" || value === "none") return [];
  return value.split(",").filter((id) => id !== "");
}

function mountedIds(answer: AllocateAnswer): readonly string[] {
  return answer.mounts
    .filter((mount) => mount.containerPath.startsWith(`${mountRoot}/`))
    .map((mount) => mount.containerPath.slice(mountRoot.length + 1))
    .filter((id) => !id.startsWith("imex/"));
}

/** The devices an id stands for: a UUID, an index (`0`, `0:1`), or `all`. */
function devicesOf(id: string, gpus: readonly Gpu[]): readonly VisibleDevice[] {
  const every = gpus.flatMap((gpu) => [
    { index: String(gpu.index), device: wholeGpu(gpu) },
    ...gpu.instances.flatMap((instance) =>
      instance.computeInstances.map((part) => ({
        index: `${gpu.index}:${part.migIndex}`,
        device: migDevice(gpu, instance, part),
      })),
    ),
  ]);
  // A GPU that is cut holds no work itself, so `all` stands for its parts.
  if (id === "all") return every.map((one) => one.device).filter((one) => isUsable(one, gpus));
  return every.filter((one) => one.index === id || one.device.uuid === id).map((one) => one.device);
}

function isUsable(device: VisibleDevice, gpus: readonly Gpu[]): boolean {
  const gpu = gpus.find((one) => one.uuid === device.gpuUuid);
  return device.instance !== undefined || gpu?.mig?.current !== true;
}

function wholeGpu(gpu: Gpu): VisibleDevice {
  return {
    uuid: gpu.uuid,
    gpuUuid: gpu.uuid,
    name: `GPU ${gpu.index}`,
    memoryMiB: gpu.memoryMiB,
    instance: undefined,
  };
}

function migDevice(gpu: Gpu, instance: GpuInstance, part: ComputeInstance): VisibleDevice {
  return {
    uuid: part.uuid,
    gpuUuid: gpu.uuid,
    name: `GPU ${gpu.index} ${part.profile}@${instance.placement.start}`,
    memoryMiB: instance.memoryMiB,
    instance: { gpuInstanceId: instance.id, computeInstanceId: part.id },
  };
}
