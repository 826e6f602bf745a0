/** The kubelet's sockets over gRPC, both ends: device plugins, their registration, and the pod resources API. */
export { CdiDirectory } from "./cdi-directory.ts";
export { parseCdiSpec } from "./cdi-parse.ts";
export { type CheckpointEntry, readDeviceCheckpoint } from "./device-checkpoint.ts";
export { type ConnectOptions, DevicePluginConnection } from "./plugin-connection.ts";
export { DevicePluginHost, type DevicePluginHostOptions, type ResourceOffer } from "./plugin-host.ts";
export { DevicePluginServer, type DevicePluginServerOptions, pluginSocketName } from "./plugin-server.ts";
export type { PluginState } from "./plugin-slot.ts";
export { PodResourcesClient, type PodResourcesClientOptions } from "./pod-resources-client.ts";
export { type PodResourcesServerOptions, servePodResources } from "./pod-resources-server.ts";
export { type RegistrationServerOptions, type ServerHandle, serveRegistration } from "./registration-server.ts";
export { type RpcCode, RpcError } from "./rpc-error.ts";
export type {
  Allocation,
  DevicePluginBackend,
  PluginDevice,
  PluginOptions,
  PodDevice,
  PodResourcesEntry,
  PreferredRequest,
  RegistrationRequest,
} from "./types.ts";
