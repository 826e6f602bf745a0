/**
 * NVIDIA's MPS on simulated GPUs and MIG devices: control daemons that take the commands of nvidia-cuda-mps-control, and the limits that
 * their clients run into.
 *
 * As with the real one, a client is held to the limits its server had when it came, and a process that finds no daemon
 * behind its pipe is none: nothing limits it. Thread percentages are kept and not felt, since nothing here computes.
 */
import { TrancheError } from "../../base/index.ts";

interface Server {
  readonly pid: number;
  memoryMiB: number | undefined;
  threadPercentage: number;
  readonly clients: Set<number>;
}

interface Daemon {
  readonly pid: number;
  readonly deviceUuid: string;
  memoryMiB: number | undefined;
  threadPercentage: number;
  /** Started by the first client, as one server for everybody. */
  server: Server | undefined;
}

/** A daemon by its directory and its device, a GPU or a MIG device. */
export interface SimulatedMpsPlace {
  readonly directory: string;
  readonly deviceUuid: string;
}

/** The MPS side of one simulated node. */
export class SimulatedMps {
  readonly simulated = true;
  /** By directory; without a daemon where one ended without being tidied away. */
  readonly #places = new Map<string, { readonly deviceUuid: string; daemon: Daemon | undefined }>();
  readonly #nextPid: () => number;

  /** `nextPid` gives numbers that no process of the node has. */
  constructor(nextPid: () => number) {
    this.#nextPid = nextPid;
  }

  async known(root: string): Promise<readonly string[]> {
    const below = `${root.replace(/\/+$/, "")}/`;
    return [...this.#places]
      .filter(([directory]) => directory.startsWith(below))
      .map(([, { deviceUuid }]) => deviceUuid);
  }

  async pid({ directory }: SimulatedMpsPlace): Promise<number | undefined> {
    return this.#places.get(directory)?.daemon?.pid;
  }

  async start({ directory, deviceUuid }: SimulatedMpsPlace): Promise<void> {
    if (this.#places.get(directory)?.daemon !== undefined) {
      throw new TrancheError("mps-daemon", "an instance of this daemon is already running");
    }
    const daemon = { pid: this.#nextPid(), deviceUuid, memoryMiB: undefined, threadPercentage: 100, server: undefined };
    this.#places.set(directory, { deviceUuid, daemon });
  }

  async send(place: SimulatedMpsPlace, command: string): Promise<string> {
    const held = this.#places.get(place.directory);
    const daemon = held?.daemon;
    if (held === undefined || daemon === undefined) {
      throw new TrancheError("mps-daemon", "Cannot find MPS control daemon process");
    }
    const [word, ...args] = command.split(" ");
    const server = daemon.server?.pid === Number(args[0]) ? daemon.server : undefined;
    switch (word) {
      case "get_server_list":
        return daemon.server === undefined ? "" : `${daemon.server.pid}\n`;
      case "get_client_list":
        return [...(server?.clients ?? [])].map((pid) => `${pid}\n`).join("");
      case "set_default_device_pinned_mem_limit":
        daemon.memoryMiB = Number.parseInt(args[1] ?? "", 10);
        return "";
      case "set_default_active_thread_percentage":
        daemon.threadPercentage = Number(args[0]);
        return `${daemon.threadPercentage.toFixed(1)}\n`;
      case "set_device_pinned_mem_limit":
        if (server !== undefined) server.memoryMiB = Number.parseInt(args[2] ?? "", 10);
        return "";
      case "set_active_thread_percentage":
        if (server !== undefined) server.threadPercentage = Number(args[1]);
        return "";
      case "quit":
        held.daemon = undefined;
        return "";
      default:
        throw new TrancheError("mps-daemon", `Unrecognized command: ${command}`);
    }
  }

  kill(pid: number): void {
    for (const place of this.#places.values()) if (place.daemon?.pid === pid) place.daemon = undefined;
  }

  async tidy({ directory }: SimulatedMpsPlace): Promise<void> {
    this.#places.delete(directory);
  }

  /** Whether a process with this pipe becomes a client. */
  reaches(pipeDirectory: string, deviceUuid: string): boolean {
    return this.#daemonAt(pipeDirectory, deviceUuid) !== undefined;
  }

  /** The limit of device memory for a new client of `pipeDirectory`; `undefined` when nothing limits it. */
  limitMiB(pipeDirectory: string, deviceUuid: string): number | undefined {
    const daemon = this.#daemonAt(pipeDirectory, deviceUuid);
    return daemon === undefined ? undefined : (daemon.server ?? daemon).memoryMiB;
  }

  /** Counts a process as a client; it leaves when `gone` resolves. */
  join(
    pipeDirectory: string,
    process: { readonly pid: number; readonly device: string; readonly gone: Promise<unknown> },
  ): void {
    const daemon = this.#daemonAt(pipeDirectory, process.device);
    if (daemon === undefined) return;
    const { memoryMiB, threadPercentage } = daemon;
    daemon.server ??= { pid: this.#nextPid(), memoryMiB, threadPercentage, clients: new Set() };
    const { clients } = daemon.server;
    clients.add(process.pid);
    void process.gone.then(() => clients.delete(process.pid));
  }

  /** A power cut: no process and no file of a run-time directory outlives it. */
  reboot(): void {
    this.#places.clear();
  }

  #daemonAt(pipeDirectory: string, deviceUuid: string): Daemon | undefined {
    const daemon = this.#places.get(pipeDirectory.replace(/\/pipe$/, ""))?.daemon;
    return daemon?.deviceUuid === deviceUuid ? daemon : undefined;
  }
}
