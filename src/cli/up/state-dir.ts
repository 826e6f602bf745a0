/**
 * The directory that holds what a running `up` needs on disk, and what outlives it when it was named by the user.
 *
 * ```
 * lock             names the process that uses the directory
 * journal.jsonl    every object of the API server
 * server.json      its port, token and certificate
 * kubeconfig
 * nodes/0/         the kubelet's directory of the first machine; machine.json beside it, with GPUs and their layout
 * ```
 *
 * A directory is used only if it is empty of such things or has what shows whose they are: `up` changes what it made, and
 * must never touch a directory that happens to have the same names in it.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { errorText, type Finding, finding, isErrno, type Outcome } from "../../base/index.ts";
import { writeWhole } from "../node/atomic-file.ts";
import { CONTROL_SOCKET } from "./control-protocol.ts";
import { type Kept, type KeptPaths, readEarlierRun } from "./kept.ts";
import { takeLock } from "./lock-file.ts";

/** `sun_path` of a unix socket on Linux, without the closing NUL. */
const SOCKET_PATH_LIMIT = 107;
/** The longest usual name below the state directory. A socket for a longer resource name has a finding of its own. */
const LONGEST_SOCKET = "nodes/99/device-plugins/nvidia-mig-1c.2g.48gb.me.all.shared.sock";
const LOCK = "lock";
const NODES = "nodes";
const KUBECONFIG = "kubeconfig";
const JOURNAL = "journal.jsonl";
const SERVER = "server.json";
/** Whatever `up` makes here beside lock and journal. */
const MADE = [NODES, KUBECONFIG, SERVER, CONTROL_SOCKET];

/** A locked state directory. */
export interface StateDir {
  readonly path: string;
  /** What an earlier run left; `undefined` in a directory for temporary files, of which nothing is kept. */
  readonly kept: Kept | undefined;
  /** The kubelet's root directory of a machine; short, since sockets are below it. */
  nodeRoot(ordinal: number): string;
  writeKubeconfig(text: string): Promise<string>;
  /** A cluster has come to be: what is kept of it stays when the directory is given up. */
  keep(): void;
  /** Gives the directory up. Nothing stays of a cluster that never came to be. */
  release(): Promise<void>;
}

/** Creates (mode 0700) and locks `path`, or a fresh directory for temporary files when it is `undefined`. */
export async function openStateDir(path: string | undefined): Promise<Outcome<StateDir>> {
  const wanted = path === undefined ? join(tmpdir(), "tranche-XXXXXX") : resolve(path);
  if (Buffer.byteLength(wanted) + 1 + LONGEST_SOCKET.length > SOCKET_PATH_LIMIT) {
    const message = `${wanted} is too long: the path of a unix socket has at most ${SOCKET_PATH_LIMIT} bytes`;
    return refused(wanted, message, "choose a shorter path with --state-dir");
  }
  try {
    const directory = await makeDirectory(path);
    const taken = await take(directory);
    if (taken !== undefined) return refused(wanted, `${wanted} ${taken.message}`, taken.remedy);
    if (path === undefined) return { ok: true, value: stateDirAt(directory, undefined), findings: [] };
    const kept = await keptIn(directory);
    return kept.ok ? { ok: true, value: stateDirAt(directory, kept.value), findings: kept.findings } : kept;
  } catch (error) {
    const message = `cannot use ${wanted}: ${errorText(error)}`;
    return refused(wanted, message, "choose a directory you may write with --state-dir");
  }
}

/** What an earlier run left; where that cannot be read, the lock is given up again. */
async function keptIn(directory: string): Promise<Outcome<Kept>> {
  let kept: Outcome<Kept> | undefined;
  try {
    kept = await readEarlierRun(pathsIn(directory));
    return kept;
  } finally {
    if (kept?.ok !== true) await rm(join(directory, LOCK));
  }
}

function pathsIn(directory: string): KeptPaths {
  return { journal: join(directory, JOURNAL), server: join(directory, SERVER), nodes: join(directory, NODES) };
}

async function makeDirectory(path: string | undefined): Promise<string> {
  if (path === undefined) return mkdtemp(join(tmpdir(), "tranche-"));
  await makePath(resolve(path));
  return resolve(path);
}

/** As `mkdir -p`. Node's own recursive mkdir never ends below a directory that answers ENOENT, such as /proc. */
async function makePath(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, "EEXIST")) return;
    if (!isErrno(error, "ENOENT") || dirname(path) === path) throw error;
    await makePath(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

/**
 * Locks the directory and clears what a process that was killed left there before it kept anything; tells why it cannot
 * be used otherwise.
 */
async function take(directory: string): Promise<{ readonly message: string; readonly remedy: string } | undefined> {
  const path = join(directory, LOCK);
  const attempt = await takeLock(path);
  if (attempt.result === "held") {
    const remedy = "end that process, or use another --state-dir";
    return { message: `is used by process ${attempt.pid}`, remedy };
  }
  const remedy = "use an empty directory, or one that does not exist yet, with --state-dir";
  if (attempt.result === "foreign") return { message: `holds a file ${LOCK} of something else`, remedy };
  // Whether the journal is one is seen when it is read.
  if (existsSync(join(directory, JOURNAL))) return undefined;
  const made = MADE.filter((name) => existsSync(join(directory, name)));
  if (!attempt.stale && made.length > 0) {
    await rm(path);
    return { message: `holds ${made.join(" and ")} of something else`, remedy };
  }
  for (const name of made) await rm(join(directory, name), { recursive: true, force: true });
  return undefined;
}

function stateDirAt(path: string, kept: Kept | undefined): StateDir {
  const kubeconfig = join(path, KUBECONFIG);
  let keeping = kept?.state !== undefined;
  return {
    path,
    kept,
    nodeRoot: (ordinal) => join(path, NODES, String(ordinal)),
    writeKubeconfig: async (text) => {
      // Whole, since kubectl may read it while a cluster comes back.
      await writeWhole(kubeconfig, text);
      return kubeconfig;
    },
    keep: () => {
      keeping = kept !== undefined;
    },
    release: async () => {
      const made = keeping ? [CONTROL_SOCKET] : [...MADE, JOURNAL];
      // The lock goes last: what else is there then belongs to nobody.
      const gone = kept === undefined ? [path] : [...made, LOCK].map((name) => join(path, name));
      for (const one of gone) await rm(one, { recursive: true, force: true });
    },
  };
}

function refused(
  path: string,
  message: string,
  remedy: string,
): { readonly ok: false; readonly findings: readonly Finding[] } {
  return { ok: false, findings: [finding("state-dir-unusable", { kind: "file", name: path }, message, { remedy })] };
}
