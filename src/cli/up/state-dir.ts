/**
 * The directory that holds what a running `up` needs on disk: sockets, the kubeconfig, a lock.
 *
 * A directory is used only if it is empty of such things or has the lock that shows whose they are: `up` removes what
 * it made, and must never remove a directory that happens to have the same name.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { errorText, type Finding, finding, type Outcome } from "../../base/index.ts";
import { CONTROL_SOCKET } from "./control-protocol.ts";
import { takeLock } from "./lock-file.ts";

/** `sun_path` of a unix socket on Linux, without the closing NUL. */
const SOCKET_PATH_LIMIT = 107;
/** The longest usual name below the state directory. A socket for a longer resource name has a finding of its own. */
const LONGEST_SOCKET = "nodes/99/device-plugins/nvidia-mig-1c.2g.48gb.me.all.shared.sock";
const LOCK = "lock";
const NODES = "nodes";
const KUBECONFIG = "kubeconfig";
/** Whatever `up` makes here beside the lock. */
const MADE = [NODES, KUBECONFIG, CONTROL_SOCKET];

/** A locked state directory; `release` removes what `up` made. */
export interface StateDir {
  readonly path: string;
  /** The kubelet's root directory of a node; short, since sockets are below it. */
  nodeRoot(node: string): string;
  writeKubeconfig(text: string): Promise<string>;
  release(): Promise<void>;
}

/** Creates (mode 0700) and locks `path`, or a fresh directory for temporary files when it is `undefined`. */
export async function openStateDir(path: string | undefined, nodeNames: readonly string[]): Promise<Outcome<StateDir>> {
  const wanted = path === undefined ? join(tmpdir(), "tranche-XXXXXX") : resolve(path);
  if (Buffer.byteLength(wanted) + 1 + LONGEST_SOCKET.length > SOCKET_PATH_LIMIT) {
    const message = `${wanted} is too long: the path of a unix socket has at most ${SOCKET_PATH_LIMIT} bytes`;
    return refused(wanted, message, "choose a shorter path with --state-dir");
  }
  try {
    const directory = await makeDirectory(path);
    const taken = await take(directory);
    if (taken !== undefined) return refused(wanted, `${wanted} ${taken.message}`, taken.remedy);
    return { ok: true, value: stateDirAt(directory, { nodeNames, temporary: path === undefined }), findings: [] };
  } catch (error) {
    const message = `cannot use ${wanted}: ${errorText(error)}`;
    return refused(wanted, message, "choose a directory you may write with --state-dir");
  }
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
    if (hasCode(error, "EEXIST")) return;
    if (!hasCode(error, "ENOENT") || dirname(path) === path) throw error;
    await makePath(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Locks the directory and clears what a process that was killed left there; tells why it cannot be used otherwise. */
async function take(directory: string): Promise<{ readonly message: string; readonly remedy: string } | undefined> {
  const path = join(directory, LOCK);
  const attempt = await takeLock(path);
  if (attempt.result === "held") {
    const remedy = "end that process, or use another --state-dir";
    return { message: `is used by process ${attempt.pid}`, remedy };
  }
  const remedy = "use an empty directory, or one that does not exist yet, with --state-dir";
  if (attempt.result === "foreign") return { message: `holds a file ${LOCK} of something else`, remedy };
  const made = MADE.filter((name) => existsSync(join(directory, name)));
  if (!attempt.stale && made.length > 0) {
    await rm(path);
    return { message: `holds ${made.join(" and ")} of something else`, remedy };
  }
  for (const name of made) await rm(join(directory, name), { recursive: true, force: true });
  return undefined;
}

function stateDirAt(
  path: string,
  { nodeNames, temporary }: { readonly nodeNames: readonly string[]; readonly temporary: boolean },
): StateDir {
  const kubeconfig = join(path, KUBECONFIG);
  return {
    path,
    nodeRoot: (node) => join(path, NODES, String(nodeNames.indexOf(node))),
    writeKubeconfig: async (text) => {
      await rm(kubeconfig, { force: true });
      await writeFile(kubeconfig, text, { mode: 0o600 });
      return kubeconfig;
    },
    release: async () => {
      // The lock goes last: what else is there then belongs to nobody.
      const made = temporary ? [path] : [...MADE, LOCK].map((name) => join(path, name));
      for (const one of made) await rm(one, { recursive: true, force: true });
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
