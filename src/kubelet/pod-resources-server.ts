/**
 * The kubelet's end of the pod resources API v1.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Clock, systemClock } from "../base/index.ts";
import {
  type ContainerDevicesSchema,
  PodResourcesLister,
  type PodResourcesSchema,
} from "./gen/podresources/v1/api_pb.js";
import { topology } from "./messages.ts";
import { RateLimit } from "./rate-limit.ts";
import type { ServerHandle } from "./registration-server.ts";
import { RpcError } from "./rpc-error.ts";
import { SocketServer } from "./socket.ts";
import type { PodDevice, PodResourcesEntry } from "./types.ts";

export interface PodResourcesServerOptions {
  /** `<kubelet root>/pod-resources/kubelet.sock`. */
  readonly socketPath: string;
  /** Active pods, also those without devices. */
  list(): readonly PodResourcesEntry[];
  /** Every healthy device of every plugin, used or free. */
  allocatable(): readonly PodDevice[];
  /** Time for the rate limit; default the machine's clock. */
  readonly clock?: Clock;
}

/** Kubernetes pkg/kubelet/apis/podresources/constants.go: `DefaultQPS`, `DefaultBurstTokens`. */
const callsPerSecond = 100;
const callsAtOnce = 10;

/** Serves `v1.PodResourcesLister`; the socket file exists when the promise resolves. */
export async function servePodResources(options: PodResourcesServerOptions): Promise<ServerHandle> {
  const server = new SocketServer(options.socketPath);
  const limit = new RateLimit(options.clock ?? systemClock, callsPerSecond, callsAtOnce);
  const admit = (): void => {
    if (!limit.allows()) throw new RpcError("ResourceExhausted", "rejected by rate limit");
  };
  server.serve(PodResourcesLister, {
    list: () => {
      admit();
      return { podResources: options.list().map(podMessage) };
    },
    getAllocatableResources: () => {
      admit();
      return { devices: options.allocatable().map(deviceMessage) };
    },
    get: ({ podName, podNamespace }) => {
      admit();
      const found = options.list().find((entry) => entry.pod === podName && entry.namespace === podNamespace);
      if (found === undefined) throw new Error(`pod ${podName} in namespace ${podNamespace} not found`);
      return { podResources: podMessage(found) };
    },
  });
  await server.listen();
  return { close: () => server.stop() };
}

function podMessage(entry: PodResourcesEntry): MessageInitShape<typeof PodResourcesSchema> {
  const containers = entry.containers.map(({ name, devices }) => ({ name, devices: devices.map(deviceMessage) }));
  return { name: entry.pod, namespace: entry.namespace, containers };
}

/** One entry per device, as the kubelet writes them. */
function deviceMessage(device: PodDevice): MessageInitShape<typeof ContainerDevicesSchema> {
  const message = { resourceName: device.resource, deviceIds: [device.deviceId] };
  return device.numaNode === undefined ? message : { ...message, topology: topology(device.numaNode) };
}
