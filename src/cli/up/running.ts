/**
 * The list of clusters that this user runs now: one file per `up`, so that `tranche fault` finds them without being told.
 *
 * It lies in a directory of the user's own. One that somebody else may write to is not used: who puts a file there would
 * be sent this user's requests.
 */
import { lstat, mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorText, type Finding, finding, isErrno } from "../../base/index.ts";
import { isRecord } from "./control-protocol.ts";

/** The variables that say where things are; `process.env` is one. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A cluster on the list; it was running when it put itself there. */
export interface ListedCluster {
  /** The file that tells of it. */
  readonly file: string;
  readonly socketPath: string;
}

/** Puts a cluster on the list. Returns what takes it off, or why it could not be listed. */
export async function listCluster(
  socketPath: string,
  env: Environment,
): Promise<{ readonly remove: () => Promise<void> } | { readonly problem: Finding }> {
  const directory = listDirectory(env);
  const file = join(directory, `${process.pid}-${crypto.randomUUID()}.json`);
  try {
    await makeOwnDirectory(directory);
    await writeFile(file, `${JSON.stringify({ socketPath })}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    return { problem: notListed(directory, errorText(error)) };
  }
  const remove = async (): Promise<void> => {
    await rm(file, { force: true });
    await removeIfEmpty(directory);
  };
  return { remove };
}

/** All clusters on the list; some may have been killed. */
export async function listedClusters(env: Environment): Promise<readonly ListedCluster[]> {
  const directory = listDirectory(env);
  if ((await problemWith(directory)) !== undefined) return [];
  const names = (await readdir(directory)).filter((name) => name.endsWith(".json")).sort();
  const read = await Promise.all(names.map((name) => readEntry(join(directory, name))));
  return read.filter((one) => one !== undefined);
}

/** Takes a cluster that is gone off the list. */
export async function forgetCluster({ file }: ListedCluster): Promise<void> {
  await rm(file, { force: true });
}

function listDirectory(env: Environment): string {
  const runtime = env["XDG_RUNTIME_DIR"] ?? "";
  return join(runtime === "" ? tmpdir() : runtime, `tranche-${process.getuid?.() ?? "user"}`);
}

async function makeOwnDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  const problem = await problemWith(directory);
  if (problem !== undefined) throw new Error(problem);
}

/** Why the directory cannot be used; `undefined` when it is this user's alone. */
async function problemWith(directory: string): Promise<string | undefined> {
  try {
    const found = await lstat(directory);
    const isOwn = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
    return isOwn ? undefined : "it is not a directory that you alone may use";
  } catch (error) {
    return errorText(error);
  }
}

/** `undefined` for a file that is gone by now or tells of no socket. */
async function readEntry(file: string): Promise<ListedCluster | undefined> {
  try {
    const entry: unknown = JSON.parse(await readFile(file, "utf8"));
    const socketPath = isRecord(entry) ? entry["socketPath"] : undefined;
    return typeof socketPath === "string" ? { file, socketPath } : undefined;
  } catch {
    return undefined;
  }
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!isErrno(error, "ENOTEMPTY") && !isErrno(error, "ENOENT")) throw error;
  }
}

function notListed(directory: string, why: string): Finding {
  const message = `cannot note the cluster in ${directory}: ${why}`;
  const remedy = "name it to tranche fault with --state-dir, or set KUBECONFIG";
  return finding("cluster-not-listed", { kind: "file", name: directory }, message, { remedy });
}
