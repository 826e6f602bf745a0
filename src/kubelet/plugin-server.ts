/**
 * A device plugin: the server of one resource, as the kubelet meets it.
 */
import { basename, join } from "node:path";
import type { ServerWritableStream } from "@grpc/grpc-js";
import { type Finding, finding, TrancheError } from "../base/index.ts";
import type { AllocateAnswer } from "../sharing/index.ts";
import { DeviceListEncoder, type EncodedList, maxListBytes } from "./device-list.ts";
import { type ContainerAllocateRequest, DevicePlugin, Registration } from "./gen/deviceplugin/v1beta1/api_pb.js";
import { callUnary } from "./grpc.ts";
import { apiVersion } from "./messages.ts";
import { allocateResponse } from "./plugin-answer.ts";
import { DevicePluginConnection } from "./plugin-connection.ts";
import { OfferedIds } from "./plugin-ids.ts";
import { SocketServer, socketClient } from "./socket.ts";
import type { DevicePluginBackend, PluginDevice, PluginOptions } from "./types.ts";

export interface DevicePluginServerOptions {
  /** For example `nvidia.com/mig-1g.10gb`. */
  readonly resource: string;
  /** The device plugin directory, where `kubelet.sock` is. */
  readonly directory: string;
  readonly backend: DevicePluginBackend;
  /** Called when the last open ListAndWatch stream has ended and the server has not been stopped. */
  readonly onStreamsEnded?: () => void;
}

/** What NVIDIA's plugin answers, too (k8s-device-plugin internal/plugin/server.go). */
const options: PluginOptions = { preStartRequired: false, getPreferredAllocationAvailable: true };

/** For the dial to its own socket and for Register, as in NVIDIA's plugin. */
const timeoutMs = 5_000;

/** A list this long gets a finding before it is too long. */
const nearlyFullBytes = maxListBytes * 0.9;

/**
 * The name of a resource's socket: `nvidia-mig-1g.10gb.sock` for `nvidia.com/mig-1g.10gb`, as NVIDIA's plugin has it. For
 * another domain the whole domain stands in front, so that `example.com/gpu` does not take the place of `nvidia.com/gpu`.
 */
export function pluginSocketName(resource: string): string {
  const slash = resource.indexOf("/");
  const domain = resource.slice(0, slash);
  return `${domain === "nvidia.com" ? "nvidia" : domain}-${resource.slice(slash + 1)}.sock`;
}

/**
 * The device plugin server of one resource.
 *
 * Every open ListAndWatch stream gets the list there is at once and each later list as it comes. A kubelet that reads
 * slowly skips lists that are out of date by the time it can take one.
 */
export class DevicePluginServer {
  readonly resource: string;
  readonly socketPath: string;
  readonly #socket: SocketServer;
  readonly #encoder = new DeviceListEncoder();
  readonly #ids = new OfferedIds();
  readonly #streams = new Set<ListStream>();
  readonly #onStreamsEnded: () => void;
  #backend: DevicePluginBackend;
  #list: EncodedList = { bytes: Buffer.alloc(0), devices: 0, leftOut: 0 };
  #stopped = false;

