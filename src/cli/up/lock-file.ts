/**
 * A lock file that names the process which holds it. A process that was killed leaves its lock behind; whoever comes
 * next takes it over.
 */
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isErrno } from "../../base/index.ts";

/** How an attempt ended; `stale` tells that the lock of a process that is gone was taken over. */
export type LockAttempt =
  | { readonly result: "taken"; readonly stale: boolean }
  | { readonly result: "held"; readonly pid: number }
  /** The file says nothing about a process, so it is somebody else's. */
  | { readonly result: "foreign" };

/** Takes the lock at `path` for this process, if no living process has it. */
export async function takeLock(path: string): Promise<LockAttempt> {
  const own = await processMark();
  let stale = false;
  for (;;) {
    if (await create(path, `${own}\n`)) return { result: "taken", stale };
    const text = await read(path);
    if (text === undefined) continue;
    const { pid, start } = parsed(text);
    if (pid === 0) return { result: "foreign" };
    if (await isAlive(pid, start)) return { result: "held", pid };
    stale = (await takeAway(path, text)) || stale;
  }
}

/** Makes the file with its whole content at once, so that nobody reads half of it; false when there is one. */
async function create(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${crypto.randomUUID()}`;
  await writeFile(draft, text, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes the lock if it still says `text`; another process may have taken it over in the meantime. */
async function takeAway(path: string, text: string): Promise<boolean> {
  const aside = `${path}.${crypto.randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await read(aside)) === text) return true;
    await link(aside, path);
    return false;
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** The living process that holds the lock at `path`, if one does. */
export async function lockHolder(path: string): Promise<number | undefined> {
  return markedProcess((await read(path)) ?? "");
}

/** What tells this process from all others, later ones of the same number among them. */
export async function processMark(): Promise<string> {
  return `${process.pid} ${(await startOf(process.pid)) ?? ""}`.trimEnd();
}

/** The process that made the mark, if it lives. */
export async function markedProcess(mark: string): Promise<number | undefined> {
  const { pid, start } = parsed(`${mark.trimEnd()}\n`);
  return pid !== 0 && (await isAlive(pid, start)) ? pid : undefined;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The process that a lock names; 0 when it names none. */
function parsed(text: string): { readonly pid: number; readonly start: string | undefined } {
  const [, pid = "", start] = /^(\d+)(?: (\d+))?\n$/.exec(text) ?? [];
  return { pid: Number(pid), start };
}

/** Whether the process is there and, where that can be told, is not a later one of the same number. */
async function isAlive(pid: number, start: string | undefined): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process cannot be signalled, but it is there.
    if (!isErrno(error, "EPERM")) return false;
  }
  const now = await startOf(pid);
  return start === undefined || now === undefined || now === start;
}

/** When the process started, in clock ticks since the boot (proc_pid_stat(5), field 22); `undefined` without procfs. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and can hold anything.
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
