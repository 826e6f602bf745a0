/**
 * MPS on one node: a supervised control daemon for each device that is shared so, and what is to be told about them.
 */
import { type Clock, errorText, type Finding, finding, type Logger } from "../../base/index.ts";
import { type Device, type MpsDaemon, mpsDaemons, mpsDirectory, type Offer } from "../../sharing/index.ts";
import type { UntoldEvents } from "../untold-events.ts";
import { within } from "./deadline.ts";
import type { MpsMachine } from "./mps-machine.ts";
import type { MpsState } from "./mps-state.ts";
import { MpsSupervisor } from "./supervisor.ts";

/** How long new limits may take to be told before the shares that need them are offered all the same. */
const TELL_MS = 5_000;
const TELL_POLL_MS = 10;
/** How long a change of the GPU waits for the daemon's end; the driver refuses it if that was too short. */
const RELEASE_MS = 20_000;

export interface NodeMpsOptions {
  readonly node: string;
  readonly machine: MpsMachine;
  readonly clock: Clock;
  readonly log: Logger;
  /** UUIDs of what pods hold; rejects while nobody can tell. */
  holders(): Promise<ReadonlyMap<string, unknown>>;
  readonly events: Pick<UntoldEvents, "add" | "tell">;
  /** Called when shares may be given out, or may not any more. */
  onChange(): void;
}

export class NodeMps {
  readonly #options: NodeMpsOptions;
  /** By device UUID; one that is gone stays, since what is there costs nothing. */
  readonly #supervisors = new Map<string, MpsSupervisor>();
  /**
   * Devices that were offered without MPS since a daemon served them last: pods that hold one of them are no clients.
   * Before the first offer of a device its holders count as clients: after a reboot their daemon is gone and they need it.
   */
  readonly #otherwise = new Set<string>();
  /** Where it was looked for what an agent before has left. */
  readonly #roots = new Set<string>();
  /** Names of devices for people, as offers had them last. */
  readonly #names = new Map<string, string>();

  constructor(options: NodeMpsOptions) {
    this.#options = options;
  }

  /** Makes the daemons that `offers` need all there are below `root`; returns once those that run know their limits. */
  async follow(offers: readonly Offer[], root: string): Promise<void> {
    const daemons = new Map(mpsDaemons(offers).map((daemon) => [daemon.deviceUuid, daemon]));
    for (const { uuid, index, migProfile } of offers.flatMap(({ devices }) => devices)) {
      this.#names.set(uuid, migProfile === undefined ? `GPU ${index}` : `MIG device ${index} (${migProfile})`);
    }
    await this.#find(root);
    for (const deviceUuid of this.#names.keys()) {
      if (daemons.has(deviceUuid)) this.#supervisor(deviceUuid);
      else if (this.isReady({ uuid: deviceUuid })) this.#otherwise.add(deviceUuid);
    }
    for (const [deviceUuid, supervisor] of this.#supervisors) {
      const daemon = daemons.get(deviceUuid);
      supervisor.follow(daemon && { daemon, root });
    }
    const { clock } = this.#options;
    const endMs = clock.now() + TELL_MS;
    while (clock.now() < endMs && this.#all().some(({ state, busy }) => state.kind === "ready" && busy)) {
      await clock.sleep(TELL_POLL_MS);
    }
  }

  /** Whether pods may get the device as far as MPS is concerned: its daemon works, or it needs none and has none. */
  isReady({ uuid }: Pick<Device, "uuid">): boolean {
    const supervisor = this.#supervisors.get(uuid);
    return supervisor === undefined || supervisor.state.kind === (supervisor.wish === undefined ? "gone" : "ready");
  }

