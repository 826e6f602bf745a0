/**
 * Which GPUs and MIG devices a container sees: resolved from what device plugins answered, as a container runtime does.
 *
 * Two ways lead in. The NVIDIA container runtime reads `NVIDIA_VISIBLE_DEVICES` or, if that names the directory, the
 * mounts below `/var/run/nvidia-container-devices` (nvidia-container-toolkit internal/config/image). CDI names come
 * with the CRI request or in annotations and are injected by containerd.
 */
import type { ComputeInstance, DriverError, Gpu, GpuInstance } from "../../gpu/index.ts";
import type { EnvVar } from "../../kube/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";

/** The ids a container's runtime configuration names, in order. */
export interface DeviceRequest {
  /** For the NVIDIA container runtime: UUIDs, indices, or `all`. */
  readonly legacy: readonly string[];
  /** Fully qualified CDI names of GPUs. */
  readonly cdi: readonly string[];
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
const cdiKind = "k8s.device-plugin.nvidia.com/gpu";

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

/** The ids in `answer` and in the container's own environment, which comes later and therefore wins. */
export function requestedDevices(answer: AllocateAnswer, env: readonly EnvVar[] = []): DeviceRequest {
  const own = env.findLast((one) => one.name === "NVIDIA_VISIBLE_DEVICES");
  const visible = own === undefined ? answer.envs["NVIDIA_VISIBLE_DEVICES"] : (own.value ?? "");
  const annotated = Object.entries(answer.annotations)
    .filter(([key]) => key.includes("cdi.k8s.io/"))
    .flatMap(([, value]) => value.split(","));
  return {
    legacy: visible === mountRoot ? mountedIds(answer) : listedIds(visible),
    cdi: [...new Set([...annotated, ...answer.cdiDevices])].filter((name) => name.startsWith(`${cdiKind}=`)),
  };
}

/** What a container sees, or why it cannot. */
export type ResolvedDevices =
  | { readonly ok: true; readonly devices: readonly VisibleDevice[] }
  | { readonly ok: false; readonly fault: DeviceFault };

/** Finds the requested devices among `gpus`; an id that is not there fails the container as its runtime would. */
export function resolveDevices(request: DeviceRequest, gpus: readonly Gpu[]): ResolvedDevices {
  const found = new Map<string, VisibleDevice>();
  const missingCdi: string[] = [];
  for (const name of request.cdi) {
    const devices = devicesOf(name.slice(cdiKind.length + 1), gpus);
    if (devices.length === 0) missingCdi.push(name);
    for (const device of devices) found.set(device.uuid, device);
  }
  if (missingCdi.length > 0) {
    const message = `failed to create containerd container: CDI device injection failed: unresolvable CDI devices ${missingCdi.join(", ")}`;
    return { ok: false, fault: { reason: "CreateContainerError", message } };
  }
  for (const id of request.legacy) {
    const devices = devicesOf(id, gpus);
    if (devices.length === 0 && id !== "all") {
      return { ok: false, fault: hookFault(`device error: ${id}: unknown device`) };
    }
    for (const device of devices) found.set(device.uuid, device);
  }
  return { ok: true, devices: [...found.values()] };
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
