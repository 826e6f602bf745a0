/** What a row of the kubectl table says. */

/** One run of kubectl, and what it must say and end with. */
export interface Step {
  /** What follows `kubectl`; split at spaces. */
  readonly run: string;
  /** Objects for `-f -`. */
  readonly input?: readonly object[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default 0. */
  readonly code?: number;
  readonly out?: readonly RegExp[];
  readonly err?: readonly RegExp[];
  /**
   * Run one after the other while the command goes on, each when everything before was seen; the command is stopped
   * when all of `out` was.
   */
  readonly meanwhile?: readonly Step[];
}

/** A command; its steps run one after the other. */
export interface Row {
  readonly name: string;
  readonly steps: readonly Step[];
}
