/**
 * One resource of a node: its server, and how its registration stands.
 */
import { connect } from "node:net";
import { basename } from "node:path";
import { type Clock, errorText, type Finding, finding, type Logger, TrancheError } from "../base/index.ts";
import { DevicePluginServer } from "./plugin-server.ts";
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
  #withdrawn = false;
  #registration: Registration | undefined;
  #streamsEnded = false;
  #listened = false;
  /** What failures count for: the start of the kubelet and the state of the socket file. When it changes, they are over. */
  #circumstances = "";
  #failures = 0;
  #retryAtMs = 0;
  #error: unknown;

  constructor({ clock, log, onStreamsEnded, ...server }: PluginSlotOptions) {
    this.#clock = clock;
    this.#log = log;
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
    if (this.#error === undefined) return this.#server.findings;
    const remedy = "look at the kubelet's log on this node; registration is tried again by itself";
    return [...this.#server.findings, finding("kubelet-not-registered", subject, errorText(this.#error), { remedy })];
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
    if (livedMs >= steadyMs && this.#streamsEnded) {
      this.#failures = 0;
      return;
    }
    const message = "no ListAndWatch stream from the kubelet is open";
    this.#fail(new TrancheError("kubelet-away", message, { retryable: true }), identity);
  }

  /** A plugin that starts takes the socket over; one that loses it to another that serves steps back. */
  async #listen(file: "other" | "gone"): Promise<void> {
    const { socketPath } = this.#server;
    if (file === "other" && this.#listened && (await isServed(socketPath))) {
      this.#registration = undefined;
      throw new TrancheError("socket-taken", `another device plugin serves ${socketPath}`, { retryable: true });
    }
    await this.#server.start();
    this.#listened = true;
  }

  async #register(kubelet: KubeletSocket): Promise<void> {
    const { identity } = kubelet;
    if (identity === undefined) throw new TrancheError("kubelet-away", `there is no ${kubelet.socket}`);
    this.#streamsEnded = false;
    await this.#server.register(kubelet.socket, kubelet.signal);
    this.#registration = { kubelet: identity, sinceMs: this.#clock.now() };
    this.#log.info({ resource: this.#server.resource, devices: this.#server.deviceCount }, "resource registered");
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

/** Whether somebody accepts connections on the socket at `path`. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
