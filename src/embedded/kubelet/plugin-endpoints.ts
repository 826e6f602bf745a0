/**
 * The device plugins of one kubelet: they register on its socket, it calls them back and follows their lists.
 *
 * Behaves as Kubernetes 1.36 pkg/kubelet/cm/devicemanager/plugin/v1beta1. One difference is deliberate: when a plugin
 * registers again while its older stream still stands, that stream is closed and its end is not taken for the end of the
 * new one, as the kubelet does by looking clients up by name.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, errorText, type Logger, TrancheError } from "../../base/index.ts";
import {
  DevicePluginConnection,
  type PluginDevice,
  type PluginOptions,
  type RegistrationRequest,
  type ServerHandle,
  serveRegistration,
} from "../../kubelet/index.ts";
import { isExtendedResourceName } from "./resource-names.ts";

export interface PluginEndpointsOptions {
  /** `<kubelet root>/device-plugins`. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** A plugin sent its list. */
  onDevices(resource: string, devices: readonly PluginDevice[]): void;
  /** A plugin's stream has ended. */
  onAway(resource: string): void;
  /** A plugin has been away for so long that its resource is given up. */
  onDropped(resource: string): void;
}

/** A plugin that has registered and whose stream stands. */
export interface PluginEndpoint {
  readonly connection: DevicePluginConnection;
  readonly options: PluginOptions;
}

interface Endpoint extends PluginEndpoint {
  /** Whether the first list has come. */
  listed: boolean;
}

/** How long the kubelet waits for a plugin to accept its call-back. */
const dialMs = 10_000;
/** How long a resource outlives its plugin's stream (`endpointStopGracePeriod`). */
const stopGraceMs = 300_000;

export class PluginEndpoints {
  readonly #options: PluginEndpointsOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Resources whose plugin is away, each with what ends the wait for it. */
  readonly #away = new Map<string, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #server: ServerHandle | undefined;
  #registering = 0;

  constructor(options: PluginEndpointsOptions) {
    this.#options = options;
  }

  /** Whether a registration is under way or a first list is awaited. */
  get busy(): boolean {
    return this.#registering > 0 || [...this.#endpoints.values()].some((one) => !one.listed);
  }

  /** Clears the directory of sockets and listens for registrations. */
  async start(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o750 });
    await removeSockets(directory);
    await writeFile(join(directory, "DEPRECATION"), "");
    this.#server = await serveRegistration({
      socketPath: join(directory, "kubelet.sock"),
      onRegister: (request) => this.#register(request),
    });
  }

  /** Hangs up on the plugins and stops listening. */
  async stop(): Promise<void> {
    this.#stopping.abort(new TrancheError("stopped", "the kubelet stopped"));
    for (const wait of this.#away.values()) wait.abort(this.#stopping.signal.reason);
    for (const endpoint of this.#endpoints.values()) endpoint.connection.close();
    this.#endpoints.clear();
    await this.#server?.close();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** The plugin of a resource; `undefined` while none is connected. */
  endpoint(resource: string): PluginEndpoint | undefined {
    return this.#endpoints.get(resource);
  }

  /** Gives a plugin that is not connected its time to come back. */
  expect(resource: string): void {
    this.#own(this.#dropAfterGrace(resource));
  }

  async #register(request: RegistrationRequest): Promise<void> {
    const { version, endpoint: file, resourceName: resource } = request;
    if (version !== "v1beta1") {
      const message = `requested API version "${version}" is not supported by kubelet. Supported version is ["v1beta1"]`;
      throw new TrancheError("plugin-registration", message);
    }
    if (!isExtendedResourceName(resource)) {
      throw new TrancheError("plugin-registration", `the ResourceName "${resource}" is invalid`);
    }
    this.#registering += 1;
    try {
      const endpoint = await this.#dial(join(this.#options.directory, file));
      if (this.#stopping.signal.aborted) {
        endpoint.connection.close();
        throw this.#stopping.signal.reason;
      }
      this.#endpoints.get(resource)?.connection.close();
      this.#endpoints.set(resource, endpoint);
      this.#away.get(resource)?.abort(new TrancheError("registered", "the plugin registered again"));
      this.#options.log.info({ resource, endpoint: file }, "device plugin registered");
      this.#own(this.#follow(resource, endpoint));
    } finally {
      this.#registering -= 1;
    }
  }

  async #dial(socketPath: string): Promise<Endpoint> {
    const failed = (what: string) => (cause: unknown) => {
      throw new TrancheError("plugin-registration", `${what}: ${errorText(cause)}`, { retryable: true });
    };
    const { signal } = this.#stopping;
    const connection = await DevicePluginConnection.connect(socketPath, { timeoutMs: dialMs, signal }).catch(
      failed("failed to dial device plugin"),
    );
    try {
      // What the plugin answers here counts; the options it sent along with Register do not.
      const options = await connection.options().catch(failed("failed to get device plugin options"));
      return { connection, options, listed: false };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Follows a plugin's lists until its stream ends; the plugin has to register again after that. */
  async #follow(resource: string, endpoint: Endpoint): Promise<void> {
    try {
      await endpoint.connection.listAndWatch((devices) => {
        if (this.#endpoints.get(resource) !== endpoint) return;
        endpoint.listed = true;
        this.#options.onDevices(resource, devices);
      });
    } catch (error) {
      this.#options.log.warn({ resource, problem: errorText(error) }, "device plugin stream broke");
    }
    endpoint.connection.close();
    if (this.#endpoints.get(resource) !== endpoint) return;
    this.#endpoints.delete(resource);
    this.#options.onAway(resource);
    this.expect(resource);
  }

  async #dropAfterGrace(resource: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const wait = new AbortController();
    this.#away.set(resource, wait);
    try {
      await this.#options.clock.sleep(stopGraceMs, wait.signal);
    } catch {
      return; // The plugin came back, or the kubelet stops.
    } finally {
      if (this.#away.get(resource) === wait) this.#away.delete(resource);
    }
    this.#options.onDropped(resource);
  }

  #own(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }
}

/**
 * Only sockets right in the directory go; the checkpoint and whatever else lies there stays. Plugins run on while the
 * kubelet starts and may take their own sockets away at the same moment.
 */
async function removeSockets(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isSocket()) await rm(join(directory, entry.name), { force: true });
  }
}
