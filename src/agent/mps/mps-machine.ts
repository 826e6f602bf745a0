/**
 * The port through which daemons of NVIDIA's MPS are run: processes and files of a machine, or a simulation of them.
 */

/** A control daemon by what tells it from others. */
export interface MpsPlace {
  /** Holds its `pipe` and `log`; there from before it starts until it has ended and was tidied away. */
  readonly directory: string;
  /** The one GPU or MIG device it sees. */
  readonly deviceUuid: string;
}

export interface MpsMachine {
  /** Whether its daemons are simulated. */
  readonly simulated: boolean;
  /** UUIDs of the devices that have a directory below `root`: of a daemon that runs, or of one that did not end cleanly. */
  known(root: string): Promise<readonly string[]>;
  /** The process of the daemon, `undefined` when it does not live. Cheap, and says nothing about whether it works. */
  pid(place: MpsPlace): Promise<number | undefined>;
  /** Prepares directories and device and starts the daemon. Resolves when it listens, rejects when it does not. */
  start(place: MpsPlace, signal: AbortSignal): Promise<void>;
  /** Sends one line of the control protocol and resolves with what is printed; rejects when no daemon takes it. */
  send(place: MpsPlace, command: string, signal: AbortSignal): Promise<string>;
  /** Signals a process that `pid` has named; nothing happens when it is gone. */
  kill(pid: number, signal: "SIGTERM" | "SIGKILL"): void;
  /** Takes away what `start` has prepared, once the daemon has ended. */
  tidy(place: MpsPlace): Promise<void>;
}
