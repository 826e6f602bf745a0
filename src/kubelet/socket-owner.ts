/**
 * Who serves a unix socket: whether somebody accepts connections, and which process it is, where that can be seen.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { connect } from "node:net";
import { basename } from "node:path";

/** Whether somebody accepts connections on the socket at `path`. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * The process that listens on the socket at `path`, `process 4242 (nvidia-device-plugin)`; `undefined` when it is in
 * another network or process namespace, or of another user. From proc_net(5) and proc_pid_fd(5).
 */
export async function socketOwner(path: string): Promise<string | undefined> {
  const inode = await listeningInode(path);
  if (inode === undefined) return undefined;
  for (const pid of (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (target === `socket:[${inode}]`) return `process ${pid} (${await commandOf(pid)})`;
    }
  }
  return undefined;
}

/** `Num RefCount Protocol Flags Type St Inode Path`; the flag 0x10000 is that of a listener. */
async function listeningInode(path: string): Promise<string | undefined> {
  const lines = (await readFile("/proc/net/unix", "utf8").catch(() => "")).split("\n");
  for (const line of lines) {
    const [, , , flags, , , inode, ...words] = line.trim().split(/\s+/);
    if (words.join(" ") === path && flags === "00010000") return inode;
  }
  return undefined;
}

/** The program as it was called; a thread may bear another name. */
async function commandOf(pid: string): Promise<string> {
  const [program = ""] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  return basename(program) || "unknown";
}
