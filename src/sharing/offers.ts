/**
 * From a node's GPUs and its configuration to what the node offers the kubelet.
 *
 * Nothing here fails: what cannot be offered is left out and said, so that one broken GPU or one wrong line never takes
 * the rest of a node away.
 */
import { type Finding, finding } from "../base/index.ts";
import type { DevicePluginConfig } from "../config/index.ts";
import type { Gpu } from "../gpu/index.ts";
import { isCdi } from "./cdi-specs.ts";
import { replicaMark } from "./isolation.ts";
import { capabilityNames, type MigMinors, type NodeDevice, nodeDevices } from "./node-device.ts";
import { type Portion, shareDevices } from "./replicas.ts";
import { nameDevices } from "./strategy.ts";
import { devicesText, nodeSubject, resourceSubject } from "./subject.ts";
import type { Device, Offer, SharingSettings } from "./types.ts";

export interface OffersRequest {
  readonly gpus: readonly Gpu[];
  readonly config: DevicePluginConfig;
  readonly settings: SharingSettings;
  readonly nodeName: string;
  /** Capability nodes of MIG devices, from `parseMigMinors`; only device specs need them. Default none known. */
  readonly migMinors?: MigMinors;
}

export interface NodeOffers {
  /** By resource name; devices by GPU index, placement, replica. None is without devices. */
  readonly offers: readonly Offer[];
  readonly findings: readonly Finding[];
}

/** NVIDIA's limit for a whole resource name, and the device plugin API's documented limit for a device id. */
const lengthLimit = 63;

/** What the node offers now. */
export function offers(request: OffersRequest): NodeOffers {
  const { gpus, config, settings, nodeName, migMinors = new Map() } = request;
  const devices = nodeDevices(gpus, migMinors);
  const byCdi = settings.deviceListStrategy.some(isCdi);
  const naming = nameDevices(devices, { strategy: settings.migStrategy, patterns: config.resources, nodeName });
  const sharing = shareDevices(naming.named, { sharing: config.sharing, mpsRoot: settings.mpsRoot, nodeName });
  const made = [...sharing.portions]
    .map(([resource, portions]) => makeOffer(resource, portions, config))
    .sort((a, b) => (a.resource < b.resource ? -1 : 1));
  return {
    offers: made.filter(({ resource }) => isKubernetesName(resource)),
    findings: [
      ...naming.findings,
      ...sharing.findings,
      ...made.flatMap((offer) => lengthFindings(offer, nodeName)),
      ...(settings.passDeviceSpecs || byCdi ? capabilityFindings(naming.named.values(), request) : []),
    ],
  };
}

function makeOffer(resource: string, portions: readonly Portion[], config: DevicePluginConfig): Offer {
  const isShared = portions.some(({ replicas }) => replicas > 0);
  return {
    resource,
    devices: portions.flatMap(({ one, replicas }) => (replicas === 0 ? [one.device] : shares(one.device, replicas))),
    sharing: isShared ? config.sharing.strategy : "none",
    failRequestsGreaterThanOne: isShared && config.sharing.failRequestsGreaterThanOne,
  };
}

function shares(device: Device, replicas: number): readonly Device[] {
  return Array.from({ length: replicas }, (_, n) => ({ ...device, id: `${device.uuid}${replicaMark}${n}` }));
}

/** The kubelet refuses a resource whose part after the slash is longer than a Kubernetes qualified name allows. */
function isKubernetesName(resource: string): boolean {
  return resource.slice(resource.indexOf("/") + 1).length <= 63;
}

function lengthFindings(offer: Offer, nodeName: string): readonly Finding[] {
  const { resource, devices } = offer;
  const findings: Finding[] = [];
  if (resource.length > lengthLimit) {
    const outcome = isKubernetesName(resource)
      ? "Kubernetes still takes it"
      : "the kubelet refuses it, so it is not offered";
    findings.push(
      finding(
        "resource-name-too-long",
        resourceSubject(nodeName, resource),
        `${resource} has ${resource.length} characters, ${lengthLimit} are allowed; ${outcome}`,
        { remedy: "choose a shorter name or rename" },
      ),
    );
  }
  const long = devices.find(({ id }) => id.length > lengthLimit);
  if (long !== undefined) {
    findings.push(
      finding(
        "device-id-too-long",
        resourceSubject(nodeName, resource),
        `device id ${long.id} of ${resource} has ${long.id.length} characters, ${lengthLimit} are documented; the kubelet takes it`,
        { remedy: "use fewer replicas" },
      ),
    );
  }
  return findings;
}

function capabilityFindings(
  named: Iterable<readonly NodeDevice[]>,
  { migMinors = new Map(), nodeName, settings }: OffersRequest,
): readonly Finding[] {
  const lacking = [...named].flat().filter(({ gpu, mig }) => {
    return mig !== undefined && capabilityNames(gpu, mig.instance, mig.compute).some((name) => !migMinors.has(name));
  });
  if (lacking.length === 0) return [];
  const outcome = settings.deviceListStrategy.some(isCdi)
    ? "no CDI spec can describe these devices, so they are not given to pods"
    : "containers get these devices without them";
  return [
    finding(
      "mig-capability-unknown",
      nodeSubject(nodeName),
      `the capability nodes of ${devicesText(lacking)} of ${nodeName} are not known; ${outcome}`,
      {
        remedy:
          "let the agent read /proc/driver/nvidia-caps/mig-minors of the host, or set deviceListStrategy to envvar and passDeviceSpecs to false",
      },
    ),
  ];
}
