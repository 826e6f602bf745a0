/**
 * All device plugins of one node: which resources are served, and that the kubelet knows of each.
 *
 * Whatever happens, one pass over all resources sets it right: `kubelet.sock` made anew (the kubelet has restarted and
 * has deleted every plugin's socket), an own socket gone, a ListAndWatch stream ended, a registration refused. Events
 * only bring the next pass forward, so losing one or seeing one twice does no harm.
 */
import { join } from "node:path";
import { type Clock, type Finding, type Logger, silentLogger, systemClock } from "../base/index.ts";
import { DirectoryWatch } from "./directory-watch.ts";
import { Doorbell } from "./doorbell.ts";
import { kubeletSocketName } from "./messages.ts";
import { PluginSlot, type PluginState } from "./plugin-slot.ts";
import { fileIdentity } from "./socket.ts";
import type { DevicePluginBackend, PluginDevice } from "./types.ts";

/** What one resource offers, and who answers for it. */
export interface ResourceOffer {
  readonly devices: readonly PluginDevice[];
  readonly backend: DevicePluginBackend;
}

export interface DevicePluginHostOptions {
  /** The device plugin directory, `/var/lib/kubelet/device-plugins` on a node. */
  readonly directory: string;
  /** Default the machine's clock. */
  readonly clock?: Clock;
  /** Default silent. */
  readonly log?: Logger;
}

/** The longest time between two passes; bounds how late a lost event is noticed. */
const passEveryMs = 5_000;

/** The same while there is no kubelet: one that comes back, be it with a directory made anew, shall not wait. */
const awayPassEveryMs = 500;

/** The kubelet may make `kubelet.sock` several times in quick succession; a pass waits until that is over. */
const settleMs = 100;

/**
 * Owns the device plugin servers of one node from `start` to `stop`.
 *
 * A resource that is no longer offered gets an empty list and goes on being served until the kubelet restarts. Its
 * capacity is 0 at once, whereas a server that just goes away leaves its old capacity standing for five minutes; and when
 * it is offered again, the devices are back at once, without a registration. After the kubelet's restart it is not
 * registered any more. (The kubelet never takes the name off the Node's status; it stays with the value 0.)
 */
export class DevicePluginHost {
  readonly #directory: string;
  readonly #kubeletSocket: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #bell: Doorbell;
  readonly #watch: DirectoryWatch;
  readonly #slots = new Map<string, PluginSlot>();
  readonly #stopping = new AbortController();
  #kubelet: string | undefined;
  #registrations = 0;
  #passes: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: DevicePluginHostOptions) {
    this.#directory = options.directory;
    this.#kubeletSocket = join(options.directory, kubeletSocketName);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#bell = new Doorbell(this.#clock);
    this.#watch = new DirectoryWatch(this.#directory, (name) => this.#onFile(name), this.#log);
  }

  /** Begins to follow the kubelet. When `signal` fires, everything ends as with `stop`. */
  start(signal?: AbortSignal): void {
    if (this.#loop !== undefined) return;
    this.#loop = this.#follow();
    const abort = (): void => void this.stop();
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true, signal: this.#stopping.signal });
  }

  /**
   * Makes `resources` the whole of what is offered. Resolves when every server has its list and a registration of each
   * new one was tried once; `status` tells how that went, and trying goes on. Does nothing after `stop`.
   */
  async offer(resources: ReadonlyMap<string, ResourceOffer>): Promise<void> {
    await this.#pass(() => {
      for (const [resource, { devices, backend }] of resources) {
        const slot = this.#slots.get(resource) ?? this.#newSlot(resource, backend);
        slot.offer(devices, backend);
      }
      for (const [resource, slot] of this.#slots) {
        if (!resources.has(resource)) slot.withdraw();
      }
    });
    this.#bell.ring();
  }

  /** How often a resource was registered; the kubelet's restarts add to it. */
  get registrations(): number {
    return this.#registrations;
  }

  /** How each resource stands, withdrawn ones last. */
  status(): readonly PluginState[] {
    const states = [...this.#slots.values()].map((slot) => slot.state());
    return states.sort((a, b) => Number(a.withdrawn) - Number(b.withdrawn) || (a.resource < b.resource ? -1 : 1));
  }

  /** What users must know: resources that are not registered, sockets that cannot be made, lists that are too long. */
  findings(): readonly Finding[] {
    return [...this.#slots.values()].flatMap((slot) => slot.findings());
  }

  /** Ends all servers and removes their sockets. Lists are not emptied first: a restart within five minutes shows no 0. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<void> {
    this.#stopping.abort();
    this.#bell.ring();
    await this.#loop;
    await this.#passes;
    this.#watch.close();
    await Promise.all([...this.#slots.values()].map((slot) => slot.stop()));
    this.#slots.clear();
  }

  #newSlot(resource: string, backend: DevicePluginBackend): PluginSlot {
    const onStreamsEnded = (): void => this.#bell.ring();
    const onRegistered = (): void => {
      this.#registrations += 1;
    };
    const ownSockets = (): ReadonlySet<string> => new Set([...this.#slots.values()].map((slot) => slot.socketName));
    const common = { directory: this.#directory, clock: this.#clock, log: this.#log };
    const slot = new PluginSlot({ resource, backend, onStreamsEnded, onRegistered, ownSockets, ...common });
    this.#slots.set(resource, slot);
    return slot;
  }

  #onFile(name: string | null): void {
    const relevant = name === null || name === kubeletSocketName;
    if (relevant || [...this.#slots.values()].some((slot) => slot.socketName === name)) this.#bell.ring();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const dueInMs = await this.#pass().catch((error: unknown) => {
        this.#log.error({ error }, "the device plugin directory cannot be looked at");
        return passEveryMs;
      });
      const rung = await this.#bell.wait(dueInMs);
      if (rung && !signal.aborted) await this.#settle();
    }
  }

  /** Waits until nothing has rung for a while. */
  async #settle(): Promise<void> {
    let rung = true;
    for (let rings = 0; rung && rings < 10 && !this.#stopping.signal.aborted; rings += 1) {
      rung = await this.#bell.wait(settleMs);
    }
  }

  /** One pass, with `change` before it, after those that have begun; resolves with the time until the next is due. */
  #pass(change: () => void = () => {}): Promise<number> {
    const pass = this.#passes.then(() => {
      if (this.#stopping.signal.aborted) return passEveryMs;
      change();
      return this.#setRight();
    });
    this.#passes = pass.catch(() => {});
    return pass;
  }

  async #setRight(): Promise<number> {
    await this.#watch.arm();
    const kubelet = await fileIdentity(this.#kubeletSocket);
    if (kubelet !== this.#kubelet) {
      this.#log.info(
        { socket: this.#kubeletSocket, present: kubelet !== undefined },
        "the kubelet's socket has changed",
      );
      this.#kubelet = kubelet;
    }
    const there = { socket: this.#kubeletSocket, identity: kubelet, signal: this.#stopping.signal };
    const dueMs = await Promise.all(
      [...this.#slots].map(async ([resource, slot]) => {
        const outcome = await slot.setRight(there);
        if (outcome === "over") this.#slots.delete(resource);
        return outcome === "over" ? passEveryMs : outcome.dueInMs;
      }),
    );
    // The directory may have been made by the first server that listened.
    if (!this.#watch.armed) await this.#watch.arm();
    return Math.min(kubelet === undefined ? awayPassEveryMs : passEveryMs, ...dueMs);
  }
}
