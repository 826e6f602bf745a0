/**
 * Asks the kubelet which container holds which devices.
 */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { type Clock, systemClock, TrancheError } from "../base/index.ts";
import { type ContainerDevices, PodResourcesLister } from "./gen/podresources/v1/api_pb.js";
import { callUnary } from "./grpc.ts";
import { RpcError } from "./rpc-error.ts";
import { socketClient } from "./socket.ts";
import type { Allocation } from "./types.ts";

export interface PodResourcesClientOptions {
  /** `<kubelet root>/pod-resources/kubelet.sock`. */
  readonly socketPath: string;
  /** Time for the waits after the rate limit; default the machine's clock. */
  readonly clock?: Clock;
  /** Ends calls and waits; they reject with its reason. */
  readonly signal?: AbortSignal;
}

/** What clients of this API usually allow; a node with many pods and devices exceeds gRPC's 4 MiB. */
const maxReceiveBytes = 16 * 1024 * 1024;

const timeoutMs = 10_000;

/** The kubelet's limit, 100 calls per second, is shared by all clients: wait longer each time, and give up after four. */
const rateLimitWaitsMs = [100, 200, 400, 800];

/** A client of the pod resources API v1. */
export class PodResourcesClient {
  readonly #socketPath: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #client: Client;

  constructor(options: PodResourcesClientOptions) {
    this.#socketPath = options.socketPath;
    this.#clock = options.clock ?? systemClock;
    this.#signal = options.signal;
    this.#client = socketClient(options.socketPath, maxReceiveBytes);
  }

  /**
   * Every device that an active pod's container holds, one entry per container and resource (the kubelet has one per
   * device and NUMA node). Throws a `pod-resources` error; it is retryable when the kubelet is away or too busy.
   */
  async list(): Promise<readonly Allocation[]> {
    const { podResources } = await this.#call(PodResourcesLister.method.list, {});
    return podResources.flatMap(({ namespace, name: pod, containers }) =>
      containers.flatMap(({ name: container, devices }) =>
        [...byResource(devices)].map(([resource, deviceIds]) => ({ namespace, pod, container, resource, deviceIds })),
      ),
    );
  }

  /** All healthy devices of every plugin, used or free: resource name to ids. Throws as `list` does. */
  async allocatable(): Promise<ReadonlyMap<string, readonly string[]>> {
    const { devices } = await this.#call(PodResourcesLister.method.getAllocatableResources, {});
    return byResource(devices);
  }

  /** Lets go of the socket. */
  close(): void {
    this.#client.close();
  }

  async #call<In extends DescMessage, Out extends DescMessage>(
    method: DescMethodUnary<In, Out>,
    request: MessageInitShape<In>,
  ): Promise<MessageShape<Out>> {
    for (let refusals = 0; ; refusals += 1) {
      try {
        return await callUnary(this.#client, method, request, { timeoutMs, signal: this.#signal });
      } catch (cause) {
        if (!(cause instanceof RpcError)) throw cause;
        const waitMs = cause.rpcCode === "ResourceExhausted" ? rateLimitWaitsMs[refusals] : undefined;
        if (waitMs === undefined) {
          const message = `cannot ask the kubelet for pod resources at ${this.#socketPath}`;
          throw new TrancheError("pod-resources", message, { cause, retryable: cause.retryable });
        }
        await this.#clock.sleep(waitMs, this.#signal);
      }
    }
  }
}

/** Ids by resource, each once, in the order they come. */
function byResource(devices: readonly ContainerDevices[]): ReadonlyMap<string, readonly string[]> {
  const ids = new Map<string, Set<string>>();
  for (const { resourceName, deviceIds } of devices) {
    const known = ids.get(resourceName) ?? new Set();
    ids.set(resourceName, known);
    for (const id of deviceIds) known.add(id);
  }
  return new Map([...ids].map(([resource, known]) => [resource, [...known]]));
}
