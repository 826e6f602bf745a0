/**
 * Answers Allocate: how a container is told which devices are its own.
 *
 * The answer is that of NVIDIA k8s-device-plugin internal/plugin/server.go and internal/cdi for the same configuration.
 */
import { TrancheError } from "../base/index.ts";
import type { DeviceListStrategy } from "../config/index.ts";
import { controlNodes } from "./cdi-edits.ts";
import { enabledExtras, isCdi } from "./cdi-specs.ts";
import { type CdiExtra, cdiDeviceName, cdiName } from "./cdi-types.ts";
import { imexChannelPath, under } from "./host-files.ts";
import { isReplica } from "./isolation.ts";
import { mpsDirectory } from "./mps.ts";
import { mpsDaemons, mpsShareLimits } from "./mps-daemons.ts";
import type { AllocateAnswer, Device, Offer, SharingSettings } from "./types.ts";

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
  /** IMEX channels that every container gets. Default none. */
  readonly imexChannels?: readonly number[];
  /** All that the node offers, since an MPS daemon serves every name of its device. Default: `offer` alone. */
  readonly offers?: readonly Offer[];
}

/** NVIDIA's container runtime takes the names of mounts in this directory for the devices asked for. */
const volumeMountRoot = "/var/run/nvidia-container-devices";

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
  const client = isMpsClient ? mpsClient(devices, request) : { envs: {}, mounts: [] };
  const base = {
    annotations: strategies.has("cdi-annotations") ? cdiAnnotation(cdiNames, request) : {},
    cdiDevices: strategies.has("cdi-cri") ? cdiNames : [],
  };
  const envs = { ...client.envs, ...extraEnvs(settings) };
  const { mounts } = client;
  const { imexChannels = [] } = request;
  const mountNames = [...deviceIds, ...imexChannels.map((channel) => `imex/${channel}`)];
  if ([...strategies].every(isCdi)) return { ...base, envs, mounts, devices: [] };
  return {
    ...base,
    envs: { ...envs, ...visibleDevices(strategies, deviceIds), ...imexEnvs(strategies, imexChannels) },
    mounts: strategies.has("volume-mounts") ? [...mounts, ...mountNames.map(volumeMount)] : mounts,
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
    const why =
      offer.sharing === "mps"
        ? "or let failRequestsGreaterThanOne be false, then several have several times the limits"
        : "more shares give it no more compute";
    throw new TrancheError(
      "shared-request-too-large",
      `${prefix} maximum request size for shared resources is 1; found ${ids.length}; ask for one share, ${offer.resource}: 1, in each container: ${why}`,
    );
  }
  return [...byUuid.values()];
}

function allCdiNames(deviceIds: readonly string[], request: AllocateRequest): readonly string[] {
  const { settings, cdiExtras, imexChannels = [] } = request;
  const extras = enabledExtras(settings).filter((extra) => cdiExtras === undefined || cdiExtras.has(extra));
  return [
    ...deviceIds.map((id) => cdiName("gpu", cdiDeviceName(id))),
    ...imexChannels.map((channel) => cdiName("imex-channel", String(channel))),
    ...extras.map((extra) => cdiName(extra, "all")),
  ];
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

/** By volume mounts the channels are mounts too, and the runtime needs no variable. */
function imexEnvs(
  strategies: ReadonlySet<DeviceListStrategy>,
  channels: readonly number[],
): Readonly<Record<string, string>> {
  return channels.length > 0 && strategies.has("envvar") ? { NVIDIA_IMEX_CHANNELS: channels.join(",") } : {};
}

function volumeMount(deviceId: string): AllocateAnswer["mounts"][number] {
  return { containerPath: `${volumeMountRoot}/${deviceId}`, hostPath: "/dev/null", readOnly: false };
}

/**
 * The pipe to the control daemon, and the memory clients share with it, in place of the pod's own. Where the container
 * gets less than the daemon allows, its environment says so: the CUDA driver lowers a client's limits by it.
 *
 * A client has one pipe, and a daemon one device, so shares of several have no answer.
 */
function mpsClient(devices: readonly Device[], request: AllocateRequest): Pick<AllocateAnswer, "envs" | "mounts"> {
  const { offer, ids, settings, offers = [offer] } = request;
  const { resource } = offer;
  const [first, other] = devices;
  if (first === undefined || other !== undefined) {
    throw new TrancheError(
      "shares-of-several-gpus",
      `invalid allocation request for "${resource}": ${devices.map(({ index, migProfile }) => `${migProfile === undefined ? "GPU" : "MIG device"} ${index}`).join(" and ")} are free for it, and an MPS client can use one; ask for fewer shares in each container`,
    );
  }
  const { uuid } = first;
  const own = mpsShareLimits(offer, uuid, ids.length);
  const most = mpsDaemons(offers).find(({ deviceUuid }) => deviceUuid === uuid)?.limits;
  const pipe = `/mps/${resource}/pipe`;
  return {
    envs: {
      CUDA_MPS_PIPE_DIRECTORY: pipe,
      ...(own.memoryMiB === undefined || own.memoryMiB === most?.memoryMiB
        ? {}
        : { CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: `0=${own.memoryMiB}M` }),
      ...(own.threadPercentage === most?.threadPercentage
        ? {}
        : { CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: String(own.threadPercentage) }),
    },
    mounts: [
      { containerPath: pipe, hostPath: `${mpsDirectory(settings.mpsRoot, uuid)}/pipe`, readOnly: false },
      { containerPath: "/dev/shm", hostPath: under(settings.mpsRoot, "/shm"), readOnly: false },
    ],
  };
}

/** Control nodes that exist, then the devices' own; NVIDIA lists those once for each share, here each stands once. */
function deviceSpecs(devices: readonly Device[], request: AllocateRequest): AllocateAnswer["devices"] {
  const control = controlNodes.filter((path) => request.presentControlNodes.has(path));
  const channels = (request.imexChannels ?? []).map(imexChannelPath);
  const paths = new Set([...control, ...devices.flatMap((one) => one.paths), ...channels]);
  return [...paths].map((path) => ({
    containerPath: path,
    hostPath: under(request.settings.nvidiaDevRoot, path),
    permissions: "rw",
  }));
}
