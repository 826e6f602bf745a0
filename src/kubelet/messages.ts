/**
 * Between the wire messages of the device plugin API and the plain values of this room.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AllocateAnswer } from "../sharing/index.ts";
import type {
  ContainerAllocateResponse,
  Device,
  DevicePluginOptions,
  DeviceSchema,
  RegisterRequest,
} from "./gen/deviceplugin/v1beta1/api_pb.js";
import type { PluginDevice, PluginOptions, RegistrationRequest } from "./types.ts";

/** The only version of the API. */
export const apiVersion = "v1beta1";

/** File name of the kubelet's registration socket in the device plugin directory. */
export const kubeletSocketName = "kubelet.sock";

/** A device without a NUMA node has no topology at all; an empty one would mean the same since Kubernetes 1.26. */
export function deviceMessage(device: PluginDevice): MessageInitShape<typeof DeviceSchema> {
  const message = { ID: device.id, health: device.healthy ? "Healthy" : "Unhealthy" };
  return device.numaNode === undefined ? message : { ...message, topology: topology(device.numaNode) };
}

/** TopologyInfo, which has the same shape in both APIs. */
export function topology(numaNode: number): { readonly nodes: { readonly ID: bigint }[] } {
  return { nodes: [{ ID: BigInt(numaNode) }] };
}

/** Any health other than `Healthy` is unhealthy. Of several NUMA nodes the first is kept. */
export function pluginDevice(message: Device): PluginDevice {
  const node = message.topology?.nodes[0];
  return {
    id: message.ID,
    healthy: message.health === "Healthy",
    numaNode: node === undefined ? undefined : Number(node.ID),
  };
}

export function allocateAnswer(message: ContainerAllocateResponse): AllocateAnswer {
  return {
    envs: message.envs,
    mounts: message.mounts.map(({ containerPath, hostPath, readOnly }) => ({ containerPath, hostPath, readOnly })),
    devices: message.devices.map(({ containerPath, hostPath, permissions }) => ({
      containerPath,
      hostPath,
      permissions,
    })),
    annotations: message.annotations,
    cdiDevices: message.cdiDevices.map(({ name }) => name),
  };
}

export function pluginOptions(message: DevicePluginOptions | undefined): PluginOptions {
  return {
    preStartRequired: message?.preStartRequired ?? false,
    getPreferredAllocationAvailable: message?.getPreferredAllocationAvailable ?? false,
  };
}

export function registrationRequest(message: RegisterRequest): RegistrationRequest {
  const { version, endpoint, resourceName, options } = message;
  return { version, endpoint, resourceName, options: pluginOptions(options) };
}
