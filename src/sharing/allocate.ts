/**
 * Answers Allocate: how a container is told which devices are its own.
 *
 * The answer is that of NVIDIA k8s-device-plugin internal/plugin/server.go and internal/cdi for the same configuration.
 */
import { TrancheError } from "../base/index.ts";
import type { DeviceListStrategy } from "../config/index.ts";
import { isReplica } from "./isolation.ts";
import type { AllocateAnswer, Device, Offer, SharingSettings } from "./types.ts";

/** A kind of CDI device beside GPUs, of which a container gets all there are. */
export type CdiExtra = "gdrcopy" | "gds" | "mofed";

export interface AllocateRequest {
  readonly offer: Offer;
  /** The device ids the kubelet chose for one container. */
  readonly ids: readonly string[];
  readonly settings: SharingSettings;
  /** Which of `controlNodes` exist on the host; the others are not passed on. */
  readonly presentControlNodes: ReadonlySet<string>;
  /** A random UUID, which makes the key of a CDI annotation unique. */
  randomUuid(): string;
  /** Which extra CDI devices exist. Default: each one that the settings enable. */
  readonly cdiExtras?: ReadonlySet<CdiExtra>;
}

/** Device nodes that every GPU container needs beside its GPU's own, in the order NVIDIA passes them. */
export const controlNodes: readonly string[] = [
  "/dev/nvidiactl",
  "/dev/nvidia-uvm",
  "/dev/nvidia-uvm-tools",
  "/dev/nvidia-modeset",
];

/** NVIDIA's container runtime takes the names of mounts in this directory for the devices asked for. */
const volumeMountRoot = "/var/run/nvidia-container-devices";

const cdiVendor = "k8s.device-plugin.nvidia.com";

/**
 * What the container of `request.ids` gets; several shares of one device are one device to it.
 *
 * Throws `unknown-device` and `shared-request-too-large`. The kubelet shows the text as the pod's message, so it says
 * what the pod's author can do.
 */
export function allocate(request: AllocateRequest): AllocateAnswer {
  const devices = requestedDevices(request);
  const { offer, ids, settings } = request;
  const deviceIds = devices.map((one) => (settings.deviceIdStrategy === "index" ? one.index : one.uuid));
  const strategies = new Set(settings.deviceListStrategy);
  const cdiNames = [...strategies].some(isCdi) ? allCdiNames(deviceIds, request) : [];
  const isMpsClient = offer.sharing === "mps" && ids.some(isReplica);
  const base = {
    annotations: strategies.has("cdi-annotations") ? cdiAnnotation(cdiNames, request) : {},
    cdiDevices: strategies.has("cdi-cri") ? cdiNames : [],
  };
  const envs = { ...(isMpsClient ? mpsEnvs(offer) : {}), ...extraEnvs(settings) };
  const mounts = isMpsClient ? mpsMounts(offer, settings) : [];
  if ([...strategies].every(isCdi)) return { ...base, envs, mounts, devices: [] };
  return {
    ...base,
    envs: { ...envs, ...visibleDevices(strategies, deviceIds) },
    mounts: strategies.has("volume-mounts") ? [...mounts, ...deviceIds.map(volumeMount)] : mounts,
    devices: settings.passDeviceSpecs ? deviceSpecs(devices, request) : [],
  };
}

/** The devices behind the ids, each once, in the order asked for. */
function requestedDevices({ offer, ids }: AllocateRequest): readonly Device[] {
  const wanted = new Set(ids);
  const byId = new Map(offer.devices.filter(({ id }) => wanted.has(id)).map((device) => [device.id, device]));
  const prefix = `invalid allocation request for "${offer.resource}": invalid request:`;
  const byUuid = new Map<string, Device>();
  for (const id of ids) {
    const device = byId.get(id);
    if (device === undefined) throw new TrancheError("unknown-device", `${prefix} unknown device: ${id}`);
    byUuid.set(device.uuid, device);
  }
  if (offer.failRequestsGreaterThanOne && ids.length > 1 && ids.some(isReplica)) {
    throw new TrancheError(
      "shared-request-too-large",
      `${prefix} maximum request size for shared resources is 1; found ${ids.length}; ask for one share, ${offer.resource}: 1, in each container: more shares give it no more compute`,
    );
  }
  return [...byUuid.values()];
}

function isCdi(strategy: DeviceListStrategy): boolean {
  return strategy === "cdi-annotations" || strategy === "cdi-cri";
}

function allCdiNames(deviceIds: readonly string[], { settings, cdiExtras }: AllocateRequest): readonly string[] {
  const extras = enabledExtras(settings).filter((extra) => cdiExtras === undefined || cdiExtras.has(extra));
  return [...deviceIds.map((id) => `${cdiVendor}/gpu=${id}`), ...extras.map((extra) => `${cdiVendor}/${extra}=all`)];
}

function enabledExtras(settings: SharingSettings): readonly CdiExtra[] {
  const enabled: CdiExtra[] = [];
  if (settings.gdrcopyEnabled) enabled.push("gdrcopy");
  if (settings.gdsEnabled) enabled.push("gds");
  if (settings.mofedEnabled) enabled.push("mofed");
  return enabled;
}

function cdiAnnotation(names: readonly string[], request: AllocateRequest): Readonly<Record<string, string>> {
  const key = `${request.settings.cdiAnnotationPrefix}nvidia-device-plugin_${request.randomUuid()}`;
  return { [key]: names.join(",") };
}

function extraEnvs(settings: SharingSettings): Readonly<Record<string, string>> {
  return Object.fromEntries(enabledExtras(settings).map((extra) => [`NVIDIA_${extra.toUpperCase()}`, "enabled"]));
}

/** With both strategies the directory wins: the runtime then reads the mounts, and an env of ids would hide them. */
function visibleDevices(
  strategies: ReadonlySet<DeviceListStrategy>,
  deviceIds: readonly string[],
): Readonly<Record<string, string>> {
  if (strategies.has("volume-mounts")) return { NVIDIA_VISIBLE_DEVICES: volumeMountRoot };
  return { NVIDIA_VISIBLE_DEVICES: deviceIds.join(",") };
}

function volumeMount(deviceId: string): AllocateAnswer["mounts"][number] {
  return { containerPath: `${volumeMountRoot}/${deviceId}`, hostPath: "/dev/null", readOnly: false };
}

function mpsEnvs({ resource }: Offer): Readonly<Record<string, string>> {
  return { CUDA_MPS_PIPE_DIRECTORY: `/mps/${resource}/pipe` };
}

/** The pipe to the resource's control daemon, and the memory clients share with it, in place of the pod's own. */
function mpsMounts({ resource }: Offer, { mpsRoot }: SharingSettings): AllocateAnswer["mounts"] {
  return [
    { containerPath: `/mps/${resource}/pipe`, hostPath: under(mpsRoot, `/${resource}/pipe`), readOnly: false },
    { containerPath: "/dev/shm", hostPath: under(mpsRoot, "/shm"), readOnly: false },
  ];
}

/** Control nodes that exist, then the devices' own; NVIDIA lists those once for each share, here each stands once. */
function deviceSpecs(devices: readonly Device[], request: AllocateRequest): AllocateAnswer["devices"] {
  const control = controlNodes.filter((path) => request.presentControlNodes.has(path));
  const paths = new Set([...control, ...devices.flatMap((one) => one.paths)]);
  return [...paths].map((path) => ({
    containerPath: path,
    hostPath: under(request.settings.nvidiaDevRoot, path),
    permissions: "rw",
  }));
}

function under(root: string, path: string): string {
  return `${root.replace(/\/+$/, "")}${path}`;
}
