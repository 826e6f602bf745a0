import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { findingLine } from "../../src/base/index.ts";
import { openStateDir, type StateDir } from "../../src/cli/up/state-dir.ts";

const rights = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

/** Runs with a directory for temporary files, which is removed afterwards. */
async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "st-"));
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function opened(path: string | undefined): Promise<StateDir> {
  const outcome = await openStateDir(path);
  assert.ok(outcome.ok, outcome.findings.map(findingLine).join("\n"));
  return outcome.value;
}

/** `message; remedy` of the refusal, with the path written as `DIR`. */
async function refusal(path: string): Promise<string> {
  const outcome = await openStateDir(path);
  assert.ok(!outcome.ok);
  const [one, ...more] = outcome.findings;
  assert.deepEqual([one?.code, one?.subject, more], ["state-dir-unusable", { kind: "file", name: path }, []]);
  return `${one?.message}; ${one?.remedy}`.replaceAll(path, "DIR");
}

test("a directory that is not there is made for its owner only, and given back empty", () =>
  withDirectory(async (parent) => {
    const path = join(parent, "a", "b");
    const dir = await opened(path);
    assert.equal(dir.path, path);
    assert.equal(await rights(path), "700");
    const kubeconfig = await dir.writeKubeconfig("apiVersion: v1\n");
    assert.equal(await rights(kubeconfig), "600");
    assert.equal(await readFile(kubeconfig, "utf8"), "apiVersion: v1\n");
    await mkdir(join(dir.nodeRoot(0), "device-plugins"), { recursive: true });
    await dir.release();
    assert.deepEqual(await readdir(path), []);
  }));

test("without a path there is a directory of its own, which goes with all it holds", async () => {
  const [one, other] = [await opened(undefined), await opened(undefined)];
  assert.notEqual(one.path, other.path);
  assert.equal(await rights(one.path), "700");
  await writeFile(join(one.path, "left-behind"), "");
  await one.release();
  await other.release();
  const left = await readdir(tmpdir());
  assert.deepEqual(
    [one, other].filter(({ path }) => left.includes(basename(path))),
    [],
  );
});

test("what a user keeps in the directory stays", () =>
  withDirectory(async (path) => {
    await writeFile(join(path, "notes.txt"), "mine");
    const dir = await opened(path);
    await dir.writeKubeconfig("");
    await dir.release();
    assert.deepEqual(await readdir(path), ["notes.txt"]);
  }));

test("a directory that a living process uses is refused, and its user is left alone", () =>
  withDirectory(async (path) => {
    const dir = await opened(path);
    const kubeconfig = await dir.writeKubeconfig("in use");
    const want = `DIR is used by process ${process.pid}; end that process, or use another --state-dir`;
    assert.equal(await refusal(path), want);
    assert.equal(await readFile(kubeconfig, "utf8"), "in use");
    await dir.release();
    await (await opened(path)).release();
  }));

test("of many that open a directory at once, one gets it", () =>
  withDirectory(async (path) => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => openStateDir(path)));
    assert.equal(outcomes.filter((one) => one.ok).length, 1);
    assert.deepEqual(await readdir(path), ["lock"]);
  }));

test("what a killed process left is taken over and cleared", () =>
  withDirectory(async (path) => {
    const module = fileURLToPath(new URL("../../src/cli/up/state-dir.ts", import.meta.url));
    const program = `
      import { mkdir } from "node:fs/promises";
      import { openStateDir } from ${JSON.stringify(module)};
      const { value } = await openStateDir(${JSON.stringify(path)});
      await mkdir(value.nodeRoot(0), { recursive: true });
      await value.writeKubeconfig("");
      process.kill(process.pid, "SIGKILL");
    `;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    assert.equal(run.signal, "SIGKILL", run.stderr);
    assert.deepEqual((await readdir(path)).toSorted(), ["kubeconfig", "lock", "nodes"]);
    const dir = await opened(path);
    assert.deepEqual(await readdir(path), ["lock"]);
    assert.match(await readFile(join(path, "lock"), "utf8"), new RegExp(`^${process.pid}\\b`));
    await dir.release();
  }));

test("a lock whose process number belongs to a later process is taken over", () =>
  withDirectory(async (path) => {
    await writeFile(join(path, "lock"), `${process.pid} 1\n`);
    await (await opened(path)).release();
  }));

const foreign = [
  { name: "a kubeconfig", files: ["kubeconfig"], what: "kubeconfig" },
  { name: "files of its own kind", files: ["kubeconfig", "nodes"], what: "nodes and kubeconfig" },
  { name: "a file called lock", files: ["lock"], what: "a file lock" },
];
for (const { name, files, what } of foreign) {
  test(`a directory with ${name} that is not the command's is refused and keeps it`, () =>
    withDirectory(async (path) => {
      for (const file of files) await writeFile(join(path, file), "mine");
      const remedy = "use an empty directory, or one that does not exist yet, with --state-dir";
      assert.equal(await refusal(path), `DIR holds ${what} of something else; ${remedy}`);
      assert.deepEqual((await readdir(path)).toSorted(), files);
      for (const file of files) assert.equal(await readFile(join(path, file), "utf8"), "mine");
    }));
}

test("who reads the kubeconfig while it is written anew gets the old one or the new one", () =>
  withDirectory(async (path) => {
    const dir = await opened(path);
    const texts = ["a", "b"].map((one) => one.repeat(100_000));
    const kubeconfig = await dir.writeKubeconfig("a".repeat(100_000));
    assert.equal(((await stat(kubeconfig)).mode & 0o777).toString(8), "600");
    let isWriting = true;
    const reading = (async () => {
      while (isWriting) assert.ok(texts.includes(await readFile(kubeconfig, "utf8")), "it is whole");
    })();
    for (let round = 0; round < 20; round += 1) await dir.writeKubeconfig(texts[round % 2] ?? "");
    isWriting = false;
    await reading;
    await dir.release();
  }));

test("a path below a regular file cannot be made", () =>
  withDirectory(async (parent) => {
    const file = join(parent, "file");
    await writeFile(file, "");
    assert.match(
      await refusal(join(file, "state")),
      /^cannot use DIR: ENOTDIR: .*; choose a directory you may write with --state-dir$/,
    );
  }));

test("a path too long for unix sockets is refused before anything is made", () =>
  withDirectory(async (parent) => {
    const path = join(parent, "x".repeat(60));
    const want =
      "DIR is too long: the path of a unix socket has at most 107 bytes; choose a shorter path with --state-dir";
    assert.equal(await refusal(path), want);
    assert.deepEqual(await readdir(parent), []);
  }));
