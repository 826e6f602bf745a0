/** `bin/tranche up` as users run it: it stays, a kubeconfig works, Ctrl-C ends it, and nothing is left behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import {
  connectionFromKubeconfig,
  hasStatus,
  KubeClient,
  type KubeConnection,
  type Node,
  type Pod,
  resources,
} from "../../src/kube/index.ts";
import { everythingBelow, temporaryDirectory, writtenFiles } from "../support/temporary.ts";
import { TrancheProcess } from "../support/tranche-process.ts";
import { until } from "../support/until.ts";

const quickStart = fileURLToPath(new URL("../../examples/quick-start.yaml", import.meta.url));
const STAYS = /export KUBECONFIG=(\S+)/;

async function connectionOf(path: string): Promise<KubeConnection> {
  const read = connectionFromKubeconfig(load(await readFile(path, "utf8")));
  assert.ok(read.ok, JSON.stringify(read.findings));
  return read.value;
}

test("up stays with a kubeconfig that works and that only its user can read, until Ctrl-C", async (t) => {
  const tranche = await TrancheProcess.start(t, "up", "-f", quickStart);
  const kubeconfig = await tranche.says(STAYS);
  assert.match(tranche.answer, /8 of 8 pods running/);
  assert.equal((await stat(kubeconfig)).mode & 0o777, 0o600);

  const connection = await connectionOf(kubeconfig);
  const client = new KubeClient(connection);
  const stranger = new KubeClient({ ...connection, token: "guessed" });
  try {
    const { items } = await client.list<Node>(resources.nodes);
    assert.deepEqual(items.map((one) => one.metadata.name).sort(), ["node-a100", "node-t4"]);
    await assert.rejects(stranger.list(resources.nodes), (error) => hasStatus(error, 401));
    // It follows what is changed from outside.
    await client.delete(resources.pods, { namespace: "default", name: "pod-d" });
    await tranche.says(/pod default\/pod-d deleted/);
  } finally {
    await client.close();
    await stranger.close();
  }

  tranche.signal("SIGINT");
  assert.deepEqual(await tranche.end(), { code: 0, signal: null });
  assert.deepEqual(await tranche.leftovers(), []);
  const late = new KubeClient(connection);
  await assert.rejects(late.list(resources.nodes));
  await late.close();
});

const moments = [
  { name: "as soon as it says something", reached: (one: TrancheProcess) => one.progress !== "" },
  {
    name: "as soon as it has something on disk",
    reached: async (one: TrancheProcess) => (await readdir(one.directory)).length > 0,
  },
  {
    name: "when the first node has its sockets",
    reached: async (one: TrancheProcess) => (await one.leftovers()).some((path) => path.endsWith("kubelet.sock")),
  },
  { name: "when the first pod is on a node", reached: (one: TrancheProcess) => /pod \S+ Running/.test(one.progress) },
];
for (const { name, reached } of moments) {
  test(`Ctrl-C ends up in good order while it settles, ${name}`, async (t) => {
    const tranche = await TrancheProcess.start(t, "up", "-f", quickStart);
    await until(name, () => reached(tranche));
    tranche.signal("SIGINT");
    assert.deepEqual(await tranche.end(), { code: 0, signal: null }, tranche.progress);
    assert.deepEqual(await tranche.leftovers(), []);
  });
}

test("Ctrl-C before the report of --once is no success", async (t) => {
  const tranche = await TrancheProcess.start(t, "up", "-f", quickStart, "--once");
  await until("it says something", () => tranche.progress !== "");
  tranche.signal("SIGINT");
  assert.deepEqual(await tranche.end(), { code: 1, signal: null }, tranche.progress);
  assert.equal(tranche.answer, "");
  assert.match(tranche.progress, /^error not-settled: cluster\n.*so there is no report$/m);
  assert.deepEqual(await tranche.leftovers(), []);
});

const readers = [
  { name: "of everything it says", command: 'exec "$0" up -f "$1" 2>&1 | head -n 1' },
  { name: "of the report", command: 'exec "$0" up -f "$1" --once -o json | true' },
];
for (const { name, command } of readers) {
  test(`a reader ${name} that goes away ends up in good order`, async (t) => {
    const directory = await temporaryDirectory(t);
    const env = { ...process.env, TMPDIR: directory, XDG_RUNTIME_DIR: directory };
    const program = fileURLToPath(new URL("../../bin/tranche", import.meta.url));
    const child = spawn("bash", ["-c", command, program, quickStart], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [says] = await Promise.all([text(child.stderr), text(child.stdout), once(child, "close")]);
    assert.doesNotMatch(says, /EPIPE|^ {4}at /m);
    assert.deepEqual(
      (await everythingBelow(directory)).filter((path) => !path.includes("compile-cache")),
      [],
    );
  });
}

test("two clusters cannot share a state directory; the first runs on", async (t) => {
  const stateDir = join(await temporaryDirectory(t), "state");
  const args = ["up", "--node", "node-t4=T4", "--state-dir", stateDir];
  const first = await TrancheProcess.start(t, ...args);
  const kubeconfig = await first.says(STAYS);
  assert.equal(kubeconfig, join(stateDir, "kubeconfig"));

  const second = await TrancheProcess.start(t, ...args);
  assert.deepEqual(await second.end(), { code: 1, signal: null });
  assert.match(second.progress, /^error state-dir-unusable: .*\n.* is used by process \d+\n.*→ end that process/m);
  assert.equal(second.answer, "");

  const client = new KubeClient(await connectionOf(kubeconfig));
  assert.equal((await client.list<Pod>(resources.pods)).items.length, 0);
  await client.close();
  first.signal("SIGTERM");
  assert.deepEqual(await first.end(), { code: 0, signal: null });
  const left = await readdir(stateDir);
  assert.deepEqual(left.toSorted(), ["journal.jsonl", "kubeconfig", "nodes", "server.json"]);
});

const exits = [
  { name: "0 after a report", args: ["up", "-f", quickStart, "--once"], code: 0, says: /^/ },
  { name: "1 with a finding", args: ["up", "-f", "FILE"], code: 1, says: /^error yaml-syntax: FILE:2:\d+$/m },
  { name: "2 with a wrong option", args: ["up", "--nodes", "a=T4"], code: 2, says: /unknown option '--nodes'/ },
];
for (const { name, args, code, says } of exits) {
  test(`the process's exit code is ${name}`, async (t) => {
    const [file = ""] = await writtenFiles(t, { "bad.yaml": "kind: Pod\n\tmetadata: {}\n" });
    const tranche = await TrancheProcess.start(t, ...args.map((one) => one.replace("FILE", file)));
    assert.deepEqual(await tranche.end(), { code, signal: null }, tranche.progress);
    assert.match(tranche.progress.replaceAll(file, "FILE"), says);
    assert.equal(tranche.answer !== "", code === 0);
    assert.deepEqual(await tranche.leftovers(), []);
  });
}
