/**
 * Keeps the MPS control daemon of one device as it is wanted: runs it, watches it, starts it again, ends it.
 *
 * Each step looks at what there is and does one thing about it, so a daemon that an agent before left behind, or that
 * somebody else killed, needs no case of its own. What a pod uses is never taken from it: a daemon that is not wanted
 * any more lives on until nobody holds a share, and none is started on a device that pods got by other means.
 */
import { type Clock, errorText, type Logger, TrancheError } from "../../base/index.ts";
import {
  MPS_SERVERS,
  type MpsDaemon,
  mpsDirectory,
  mpsLimitCommands,
  mpsProcessIds,
  mpsServerCommands,
} from "../../sharing/index.ts";
import { within } from "./deadline.ts";
import type { MpsMachine, MpsPlace } from "./mps-machine.ts";
import type { MpsState, MpsWish } from "./mps-state.ts";

/** How soon it is noticed that the daemon's process is gone. */
const LOOK_MS = 500;
/** How often it must answer, and how long that may take. */
const PROBE_MS = 10_000;
const ANSWER_MS = 5_000;
/** So many answers must be missing, one after the other, before a daemon is ended: its clients may be well. */
const MISSED_ANSWERS = 3;
const START_MS = 30_000;
/** After each of `quit`, SIGTERM and SIGKILL. */
const END_MS = 5_000;
const END_POLL_MS = 20;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** A daemon that has worked for so long starts anew with the shortest wait. */
const STEADY_MS = 60_000;

export interface SupervisorOptions {
  readonly deviceUuid: string;
  readonly machine: MpsMachine;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether a pod holds the device; true while nobody can tell. */
  held(): Promise<boolean>;
  /** Whether pods hold it that got it without MPS. */
  heldOtherwise(): Promise<boolean>;
  /** Called after each change of `state`. */
  onState(state: MpsState, before: MpsState): void;
}

export class MpsSupervisor {
  readonly #options: SupervisorOptions;
  readonly #ending = new AbortController();
  #wish: MpsWish | undefined;
  #state: MpsState = { kind: "starting" };
  /** Where a daemon runs or may run. */
  #place: MpsPlace | undefined;
  /** The commands that the daemon was told; `undefined` when it may not know them. */
  #told: string | undefined;
  #failures = 0;
  #missed = 0;
  #retryAtMs = 0;
  #readySinceMs = 0;
  #probeAtMs = 0;
  #wake = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;

  /** `place` is where an agent before this one has left something. */
  constructor(options: SupervisorOptions, place?: MpsPlace) {
    this.#options = options;
    this.#place = place;
  }

  get state(): MpsState {
    return this.#state;
  }

  get wish(): MpsWish | undefined {
    return this.#wish;
  }