  constructor({ resource, directory, backend, onStreamsEnded }: DevicePluginServerOptions) {
    this.resource = resource;
    this.socketPath = join(directory, pluginSocketName(resource));
    this.#backend = backend;
    this.#onStreamsEnded = onStreamsEnded ?? (() => {});
    this.#socket = new SocketServer(this.socketPath);
    this.#socket.serve(
      DevicePlugin,
      {
        getDevicePluginOptions: () => options,
        listAndWatch: (call) => this.#open(call),
        getPreferredAllocation: ({ containerRequests }) => ({
          containerResponses: containerRequests.map((one) => ({
            deviceIDs: [
              ...this.#backend.preferredAllocation({
                available: one.availableDeviceIDs,
                mustInclude: one.mustIncludeDeviceIDs,
                size: one.allocationSize,
              }),
            ],
          })),
        }),
        allocate: ({ containerRequests }) => this.#allocate(containerRequests),
        preStartContainer: () => ({}),
      },
      {
        getPreferredAllocation: (bytes) => this.#ids.preferredAllocationRequest(bytes),
        allocate: (bytes) => this.#ids.allocateRequest(bytes),
      },
    );
  }

  /** ListAndWatch streams that are open now; one while a kubelet is connected. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** How many devices the kubelet is told of. */
  get deviceCount(): number {
    return this.#list.devices;
  }

  /**
   * Listens and checks by a call to itself that it serves. Called again, it makes the socket file anew while running
   * calls and streams go on. Throws `state-dir-unusable` when the socket cannot be made.
   */
  async start(): Promise<void> {
    await this.#socket.listen();
    const connection = await DevicePluginConnection.connect(this.socketPath, { timeoutMs });
    try {
      await connection.options();
    } finally {
      connection.close();
    }
  }

  /** Whether the file at `socketPath` is this server's, another one, or gone. */
  socketFile(): Promise<"own" | "other" | "gone"> {
    return this.#socket.file();
  }

  /**
   * Announces the resource on the kubelet's socket; after `start`, since the kubelet calls back before it answers.
   * Throws a retryable `kubelet-registration` error when it is refused or not answered within 5 s.
   */
  async register(kubeletSocket: string, signal?: AbortSignal): Promise<void> {
    const client = socketClient(kubeletSocket);
    const request = {
      version: apiVersion,
      endpoint: basename(this.socketPath),
      resourceName: this.resource,
      options,
    };
    try {
      await callUnary(client, Registration.method.register, request, { timeoutMs, signal });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      const message = `cannot register ${this.resource} at ${kubeletSocket}`;
      throw new TrancheError("kubelet-registration", message, { cause, retryable: true });
    } finally {
      client.close();
    }
  }

  /** Replaces the list of devices and, if given, who answers for them. Streams get the list if it differs. */
  update(devices: readonly PluginDevice[], backend: DevicePluginBackend = this.#backend): void {
    this.#backend = backend;
    this.#ids.offer(devices);
    const list = this.#encoder.encode(devices);
    if (list === undefined) return;
    this.#list = list;
    for (const stream of this.#streams) stream.send(list.bytes);
  }

  /** `device-list-too-long` when the list is close to or over what the kubelet takes. */
  get findings(): readonly Finding[] {
    const { bytes, devices, leftOut } = this.#list;
    if (leftOut === 0 && bytes.length < nearlyFullBytes) return [];
    const seen = `the list of ${devices} devices has ${bytes.length} bytes of the ${maxListBytes} the kubelet takes`;
    const message = leftOut === 0 ? seen : `${seen}; ${leftOut} more devices are left out`;
    const evidence = { bytes: bytes.length, limitBytes: maxListBytes, devices, leftOut };
    const remedy = "use fewer replicas per device";
    return [finding("device-list-too-long", { kind: "resource", name: this.resource }, message, { evidence, remedy })];
  }

  /** Ends the streams, lets running calls end (5 s at most) and removes the socket file. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stream of this.#streams) stream.end();
    await this.#socket.stop();
  }

  /** At once if the backend answers at once: promises would take part of the time of so short a call. */
  #allocate(containers: readonly ContainerAllocateRequest[]): Buffer | Promise<Buffer> {
    const answers = containers.map(({ devicesIds }) => this.#backend.allocate(devicesIds));
    if (answers.every(isThere)) return allocateResponse(answers);
    return Promise.all(answers.map((one) => Promise.resolve(one))).then(allocateResponse);
  }

  #open(call: ServerWritableStream<unknown, Buffer>): void {
    if (this.#stopped) {
      call.end();
      return;
    }
    const stream = new ListStream(call, () => {
      if (this.#streams.delete(stream) && this.#streams.size === 0 && !this.#stopped) this.#onStreamsEnded();
    });
    this.#streams.add(stream);
    stream.send(this.#list.bytes);
  }
}

function isThere(answer: AllocateAnswer | Promise<AllocateAnswer>): answer is AllocateAnswer {
  return !(answer instanceof Promise);
}

/** One open ListAndWatch call: holds back all but the newest list while the other side is not reading. */
class ListStream {
  readonly #call: ServerWritableStream<unknown, Buffer>;
  #writing = false;
  #next: Buffer | undefined;

  constructor(call: ServerWritableStream<unknown, Buffer>, onEnd: () => void) {
    this.#call = call;
    for (const event of ["cancelled", "error", "close"]) call.once(event, onEnd);
  }

  send(list: Buffer): void {
    if (this.#writing) {
      this.#next = list;
      return;
    }
    this.#writing = true;
    this.#call.write(list, () => {
      this.#writing = false;
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined && this.#call.writable) this.send(next);
    });
  }

  end(): void {
    this.#call.end();
  }
}
