/**
 * MPS control daemons as processes of this machine: NVIDIA's nvidia-cuda-mps-control, or what stands in for it.
 *
 * The daemon runs in the background as a process of its own, so that it outlives an agent that is replaced; the next
 * agent knows it by the process id that the daemon writes beside its pipe. Commands go through a second run of the same
 * binary, which reads them from its input (nvidia-cuda-mps-control(1)). Nothing goes through a shell.
 */
import { spawn } from "node:child_process";
import { chmod, mkdir, open, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, isErrno, TrancheError } from "../../base/index.ts";
import type { MpsMachine, MpsPlace } from "./mps-machine.ts";

export interface SystemMpsOptions {
  /** The control daemon's program, a name to be found on PATH or a path. */
  readonly binary: string;
  /** What it is started with; must include what makes it go to the background. NVIDIA's takes `-d`. */
  readonly startArguments: readonly string[];
  /**
   * nvidia-smi, which gives a shared GPU to the MPS server alone (compute mode EXCLUSIVE_PROCESS), so that a client
   * whose daemon is gone fails instead of running without limits. `undefined` leaves compute modes as they are; MIG devices
   * keep theirs in any case.
   */
  readonly smiBinary: string | undefined;
  /** As PATH has it: where programs are looked for, the MPS server by the control daemon too. */
  readonly searchPath: string;
}

/** Written by the control daemon into its pipe directory. */
const PID_FILE = "nvidia-cuda-mps-control.pid";
/** What a daemon may print; it prints a line for a client. */
const OUTPUT_LIMIT = 256 * 1024;

interface Run {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Sent to its input. */
  readonly input?: string;
  /** A descriptor for what it prints, instead of reading it: what goes to the background keeps what it was given. */
  readonly output?: number;
  readonly signal?: AbortSignal;
}

/** The machine's own daemons. */
export function systemMps({ binary, startArguments, smiBinary, searchPath }: SystemMpsOptions): MpsMachine {
  const program = basename(binary);
  const base = { PATH: searchPath };
  const setMode = async (deviceUuid: string, mode: "EXCLUSIVE_PROCESS" | "DEFAULT"): Promise<void> => {
    if (smiBinary === undefined || isMig(deviceUuid)) return;
    await run({ command: smiBinary, args: ["-i", deviceUuid, "-c", mode], env: base });
  };
  return {
    simulated: false,
    known: async (root) =>
      (await readdir(root).catch(ifAbsent([]))).filter((name) => name.startsWith("GPU-") || isMig(name)),
    pid: (place) => livingPid(place, program),
    start: async (place, signal) => {
      await prepare(place);
      await setMode(place.deviceUuid, "EXCLUSIVE_PROCESS");
      const file = await open(join(logOf(place), "start.log"), "w");
      try {
        // With CUDA_VISIBLE_DEVICES the daemon has the device as its number 0, and no other.
        const env = {
          ...base,
          ...pipeEnv(place),
          CUDA_MPS_LOG_DIRECTORY: logOf(place),
          CUDA_VISIBLE_DEVICES: place.deviceUuid,
        };
        await run({ command: binary, args: startArguments, env, output: file.fd, signal });
      } catch (error) {
        const said = (await readFile(join(logOf(place), "start.log"), "utf8").catch(() => "")).trim();
        throw said === "" ? error : new TrancheError("mps-daemon", `${errorText(error)}: ${said}`);
      } finally {
        await file.close();
      }
    },
    send: (place, command, signal) =>
      run({ command: binary, args: [], env: { ...base, ...pipeEnv(place) }, input: `${command}\n`, signal }),
    kill: (pid, signal) => {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error;
      }
    },
    tidy: async (place) => {
      await setMode(place.deviceUuid, "DEFAULT");
      await rm(place.directory, { recursive: true, force: true });
    },
  };
}

function isMig(deviceUuid: string): boolean {
  return deviceUuid.startsWith("MIG-");
}

function pipeOf({ directory }: MpsPlace): string {
  return join(directory, "pipe");
}

function logOf({ directory }: MpsPlace): string {
  return join(directory, "log");
}

function pipeEnv(place: MpsPlace): Readonly<Record<string, string>> {
  return { CUDA_MPS_PIPE_DIRECTORY: pipeOf(place) };
}

/**
 * Directories that everybody may enter, whatever the umask: clients that are not root must reach the pipe.
 *
 * Containers get `<root>/shm` as their /dev/shm and must find there what the daemon has in its own. In a container that
 * directory is mounted on both; outside one it is a link to the host's.
 */
async function prepare(place: MpsPlace): Promise<void> {
  const root = dirname(place.directory);
  for (const directory of [root, place.directory, pipeOf(place), logOf(place)]) {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o755);
  }
  // What a daemon that died has left would keep the next one from its pipe; the directory itself is mounted in clients.
  for (const left of await readdir(pipeOf(place))) await rm(join(pipeOf(place), left), { recursive: true });
  const shm = join(root, "shm");
  if ((await stat(shm).catch(ifAbsent(undefined))) === undefined) await symlink("/dev/shm", shm);
}

/** The process that the daemon's file names, if it is one of the program: numbers are used again. */
async function livingPid(place: MpsPlace, program: string): Promise<number | undefined> {
  const text = (await readFile(join(pipeOf(place), PID_FILE), "utf8").catch(ifAbsent(""))).trim();
  if (!/^\d+$/.test(text)) return undefined;
  // A process that has ended and waits for its parent has an empty command line.
  const line = await readFile(`/proc/${text}/cmdline`, "utf8").catch(() => "");
  return line.includes(program) ? Number(text) : undefined;
}

/** Runs a program to its end and resolves with what it printed; rejects unless it ends with exit code 0. */
function run({ command, args, env, input, output, signal }: Run): Promise<string> {
  return new Promise((resolve, reject) => {
    const out = output ?? "pipe";
    const child = spawn(command, args, { env, stdio: [input === undefined ? "ignore" : "pipe", out, out] });
    let printed = "";
    const take = (chunk: Buffer): void => {
      if (printed.length < OUTPUT_LIMIT) printed += chunk.toString("utf8");
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    const onAbort = (): void => void child.kill("SIGKILL");
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    const fail = (what: string, cause?: unknown): void => {
      reject(new TrancheError("mps-daemon", `${command} ${what}`, { cause }));
    };
    child.on("error", (error) => fail(`cannot be run: ${errorText(error)}`, error));
    // "exit" where output is not read: its file stays open in the background.
    child.on(output === undefined ? "close" : "exit", (code, ended) => {
      signal?.removeEventListener("abort", onAbort);
      if (code === 0) resolve(printed);
      else
        fail(`ended with ${code === null ? ended : `exit code ${code}`}${printed === "" ? "" : `: ${printed.trim()}`}`);
    });
    // It may end before it has read all; its exit code tells.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

function ifAbsent<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (isErrno(error, "ENOENT")) return value;
    throw error;
  };
}
