/** `bin/tranche` as a process of its own, in a process group of its own and with its own directory for temporary files. */
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { cleanUp } from "./clean-up.ts";
import { everythingBelow, temporaryDirectory } from "./temporary.ts";
import { until } from "./until.ts";

const program = fileURLToPath(new URL("../../bin/tranche", import.meta.url));

/** How a process ended: one of the two is set. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class TrancheProcess {
  /** Where the process makes temporary files. */
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<ProcessEnd>;
  #out = "";
  #progress = "";

  private constructor(args: readonly string[], directory: string) {
    this.directory = directory;
    this.#child = spawn(program, args, {
      detached: true,
      // Node's compile cache stays where it always is.
      env: {
        ...process.env,
        TMPDIR: directory,
        // Where `up` notes that it runs.
        XDG_RUNTIME_DIR: directory,
        NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (chunk) => {
      this.#out += chunk;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#progress += chunk;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.#ended.catch(() => {}); // Whoever waits is told.
  }

  /** Starts `tranche ARGS`; what is left of it after the test is killed. */
  static async start(t: TestContext, ...args: readonly string[]): Promise<TrancheProcess> {
    const started = new TrancheProcess(args, await temporaryDirectory(t));
    cleanUp(t, () => started.#kill());
    return started;
  }

  /** Everything on standard output so far. */
  get answer(): string {
    return this.#out;
  }

  /** Everything on standard error so far. */
  get progress(): string {
    return this.#progress;
  }

  /** Waits for a match on standard error and returns its first group; fails when the process ends before. */
  async says(pattern: RegExp): Promise<string> {
    return until(`${program} says ${pattern}`, () => {
      const match = pattern.exec(this.#progress);
      if (match !== null) return match[1] ?? match[0];
      if (this.#child.exitCode !== null) throw new Error(`it ended without saying ${pattern}:\n${this.#progress}`);
      return undefined;
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** How it ended, once nothing of its process group is left; fails when that takes more than ten seconds. */
  async end(): Promise<ProcessEnd> {
    let end: ProcessEnd | undefined;
    void this.#ended.then((found) => {
      end = found;
    });
    return until(`${program} ends`, () => (this.#lives() ? undefined : end));
  }

  /** What is left in its directory for temporary files. */
  leftovers(): Promise<readonly string[]> {
    return everythingBelow(this.directory);
  }

  #lives(): boolean {
    try {
      process.kill(-this.#pid(), 0);
      return true;
    } catch {
      return false;
    }
  }

  async #kill(): Promise<void> {
    try {
      process.kill(-this.#pid(), "SIGKILL");
    } catch {
      return; // It has ended.
    }
    await this.end();
  }

  #pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${program} did not start`);
    return pid;
  }
}
