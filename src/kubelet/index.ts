/** The kubelet's sockets over gRPC, both ends: device plugins, their registration, and the pod resources API. */
export { type ConnectOptions, DevicePluginConnection } from "./plugin-connection.ts";
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
