/**
 * One resource of a node: its server, and how its registration stands.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Clock, errorText, type Finding, finding, type Logger, TrancheError } from "../base/index.ts";
import { kubeletSocketName } from "./messages.ts";
import { DevicePluginServer } from "./plugin-server.ts";
import { isServed, socketOwner } from "./socket-owner.ts";
import type { DevicePluginBackend, PluginDevice } from "./types.ts";

/** How one resource stands with the kubelet. */
export interface PluginState {
  readonly resource: string;
  readonly socketPath: string;
  /** How many devices the kubelet is told of. */
  readonly devices: number;
  /** No longer offered; the kubelet sees an empty list. */
  readonly withdrawn: boolean;
  /** Since when the kubelet has known of it, in milliseconds since the epoch; `undefined` while it does not. */
  readonly registeredSinceMs: number | undefined;
  /** Why it is not registered; `undefined` once it is. */
  readonly lastError: string | undefined;
}

export interface PluginSlotOptions {
  readonly resource: string;
  readonly directory: string;
  readonly backend: DevicePluginBackend;
  readonly onStreamsEnded: () => void;
  readonly onRegistered: () => void;
  /** Names of the sockets of all resources of this host. */
  readonly ownSockets: () => ReadonlySet<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kubelet as a pass finds it. */
export interface KubeletSocket {
  readonly socket: string;
  /** Tells one kubelet start from another; `undefined` while there is no socket. */
  readonly identity: string | undefined;
  readonly signal: AbortSignal;
}

interface Registration {
  /** With which start of the kubelet. */
  readonly kubelet: string;
  readonly sinceMs: number;
}

/** The code of the error for a socket that another plugin serves. */
const TAKEN = "socket-taken";
const REMOVE_OTHER =
  "one plugin a resource: take the other one off this node, such as NVIDIA's device plugin (its DaemonSet, or devicePlugin.enabled: false in the ClusterPolicy)";
/** How long a registration that was taken back is told of. */
const tellTakenMs = 600_000;

/** Waits between registrations that fail: doubling from the first to the last. */
const firstRetryMs = 500;
const lastRetryMs = 30_000;

/**
 * The kubelet opens ListAndWatch right after a registration; without a stream after this time the registration is taken
 * as lost. One that is lost sooner counts as failed, so that two plugins of one name do not take turns at full speed.
 */
const steadyMs = 10_000;

/** Keeps one resource served and registered; every step is safe to repeat. */
export class PluginSlot {
  readonly #server: DevicePluginServer;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #directory: string;
  readonly #onRegistered: () => void;
  readonly #ownSockets: () => ReadonlySet<string>;
  #withdrawn = false;
  #registration: Registration | undefined;
  #streamsEnded = false;
  /** The start of the kubelet that ended the last stream without a reason of ours. */
  #droppedBy: string | undefined;
  /** When the kubelet gave the resource to another plugin, which the registration that followed took back. */
  #takenBack: { readonly atMs: number; readonly from: string } | undefined;
  /** What failures count for: the start of the kubelet and the state of the socket file. When it changes, they are over. */
  #circumstances = "";
  #failures = 0;
  #retryAtMs = 0;
  #error: unknown;

