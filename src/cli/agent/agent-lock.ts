/**
 * One agent a directory: a unix socket that the agent listens on for as long as it lives.
 *
 * A file with a process number would not do: agents run in containers, each with a process 1 of its own. A socket on a
 * directory of the host is seen by all of them, and nobody answers on it once its process is dead.
 */
import { link, lstat, mkdir, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { isErrno } from "../../base/index.ts";

/** In the kubelet's directory of device plugins, where every agent of the node finds it. */
export const PLUGIN_LOCK = "tranche-agent.lock";

/** How long a holder may take to say who it is. */
const ANSWER_MS = 1_000;

/** A lock that was taken. */
export interface AgentLock {
  /** Whether the file at its path is still the one that was made for it. */
  stands(): Promise<boolean>;
  release(): Promise<void>;
}

export type LockResult =
  | { readonly taken: true; readonly lock: AgentLock }
  /** `holder` is what the other one says of itself. */
  | { readonly taken: false; readonly holder: string };

/** Takes the lock at `path`, telling whoever tries later `mark`. Throws what the system says. */
export async function takeAgentLock(path: string, mark: string): Promise<LockResult> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  const draft = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  const server = await listen(draft, mark);
  try {
    for (;;) {
      if (await placed(draft, path)) break;
      const holder = await agentAt(path);
      if (holder !== undefined) {
        await close(server);
        return { taken: false, holder };
      }
      await moveAway(path);
    }
  } catch (error) {
    await close(server);
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  const inode = (await lstat(path)).ino;
  const stands = async (): Promise<boolean> => (await lstat(path).catch(() => undefined))?.ino === inode;
  const release = async (): Promise<void> => {
    if (await stands()) await rm(path, { force: true });
    await close(server);
  };
  return { taken: true, lock: { stands, release } };
}

function listen(path: string, mark: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(mark);
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Gives the socket its name, if nobody has it. */
async function placed(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** What the holder of the lock at `path` says of itself; `undefined` when nobody holds it. */
export function agentAt(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = "";
    const socket = connect(path);
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on("data", (chunk) => {
      said += String(chunk);
    });
    socket.once("error", () => resolve(undefined));
    socket.once("close", (hadError) => {
      if (!hadError) resolve(said === "" ? "an agent that does not say who it is" : said);
    });
  });
}

/** Takes a dead socket away; if a living one has come in its place meanwhile, it is put back. */
async function moveAway(path: string): Promise<void> {
  const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
    if ((await agentAt(aside)) !== undefined) await link(aside, path);
  } catch (error) {
    if (!isErrno(error, "ENOENT") && !isErrno(error, "EEXIST")) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}
