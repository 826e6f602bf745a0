/**
 * The kubelet's end of the device plugin API: a connection to one plugin's socket.
 */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { TrancheError } from "../base/index.ts";
import type { AllocateAnswer } from "../sharing/index.ts";
import { DevicePlugin } from "./gen/deviceplugin/v1beta1/api_pb.js";
import { callUnary, openStream } from "./grpc.ts";
import { allocateAnswer, pluginDevice, pluginOptions } from "./messages.ts";
import { rpcError } from "./rpc-error.ts";
import { dial, socketClient } from "./socket.ts";
import type { PluginDevice, PluginOptions, PreferredRequest } from "./types.ts";

export interface ConnectOptions {
  /** How long to wait for the plugin to accept the connection; the kubelet waits 10,000 ms. */
  readonly timeoutMs: number;
  /** Ends the wait; it rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** The kubelet allows PreStartContainer 30 s (`KubeletPreStartContainerRPCTimeoutInSecs`). */
const preStartTimeoutMs = 30_000;

/** A connection to a plugin. Calls throw `RpcError` with the plugin's status text. */
export class DevicePluginConnection {
  readonly #client: Client;
  readonly #closing = new AbortController();

  private constructor(client: Client) {
    this.#client = client;
  }

  /** Dials and waits until the plugin answers; throws a retryable error when it does not. */
  static async connect(socketPath: string, options: ConnectOptions): Promise<DevicePluginConnection> {
    const { timeoutMs, signal } = options;
    const client = socketClient(socketPath);
    try {
      await dial(client, socketPath, timeoutMs, signal);
    } catch (error) {
      client.close();
      throw error;
    }
    return new DevicePluginConnection(client);
  }

  /** GetDevicePluginOptions. */
  async options(): Promise<PluginOptions> {
    return pluginOptions(await this.#call(DevicePlugin.method.getDevicePluginOptions, {}));
  }

  /**
   * ListAndWatch: hands every complete list to `onDevices`. Resolves when the plugin ends the stream or this connection
   * is closed; rejects with `RpcError` when the stream breaks. The kubelet takes all three as a disconnect.
   */
  listAndWatch(onDevices: (devices: readonly PluginDevice[]) => void): Promise<void> {
    const stream = openStream(this.#client, DevicePlugin.method.listAndWatch, {});
    const { signal } = this.#closing;
    const cancel = (): void => stream.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    return new Promise<void>((resolve, reject) => {
      stream.on("data", (message) => onDevices(message.devices.map(pluginDevice)));
      stream.on("end", resolve);
      stream.on("error", (error) => {
        if (signal.aborted) resolve();
        else reject(rpcError(error));
      });
    }).finally(() => signal.removeEventListener("abort", cancel));
  }

  /** GetPreferredAllocation for one container: the ids the plugin would rather see. */
  async preferredAllocation(request: PreferredRequest): Promise<readonly string[]> {
    const { available, mustInclude, size } = request;
    const one = {
      availableDeviceIDs: [...available],
      mustIncludeDeviceIDs: [...mustInclude],
      allocationSize: size,
    };
    const answer = await this.#call(DevicePlugin.method.getPreferredAllocation, { containerRequests: [one] });
    return answer.containerResponses[0]?.deviceIDs ?? [];
  }

  /** Allocate for one container; without a time limit, as the kubelet calls it. */
  async allocate(deviceIds: readonly string[]): Promise<AllocateAnswer> {
    const answer = await this.#call(DevicePlugin.method.allocate, {
      containerRequests: [{ devicesIds: [...deviceIds] }],
    });
    const first = answer.containerResponses[0];
    if (first === undefined) {
      const message = `no containers return in allocation response ${JSON.stringify(answer)}`;
      throw new TrancheError("allocate-answer", message);
    }
    return allocateAnswer(first);
  }

  /** PreStartContainer; only for plugins that ask for it in their options. */
  async preStartContainer(deviceIds: readonly string[]): Promise<void> {
    await this.#call(DevicePlugin.method.preStartContainer, { devicesIds: [...deviceIds] }, preStartTimeoutMs);
  }

  /** Breaks off open calls and streams and lets go of the socket. */
  close(): void {
    this.#closing.abort(new TrancheError("connection-closed", "the connection to the device plugin was closed"));
    this.#client.close();
  }

  #call<In extends DescMessage, Out extends DescMessage>(
    method: DescMethodUnary<In, Out>,
    request: MessageInitShape<In>,
    timeoutMs?: number,
  ): Promise<MessageShape<Out>> {
    return callUnary(this.#client, method, request, { timeoutMs, signal: this.#closing.signal });
  }
}
