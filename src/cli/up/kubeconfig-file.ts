/**
 * The kubeconfig written where `--kubeconfig` says.
 *
 * Only a file that `up` itself wrote is replaced, and at the end only that is removed: it may well be the path of the
 * user's own kubeconfig, with other clusters in it.
 */
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { errorText, type Finding, finding, isErrno, type Outcome } from "../../base/index.ts";
import { markedProcess, processMark } from "./lock-file.ts";

/** A kubeconfig in place; `remove` takes it away unless somebody has changed it. */
export interface WrittenKubeconfig {
  readonly path: string;
  remove(): Promise<void>;
}

const MARK = "# Written by tranche up, process ";

/** Writes `text`, mode 0600, with a first line by which it is known again. */
export async function writeKubeconfigFile(path: string, text: string): Promise<Outcome<WrittenKubeconfig>> {
  const full = resolve(path);
  const marked = `${MARK}${await processMark()}\n${text}`;
  const draft = `${full}.${crypto.randomUUID()}`;
  try {
    const there = await read(full);
    const problem = there === undefined ? undefined : await problemWith(full, there);
    if (problem !== undefined) return { ok: false, findings: [problem] };
    await writeFile(draft, marked, { mode: 0o600, flag: "wx" });
    // A link never takes the place of a file that has come in the meantime.
    await (there === undefined ? link(draft, full) : rename(draft, full));
  } catch (error) {
    const message = `cannot write ${full}: ${errorText(error)}`;
    return { ok: false, findings: [refused(full, message, "choose a path you may write with --kubeconfig")] };
  } finally {
    await rm(draft, { force: true });
  }
  const remove = async (): Promise<void> => {
    // What cannot be read is not the file that was written.
    const there = await read(full).catch(() => undefined);
    if (there === marked) await rm(full, { force: true });
  };
  return { ok: true, value: { path: full, remove }, findings: [] };
}

/** The living process that runs the cluster of the kubeconfig at `path`, when `up` wrote the file there. */
export async function kubeconfigProcess(path: string): Promise<number | undefined> {
  const [first = ""] = ((await read(path).catch(() => undefined)) ?? "").split("\n", 1);
  return first.startsWith(MARK) ? markedProcess(first.slice(MARK.length)) : undefined;
}

async function problemWith(path: string, text: string): Promise<Finding | undefined> {
  const [first = ""] = text.split("\n", 1);
  if (!first.startsWith(MARK)) {
    const message = `${path} is a file of something else; it is left as it is`;
    return refused(path, message, "name a path where no file is with --kubeconfig, and list both in KUBECONFIG");
  }
  const pid = await markedProcess(first.slice(MARK.length));
  if (pid === undefined) return undefined;
  const message = `${path} is the kubeconfig of the cluster that process ${pid} runs`;
  return refused(path, message, "end that process, or name another path with --kubeconfig");
}

function refused(path: string, message: string, remedy: string): Finding {
  return finding("kubeconfig-refused", { kind: "file", name: path }, message, { remedy });
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
