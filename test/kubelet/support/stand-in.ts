/** A kubelet's device manager, as far as plugins can see it. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../src/base/index.ts";
import {
  DevicePluginConnection,
  type PluginDevice,
  type RegistrationRequest,
  type ServerHandle,
  serveRegistration,
} from "../../../src/kubelet/index.ts";

interface Endpoint {
  readonly connection: DevicePluginConnection;
  devices: readonly PluginDevice[] | undefined;
  /** How many lists have come. */
  lists: number;
  ended: boolean;
}

export class KubeletStandIn {
  readonly directory: string;
  readonly registrations: RegistrationRequest[] = [];
  /** When each registration came, by the clock given. */
  readonly registeredAtMs: number[] = [];
  /** What the next registrations are refused with. */
  refusal: string | undefined;
  readonly #clock: Clock;
  #server: ServerHandle | undefined;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(directory: string, clock: Clock = systemClock) {
    this.directory = directory;
    this.#clock = clock;
  }

  get socketPath(): string {
    return join(this.directory, "kubelet.sock");
  }

  /** Deletes every socket in the directory and listens, as the kubelet does when it starts. */
  async start(): Promise<void> {
    for (const entry of await readdir(this.directory, { withFileTypes: true })) {
      if (entry.isSocket()) await rm(join(this.directory, entry.name), { force: true });
    }
    this.#server = await serveRegistration({ socketPath: this.socketPath, onRegister: (one) => this.#register(one) });
  }

  async stop(): Promise<void> {
    for (const { connection } of this.#endpoints.values()) connection.close();
    this.#endpoints.clear();
    await this.#server?.close();
    this.#server = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The devices of a resource, `undefined` while it is not registered or its first list has not come. */
  devices(resource: string): readonly PluginDevice[] | undefined {
    return this.#endpoints.get(resource)?.devices;
  }

  /** Ids of healthy devices, sorted. */
  healthy(resource: string): readonly string[] | undefined {
    return this.devices(resource)
      ?.filter((device) => device.healthy)
      .map((device) => device.id)
      .sort();
  }

  lists(resource: string): number {
    return this.#endpoints.get(resource)?.lists ?? 0;
  }

  connection(resource: string): DevicePluginConnection {
    const endpoint = this.#endpoints.get(resource);
    if (endpoint === undefined) throw new Error(`${resource} is not registered`);
    return endpoint.connection;
  }

  /** Breaks off the connection to a plugin without a restart. */
  drop(resource: string): void {
    this.connection(resource).close();
    this.#endpoints.delete(resource);
  }

  async #register(request: RegistrationRequest): Promise<void> {
    this.registrations.push(request);
    this.registeredAtMs.push(this.#clock.now());
    if (this.refusal !== undefined) throw new Error(this.refusal);
    const path = join(this.directory, request.endpoint);
    const connection = await DevicePluginConnection.connect(path, { timeoutMs: 10_000 });
    await connection.options();
    this.#endpoints.get(request.resourceName)?.connection.close();
    const endpoint: Endpoint = { connection, devices: undefined, lists: 0, ended: false };
    this.#endpoints.set(request.resourceName, endpoint);
    const over = (): void => {
      endpoint.ended = true;
    };
    connection
      .listAndWatch((devices) => {
        endpoint.devices = devices;
        endpoint.lists += 1;
      })
      .then(over, over);
  }
}
