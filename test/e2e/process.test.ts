/** `tranche up` as a process: it stays, lets in who has its kubeconfig, and ends cleanly on Ctrl-C. */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import {
  connectionFromKubeconfig,
  KubeClient,
  type KubeConnection,
  type Pod,
  resources,
} from "../../src/kube/index.ts";
import { runTranche } from "../support/run-up.ts";
import { until } from "../support/until.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "up-"));
});
after(() => rm(directory, { recursive: true, force: true }));

interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly stateDir: string;
  errors(): string;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
}

function start(name: string): Running {
  const stateDir = join(directory, name);
  const args = ["up", "-f", join(root, "examples/quick-start.yaml"), "--state-dir", stateDir];
  const child = spawn(join(root, "bin/tranche"), args, { stdio: "pipe" });
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(String(chunk)));
  const ended = new Promise<number | string | null>((resolve) => {
    child.once("exit", (code, signal) => resolve(code ?? signal));
  });
  return { child, stateDir, errors: () => errors.join(""), ended };
}

async function connection(stateDir: string): Promise<KubeConnection> {
  const path = join(stateDir, "kubeconfig");
  const text = await readFile(path, "utf8");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const read = connectionFromKubeconfig(load(text));
  assert.ok(read.ok);
  return read.value;
}

test("it stays, serves who has the kubeconfig and nobody else, and Ctrl-C leaves nothing behind", async () => {
  const { child, stateDir, errors, ended } = start("stays");
  await until("up says that it stays", () => errors().includes("The cluster stays up"), 20_000);
  const known = await connection(stateDir);
  const client = new KubeClient(known);
  const pods = await client.list<Pod>(resources.pods);
  await client.close();
  assert.deepEqual(
    pods.items.map((pod) => pod.status?.phase),
    Array.from({ length: 8 }, () => "Running"),
  );
  const stranger = new KubeClient({ ...known, token: "guessed" });
  await assert.rejects(stranger.list(resources.pods), { status: 401 });
  await stranger.close();
  const second = await runTranche(["up", "--state-dir", stateDir, "--once"]);
  assert.equal(second.code, 1);
  assert.match(second.progress, /state-dir-unusable/);
  child.kill("SIGINT");
  assert.equal(await ended, 0, errors());
  assert.deepEqual(await readdir(stateDir), []);
});

test("Ctrl-C while it still settles ends it as cleanly", async () => {
  const { child, stateDir, errors, ended } = start("early");
  await until("the first sign of work", () => errors().includes("Repartition"), 20_000);
  child.kill("SIGINT");
  assert.equal(await ended, 0, errors());
  assert.deepEqual(await readdir(stateDir), []);
});
