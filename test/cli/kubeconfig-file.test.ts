/** The file of `--kubeconfig`: whose it may be, and what becomes of it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { writeKubeconfigFile } from "../../src/cli/up/kubeconfig-file.ts";

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kc-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** `message; remedy` of the refusal, with the path written as `FILE`. */
async function refusal(path: string): Promise<string> {
  const written = await writeKubeconfigFile(path, "apiVersion: v1\n");
  assert.ok(!written.ok);
  const [one, ...more] = written.findings;
  assert.deepEqual([one?.code, one?.subject, more], ["kubeconfig-refused", { kind: "file", name: path }, []]);
  return `${one?.message}; ${one?.remedy}`.replaceAll(path, "FILE");
}

test("it is for its owner only, and goes with what wrote it", async (t) => {
  const directory = await directoryOf(t);
  const path = join(directory, "config");
  const written = await writeKubeconfigFile(path, "apiVersion: v1\n");
  assert.ok(written.ok);
  assert.equal(((await stat(path)).mode & 0o777).toString(8), "600");
  assert.match(await readFile(path, "utf8"), /^# Written by tranche up, process \d.*\napiVersion: v1\n$/);
  assert.deepEqual(await readdir(directory), ["config"]);
  await written.value.remove();
  assert.deepEqual(await readdir(directory), []);
  await written.value.remove();
});

test("what somebody has changed since stays", async (t) => {
  const path = join(await directoryOf(t), "config");
  const written = await writeKubeconfigFile(path, "apiVersion: v1\n");
  assert.ok(written.ok);
  await writeFile(path, `${await readFile(path, "utf8")}current-context: mine\n`);
  await written.value.remove();
  assert.match(await readFile(path, "utf8"), /current-context: mine/);
});

test("a file of something else is refused and left as it is", async (t) => {
  const path = join(await directoryOf(t), "config");
  for (const text of ["apiVersion: v1\nkind: Config\n", ""]) {
    await writeFile(path, text);
    const remedy = "name a path where no file is with --kubeconfig, and list both in KUBECONFIG";
    assert.equal(await refusal(path), `FILE is a file of something else; it is left as it is; ${remedy}`);
    assert.equal(await readFile(path, "utf8"), text);
  }
});

test("the kubeconfig of a cluster that runs is refused, that of one that was killed is replaced", async (t) => {
  const path = join(await directoryOf(t), "config");
  const first = await writeKubeconfigFile(path, "first: 1\n");
  assert.ok(first.ok);
  const want = `FILE is the kubeconfig of the cluster that process ${process.pid} runs; end that process, or name another path with --kubeconfig`;
  assert.equal(await refusal(path), want);
  await first.value.remove();

  const module = fileURLToPath(new URL("../../src/cli/up/kubeconfig-file.ts", import.meta.url));
  const program = `
    import { writeKubeconfigFile } from ${JSON.stringify(module)};
    await writeKubeconfigFile(${JSON.stringify(path)}, "killed: 1\\n");
    process.kill(process.pid, "SIGKILL");
  `;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(run.signal, "SIGKILL", run.stderr);
  assert.match(await readFile(path, "utf8"), /killed: 1/);
  const next = await writeKubeconfigFile(path, "next: 1\n");
  assert.ok(next.ok);
  assert.match(await readFile(path, "utf8"), /next: 1/);
});

test("a path where nothing can be written is refused with what the system says", async (t) => {
  const directory = await directoryOf(t);
  await mkdir(join(directory, "config"));
  assert.match(await refusal(join(directory, "config")), /^cannot write FILE: EISDIR.*; choose a path you may write/);
  assert.match(await refusal(join(directory, "no", "config")), /^cannot write FILE: ENOENT.*; choose a path/);
});