  /** Whether it has something to do that does not wait for a pod or for the next try. */
  get busy(): boolean {
    const { kind } = this.#state;
    if (kind === "ending") return !this.#state.held;
    return kind === "starting" || (kind === "ready" && this.#isUntold());
  }

  /** Sets what is wanted, `undefined` for no daemon; the first call begins to act. */
  follow(wish: MpsWish | undefined): void {
    const isSame = JSON.stringify(wish) === JSON.stringify(this.#wish);
    this.#wish = wish;
    if (this.#running === undefined) this.#running = this.#run(this.#ending.signal);
    if (isSame) return;
    if (wish !== undefined && ["ending", "gone"].includes(this.#state.kind)) this.#set({ kind: "starting" });
    this.#wake.resolve();
  }

  /** Resolves when the daemon that is not wanted any more has ended. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** Stops watching. A daemon whose device nobody holds is ended; another one is left to the agent that comes next. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    const place = this.#place;
    if (place === undefined) return;
    if (await this.#inUse(place)) {
      this.#options.log.info({ deviceUuid: place.deviceUuid }, "MPS control daemon left to its clients");
      return;
    }
    await this.#end(place);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, log, deviceUuid } = this.#options;
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      let waitMs: number | undefined;
      try {
        waitMs = await this.#step(signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ deviceUuid, error: errorText(error) }, "MPS control daemon does not work");
        waitMs = this.#failed(errorText(error));
      }
      if (waitMs === undefined) {
        if (this.#wish !== undefined) continue; // It was wanted again meanwhile.
        this.#running = undefined;
        return;
      }
      const timer = new AbortController();
      const either = AbortSignal.any([timer.signal, signal]);
      await Promise.race([this.#wake.promise, clock.sleep(waitMs, either).catch(() => {})]);
      timer.abort();
    }
  }

  /** One look and what follows from it; how long until the next, `undefined` when there is nothing left to look at. */
  async #step(signal: AbortSignal): Promise<number | undefined> {
    const { clock, deviceUuid } = this.#options;
    const wish = this.#wish;
    const directory = wish && mpsDirectory(wish.root, deviceUuid);
    if (this.#place !== undefined && this.#place.directory !== directory) return this.#leave(this.#place);
    if (wish === undefined || directory === undefined) {
      this.#set({ kind: "gone" });
      return undefined;
    }
    const waitMs = this.#retryAtMs - clock.now();
    if (waitMs > 0) return waitMs;
    const place = { directory, deviceUuid };
    if ((await this.#options.machine.pid(place)) === undefined) {
      if (this.#state.kind === "ready") throw new TrancheError("mps-daemon", "its process has ended");
      if (!(await this.#start(place, signal))) {
        this.#set({ kind: "waiting" });
        return LOOK_MS;
      }
    }
    this.#place = place;
    try {
      await this.#see(place, wish.daemon, signal);
      this.#missed = 0;
    } catch (error) {
      this.#missed += 1;
      if (signal.aborted || this.#missed >= MISSED_ANSWERS) throw error;
      this.#told = undefined;
      this.#set({ kind: "down", reason: errorText(error) });
    }
    return LOOK_MS;
  }

  /** Starts the daemon; false when pods hold the device that do not use MPS, which would keep its server from it. */
  async #start(place: MpsPlace, signal: AbortSignal): Promise<boolean> {
    const { clock, machine, heldOtherwise } = this.#options;
    this.#told = undefined;
    if (await heldOtherwise()) return false;
    if (this.#state.kind === "waiting") this.#set({ kind: "starting" });
    this.#place = place;
    const deadline = { clock, ms: START_MS, missing: "it does not listen", signal };
    await within(deadline, (until) => machine.start(place, until));
    if ((await machine.pid(place)) !== undefined) return true;
    throw new TrancheError("mps-daemon", "its process ended right after its start");
  }

  /** Tells the daemon what it does not know and, at times, asks for its clients; throws when it does not answer. */
  async #see(place: MpsPlace, daemon: MpsDaemon, signal: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.now();
    if (this.#isUntold()) {
      for (const command of mpsLimitCommands(daemon)) await this.#send(place, command, signal);
      for (const server of mpsProcessIds(await this.#send(place, MPS_SERVERS, signal))) {
        for (const command of mpsServerCommands(daemon, server)) await this.#send(place, command, signal);
      }
      this.#told = toldKey(place.directory, daemon);
    } else if (this.#state.kind === "ready" && nowMs < this.#probeAtMs) return;
    const clients = await this.#clients(place, signal);
    this.#probeAtMs = nowMs + PROBE_MS;
    if (this.#state.kind !== "ready") this.#readySinceMs = nowMs;
    if (nowMs - this.#readySinceMs >= STEADY_MS) this.#failures = 0;
    // What was wanted meanwhile is told in the next step.
    this.#set({ kind: "ready", clients });
  }

  /** Ends a daemon that is not wanted, or not there, once nobody uses it. */
  async #leave(place: MpsPlace): Promise<number> {
    const held = await this.#inUse(place);
    this.#set({ kind: "ending", held });
    if (held) return LOOK_MS;
    await this.#end(place);
    if (this.#wish !== undefined) this.#set({ kind: "starting" });
    return 0;
  }

  /** A daemon that does not answer has no client that it could serve. */
  async #inUse(place: MpsPlace): Promise<boolean> {
    const { machine, held } = this.#options;
    if (await held()) return true;
    if ((await machine.pid(place)) === undefined) return false;
    return (await this.#clients(place).catch(() => 0)) > 0;
  }

  /** Asks the daemon to quit, then tells its process, then ends it. */
  async #end(place: MpsPlace): Promise<void> {
    const { machine } = this.#options;
    await this.#send(place, "quit").catch(() => {}); // Who does not take it gets a signal.
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const pid = await this.#stillThere(place);
      if (pid !== undefined) machine.kill(pid, signal);
    }
    if ((await this.#stillThere(place)) !== undefined)
      throw new TrancheError("mps-daemon", "its process cannot be ended");
    await machine.tidy(place);
    this.#place = undefined;
    this.#told = undefined;
    this.#failures = 0;
    this.#retryAtMs = 0;
  }

  /** The daemon's process if it does not end within five seconds. */
  async #stillThere(place: MpsPlace): Promise<number | undefined> {
    const { machine, clock } = this.#options;
    const endMs = clock.now() + END_MS;
    for (;;) {
      const pid = await machine.pid(place);
      if (pid === undefined || clock.now() >= endMs) return pid;
      await clock.sleep(END_POLL_MS);
    }
  }

  /** What is left of it is ended at once: a daemon that hangs would keep a new one from its pipe. */
  #failed(reason: string): number {
    const { clock, machine } = this.#options;
    const place = this.#place;
    if (place !== undefined) {
      machine
        .pid(place)
        .then((pid) => pid !== undefined && machine.kill(pid, "SIGKILL"))
        .catch(() => {}); // It is tried again with the next start.
    }
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LONGEST_RETRY_MS);
    this.#failures += 1;
    this.#missed = 0;
    this.#retryAtMs = clock.now() + waitMs;
    this.#told = undefined;
    this.#set({ kind: "down", reason });
    return waitMs;
  }

  async #clients(place: MpsPlace, signal?: AbortSignal): Promise<number> {
    let clients = 0;
    for (const server of mpsProcessIds(await this.#send(place, MPS_SERVERS, signal))) {
      clients += mpsProcessIds(await this.#send(place, `get_client_list ${server}`, signal)).length;
    }
    return clients;
  }

  #send(place: MpsPlace, command: string, signal?: AbortSignal): Promise<string> {
    const { clock, machine } = this.#options;
    const early = signal === undefined ? {} : { signal };
    const deadline = { clock, ms: ANSWER_MS, missing: `no answer to ${command}`, ...early };
    return within(deadline, (until) => machine.send(place, command, until));
  }

  #isUntold(): boolean {
    const wish = this.#wish;
    if (wish === undefined || this.#place === undefined) return true;
    return this.#told !== toldKey(mpsDirectory(wish.root, this.#place.deviceUuid), wish.daemon);
  }

  #set(state: MpsState): void {
    const before = this.#state;
    if (JSON.stringify(before) === JSON.stringify(state)) return;
    this.#state = state;
    this.#options.onState(state, before);
  }
}

function toldKey(directory: string, daemon: MpsDaemon): string {
  return JSON.stringify([directory, mpsLimitCommands(daemon)]);
}
