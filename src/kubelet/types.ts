/**
 * What the kubelet's sockets carry, as plain values; the wire form is generated from `proto/`.
 */
import type { AllocateAnswer } from "../sharing/index.ts";

/** A device as ListAndWatch reports it. */
export interface PluginDevice {
  readonly id: string;
  readonly healthy: boolean;
  readonly numaNode: number | undefined;
}

/** What a device plugin server asks of its owner; one backend per resource. */
export interface DevicePluginBackend {
  /** Answers GetPreferredAllocation; a thrown error's message reaches the kubelet. */
  preferredAllocation(request: PreferredRequest): readonly string[];
  /** Answers Allocate for one container; a thrown error's message reaches the kubelet and fails the pod's admission. */
  allocate(deviceIds: readonly string[]): AllocateAnswer | Promise<AllocateAnswer>;
}

export interface PreferredRequest {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly size: number;
}

/** What a device plugin answers to GetDevicePluginOptions. */
export interface PluginOptions {
  readonly preStartRequired: boolean;
  readonly getPreferredAllocationAvailable: boolean;
}

/** What a device plugin sends to Register. */
export interface RegistrationRequest {
  readonly version: string;
  /** File name of the plugin's socket, in the directory of `kubelet.sock`. */
  readonly endpoint: string;
  readonly resourceName: string;
  readonly options: PluginOptions;
}

/** Which pod's container holds which devices of one resource, as the pod resources API tells. */
export interface Allocation {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly resource: string;
  readonly deviceIds: readonly string[];
}

/** One device in the pod resources API; the kubelet lists a device once per NUMA node. */
export interface PodDevice {
  readonly resource: string;
  readonly deviceId: string;
  readonly numaNode: number | undefined;
}

/** What the pod resources API tells of one active pod. */
export interface PodResourcesEntry {
  readonly namespace: string;
  readonly pod: string;
  /** Restartable init containers and app containers; plain init containers are left out. */
  readonly containers: readonly { readonly name: string; readonly devices: readonly PodDevice[] }[];
}