  constructor({ clock, log, onStreamsEnded, onRegistered, ownSockets, ...server }: PluginSlotOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#directory = server.directory;
    this.#onRegistered = onRegistered;
    this.#ownSockets = ownSockets;
    this.#server = new DevicePluginServer({
      ...server,
      onStreamsEnded: () => {
        this.#streamsEnded = true;
        onStreamsEnded();
      },
    });
  }

  get socketName(): string {
    return basename(this.#server.socketPath);
  }

  offer(devices: readonly PluginDevice[], backend: DevicePluginBackend): void {
    this.#withdrawn = false;
    this.#server.update(devices, backend);
  }

  withdraw(): void {
    this.#withdrawn = true;
    this.#server.update([]);
  }

  state(): PluginState {
    return {
      resource: this.#server.resource,
      socketPath: this.#server.socketPath,
      devices: this.#server.deviceCount,
      withdrawn: this.#withdrawn,
      registeredSinceMs: this.#registration?.sinceMs,
      lastError: this.#error === undefined ? undefined : errorText(this.#error),
    };
  }

  findings(): readonly Finding[] {
    if (this.#withdrawn) return [];
    const subject = { kind: "resource", name: this.#server.resource } as const;
    const ofSocket = this.#error instanceof TrancheError && this.#error.code === "state-dir-unusable";
    if (ofSocket) return [finding("state-dir-unusable", subject, errorText(this.#error))];
    if (this.#error === undefined) return [...this.#server.findings, ...this.#takenBackFindings()];
    if (this.#error instanceof TrancheError && this.#error.code === TAKEN) {
      return [
        ...this.#server.findings,
        finding("second-device-plugin", subject, errorText(this.#error), { remedy: REMOVE_OTHER }),
      ];
    }
    const remedy = "look at the kubelet's log on this node; registration is tried again by itself";
    return [...this.#server.findings, finding("kubelet-not-registered", subject, errorText(this.#error), { remedy })];
  }

  #takenBackFindings(): readonly Finding[] {
    const taken = this.#takenBack;
    if (taken === undefined || this.#clock.now() - taken.atMs > tellTakenMs) return [];
    const { resource } = this.#server;
    const seen = taken.from === "" ? "" : `; others that serve in its directory: ${taken.from}`;
    const message = `the kubelet dropped ${resource} without a restart, as it does when another plugin registers it; it is registered again${seen}`;
    return [finding("second-device-plugin", { kind: "resource", name: resource }, message, { remedy: REMOVE_OTHER })];
  }

  stop(): Promise<void> {
    this.#registration = undefined;
    return this.#server.stop();
  }

  /**
   * Makes the socket if it is not there and registers if this start of the kubelet does not know the resource. Resolves
   * with the time until it has to be called again, or `over` when it has stopped because nobody needs it any more.
   */
  async setRight(kubelet: KubeletSocket): Promise<{ readonly dueInMs: number } | "over"> {
    const { identity } = kubelet;
    const file = await this.#server.socketFile();
    const circumstances = circumstancesOf(identity, file);
    if (circumstances !== this.#circumstances) {
      this.#circumstances = circumstances;
      this.#failures = 0;
      this.#retryAtMs = 0;
    }
    this.#noteLoss(identity);
    if (this.#withdrawn && this.#registration === undefined) {
      await this.stop();
      return "over";
    }
    const waitMs = this.#retryAtMs - this.#clock.now();
    if (waitMs > 0) return { dueInMs: waitMs };
    try {
      if (file !== "own") {
        await this.#listen(file);
        this.#circumstances = circumstancesOf(identity, "own");
      }
      if (this.#registration === undefined) await this.#register(kubelet);
      this.#error = undefined;
    } catch (error) {
      if (!kubelet.signal.aborted) this.#fail(error, identity);
    }
    return { dueInMs: Math.max(this.#retryAtMs - this.#clock.now(), 0) || steadyMs };
  }

  /**
   * Forgets a registration that no longer stands. While a stream is open it does, even if a socket file is gone: to
   * register again then would put two streams under one name, and the kubelet drops the new one when the old one ends.
   */
  #noteLoss(identity: string | undefined): void {
    const registration = this.#registration;
    if (registration === undefined || (identity === undefined && this.#server.openStreams > 0)) return;
    if (registration.kubelet !== identity) {
      this.#registration = undefined;
      return;
    }
    const livedMs = this.#clock.now() - registration.sinceMs;
    if (this.#server.openStreams > 0 || !(this.#streamsEnded || livedMs >= steadyMs)) return;
    this.#registration = undefined;
    if (this.#streamsEnded) this.#droppedBy = identity;
    if (livedMs >= steadyMs && this.#streamsEnded) {
      this.#failures = 0;
      return;
    }
    const message = "no ListAndWatch stream from the kubelet is open";
    this.#fail(new TrancheError("kubelet-away", message, { retryable: true }), identity);
  }

  /** Takes the place of a socket that nobody serves; one that another plugin serves is left to it. */
  async #listen(file: "other" | "gone"): Promise<void> {
    const { socketPath } = this.#server;
    if (file === "other" && (await isServed(socketPath))) {
      this.#registration = undefined;
      this.#droppedBy = undefined;
      const message = `another device plugin serves ${await named(socketPath)}`;
      throw new TrancheError(TAKEN, message, { retryable: true });
    }
    await this.#server.start();
  }

  async #register(kubelet: KubeletSocket): Promise<void> {
    const { identity } = kubelet;
    if (identity === undefined) throw new TrancheError("kubelet-away", `there is no ${kubelet.socket}`);
    const isTakenBack = this.#droppedBy === identity;
    this.#streamsEnded = false;
    await this.#server.register(kubelet.socket, kubelet.signal);
    this.#registration = { kubelet: identity, sinceMs: this.#clock.now() };
    this.#droppedBy = undefined;
    if (isTakenBack) this.#takenBack = { atMs: this.#clock.now(), from: await this.#others() };
    this.#onRegistered();
    this.#log.info({ resource: this.#server.resource, devices: this.#server.deviceCount }, "resource registered");
  }

  /** The sockets in the directory that others serve. */
  async #others(): Promise<string> {
    const own = this.#ownSockets();
    const names = (await readdir(this.#directory)).filter(
      (name) => name.endsWith(".sock") && name !== kubeletSocketName && !own.has(name),
    );
    const served: string[] = [];
    for (const name of names.sort()) {
      const path = join(this.#directory, name);
      if (await isServed(path)) served.push(await named(path));
    }
    return served.join("; ");
  }

  #fail(error: unknown, identity: string | undefined): void {
    const text = errorText(error);
    const known = this.#error !== undefined && errorText(this.#error) === text;
    this.#error = error;
    // Without a socket there is nobody to spare: its appearance brings the next try.
    const retryInMs = identity === undefined ? 0 : Math.min(firstRetryMs * 2 ** this.#failures, lastRetryMs);
    this.#failures += 1;
    this.#retryAtMs = this.#clock.now() + retryInMs;
    if (!known) this.#log.warn({ resource: this.#server.resource, reason: text, retryInMs }, "resource not registered");
  }
}

function circumstancesOf(kubelet: string | undefined, file: "own" | "other" | "gone"): string {
  return `${kubelet ?? "away"} ${file}`;
}

/** A socket of another plugin, and the process behind it where that can be seen. */
async function named(path: string): Promise<string> {
  const owner = await socketOwner(path);
  return owner === undefined ? path : `${path}, ${owner}`;
}