  /** Ends the daemons of devices that are to go: a server would keep its device busy. Nobody holds them by then. */
  async release(deviceUuids: readonly string[]): Promise<void> {
    await Promise.all(deviceUuids.map((one) => this.#release(one)));
  }

  async #release(deviceUuid: string): Promise<void> {
    const supervisor = this.#supervisors.get(deviceUuid);
    if (supervisor === undefined || supervisor.state.kind === "gone") return;
    supervisor.follow(undefined);
    const { clock, log } = this.#options;
    await within({ clock, ms: RELEASE_MS, missing: "no end" }, () => supervisor.ended()).catch((error: unknown) => {
      log.warn({ deviceUuid, error: errorText(error) }, "MPS control daemon is in the way of a change");
    });
  }

  /** Whether a daemon is being started, told or ended. */
  get busy(): boolean {
    return this.#all().some((one) => one.busy);
  }

  /** Ends all daemons that no pod needs. */
  async stop(): Promise<void> {
    const { log } = this.#options;
    await Promise.all(
      [...this.#supervisors].map(([deviceUuid, one]) =>
        one.stop().catch((error: unknown) => log.warn({ deviceUuid, error: errorText(error) }, "MPS daemon not ended")),
      ),
    );
  }

  /** How many client processes each daemon that works had when it was last asked, by device UUID. */
  clients(): ReadonlyMap<string, number> {
    return new Map(
      [...this.#supervisors].flatMap(([deviceUuid, { state }]) =>
        state.kind === "ready" ? [[deviceUuid, state.clients] as const] : [],
      ),
    );
  }

  /** What keeps shares from being given out. */
  findings(): readonly Finding[] {
    return [...this.#supervisors].flatMap(([deviceUuid, { state, wish }]) =>
      this.#found(deviceUuid, state, wish?.daemon),
    );
  }

  #found(deviceUuid: string, state: MpsState, daemon: MpsDaemon | undefined): readonly Finding[] {
    const device = this.#name(deviceUuid);
    const subject = { kind: "gpu", name: `${this.#options.node} ${device}` } as const;
    const evidence = { deviceUuid, simulated: this.#options.machine.simulated };
    const shares = `${daemon?.shares ?? 0} shares`;
    switch (state.kind) {
      case "down": {
        const message = `the ${this.#word()} of ${device} does not work, so its ${shares} are not given to pods: ${state.reason}`;
        const remedy = "it is started again by itself; if that does not help, see control.log in its log directory";
        return [finding("mps-daemon-down", subject, message, { remedy, evidence })];
      }
      case "waiting": {
        const message = `${device} is to be shared by MPS, but pods hold it without; its ${shares} are not given out before they have ended`;
        const remedy = "wait for those pods, or delete them";
        return [finding("mps-waits", subject, message, { remedy, evidence })];
      }
      case "ending": {
        if (!state.held) return [];
        const message = `${device} is not to be shared by MPS any more, but pods still hold its shares; it is given to no other pod before they have ended`;
        const remedy = "wait for those pods, or delete them";
        return [finding("mps-daemon-held", subject, message, { remedy, evidence })];
      }
      case "starting":
      case "ready":
      case "gone":
        return [];
    }
  }

  /** Daemons that were left behind get a supervisor, which adopts or ends them. */
  async #find(root: string): Promise<void> {
    if (root === "" || this.#roots.has(root)) return;
    for (const deviceUuid of await this.#options.machine.known(root)) {
      if (!this.#supervisors.has(deviceUuid)) this.#supervisor(deviceUuid, mpsDirectory(root, deviceUuid));
    }
    this.#roots.add(root);
  }

  #supervisor(deviceUuid: string, directory?: string): void {
    if (this.#supervisors.has(deviceUuid)) return;
    const { machine, clock, log, holders } = this.#options;
    const place = directory === undefined ? undefined : { directory, deviceUuid };
    const held = (): Promise<boolean> =>
      holders().then(
        (devices) => devices.has(deviceUuid),
        () => true, // While nobody can tell, everything counts as held.
      );
    const options = {
      deviceUuid,
      machine,
      clock,
      log,
      held,
      heldOtherwise: async () => this.#otherwise.has(deviceUuid) && (await held()),
      onState: (state: MpsState, before: MpsState) => this.#onState(deviceUuid, state, before),
    };
    this.#supervisors.set(deviceUuid, new MpsSupervisor(options, place));
  }

  #onState(deviceUuid: string, state: MpsState, before: MpsState): void {
    if (state.kind === before.kind && state.kind === "ready") return;
    const { events, onChange } = this.#options;
    if (state.kind === "ready") this.#otherwise.delete(deviceUuid);
    const daemon = this.#supervisors.get(deviceUuid)?.wish?.daemon;
    if (state.kind === "ready" && daemon !== undefined) {
      const { memoryMiB, threadPercentage } = daemon.limits;
      const memory = memoryMiB === undefined ? "" : ` ${memoryMiB} MiB and`;
      const limits = `a client gets at most${memory} ${threadPercentage} % of the threads`;
      const message = `the ${this.#word()} of ${this.#name(deviceUuid)} works: ${daemon.shares} shares, ${limits}`;
      events.add("node", { reason: "MpsDaemonReady", message, severity: "info" });
      void events.tell();
    }
    onChange();
  }

  #word(): string {
    return this.#options.machine.simulated ? "simulated MPS control daemon" : "MPS control daemon";
  }

  #name(deviceUuid: string): string {
    return this.#names.get(deviceUuid) ?? deviceUuid;
  }

  #all(): readonly MpsSupervisor[] {
    return [...this.#supervisors.values()];
  }
}
