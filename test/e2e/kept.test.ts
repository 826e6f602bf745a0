/** A cluster whose state directory is used again: what goes on, what is changed, what is told. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runProgram } from "../../src/cli/index.ts";
import type { Report } from "../../src/insight/index.ts";
import { type ConfigMap, type KubeObject, type Pod, resources } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import {
  clusterPolicy,
  configMap,
  manifestText,
  migParted,
  nodeManifest,
  operatorNamespace,
  pod,
} from "../support/manifests.ts";
import { phases, profiles, runUp } from "../support/run-up.ts";
import { temporaryDirectory, writtenFiles } from "../support/temporary.ts";
import { until } from "../support/until.ts";

const CONFIGS = {
  "all-balanced": { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 },
  "all-1g.10gb": { "1g.10gb": 7 },
  one: { "1g.10gb": 1 },
};
const small = { "nvidia.com/mig-1g.10gb": "1" };
const large = { "nvidia.com/mig-3g.40gb": "1" };

function cut(config: string, model = "A100-80GB"): readonly KubeObject[] {
  return [
    nodeManifest("node-a", model, { "nvidia.com/mig.config": config }),
    clusterPolicy({ mig: "mig" }),
    configMap("mig", { "config.yaml": migParted(CONFIGS) }),
  ];
}

async function fileOf(t: TestContext, ...objects: readonly KubeObject[]): Promise<string> {
  const [file = ""] = await writtenFiles(t, { "cluster.yaml": manifestText(...objects) });
  return file;
}

async function stateDirOf(t: TestContext): Promise<string> {
  return join(await temporaryDirectory(t), "state");
}

/** Which pod holds what: `MIG-…` by pod. */
function slices(report: Report): Record<string, string> {
  const held = report.nodes.flatMap((node) => node.gpus.flatMap((gpu) => gpu.instances));
  return Object.fromEntries(held.map((one) => [one.pod, one.uuid]));
}

/** The pods as the journal has them last, by name. */
async function keptPods(stateDir: string): Promise<ReadonlyMap<string, Pod>> {
  const lines = (await readFile(join(stateDir, "journal.jsonl"), "utf8")).split("\n").filter((line) => line !== "");
  const entries = lines.map((line): { collection?: string; object?: Pod } => JSON.parse(line));
  const pods = entries.filter((one) => one.collection === "pods.").flatMap((one) => one.object ?? []);
  return new Map(pods.map((one) => [one.metadata.name, one]));
}

function restarts(one: Pod | undefined): number | undefined {
  return one?.status?.containerStatuses?.[0]?.restartCount;
}

test("up --once, and again without anything declared: the same pods on the same slices, started once more", async (t) => {
  const stateDir = await stateDirOf(t);
  const done: Pod = pod("done", small, { "tranche.dev/run-for": "0" });
  const file = await fileOf(
    t,
    ...cut("all-balanced"),
    pod("one", small),
    pod("two", large, { "tranche.dev/gpu-memory": "8Gi" }),
    { ...done, spec: { ...done.spec, restartPolicy: "Never" } } as KubeObject,
  );
  const first = await runUp(["-f", file, "--state-dir", stateDir]);
  assert.equal(first.code, 0, first.run.progress);
  const before = await keptPods(stateDir);
  const second = await runUp(["--state-dir", stateDir]);
  assert.equal(second.code, 0, second.run.progress);
  const after = await keptPods(stateDir);
  assert.deepEqual(phases(second.report), { done: "Succeeded", one: "Running", two: "Running" });
  assert.deepEqual(profiles(second.report), profiles(first.report));
  assert.deepEqual(slices(second.report), slices(first.report));
  for (const name of ["one", "two", "done"]) {
    assert.equal(after.get(name)?.metadata.uid, before.get(name)?.metadata.uid);
    assert.deepEqual([restarts(before.get(name)), restarts(after.get(name))], name === "done" ? [0, 0] : [0, 1]);
  }
  assert.deepEqual(second.report.findings, []);
  // Nothing of what happened before is told again.
  assert.doesNotMatch(second.run.progress, /Repartition/);
  assert.match(second.run.progress, /node node-a Rebooted: /);
});

test("the same manifests again change nothing; a pod that runs stays, whatever was made with it", async (t) => {
  const stateDir = await stateDirOf(t);
  const file = await fileOf(t, ...cut("all-balanced"), pod("one", small));
  const args = ["-f", file, "--state-dir", stateDir];
  const first = await runUp(args);
  const second = await runUp(args);
  assert.deepEqual([first.code, second.code], [0, 0], second.run.progress);
  assert.deepEqual(second.report.findings, []);
  assert.deepEqual(slices(second.report), slices(first.report));
  assert.equal((await keptPods(stateDir)).get("one")?.metadata.generation, 1);
});

test("slices return to where they grew, not to where a planner would put them today", async (t) => {
  for (const model of ["A100-80GB", "H100-80GB"]) {
    const stateDir = await stateDirOf(t);
    const held: string[] = [];
    let instances: ReadonlyMap<string, string> = new Map();
    const grow = async (cluster: TestCluster): Promise<void> => {
      await cluster.createPods(...["a", "b", "c"].map((name) => pod(name, small)));
      await cluster.podsBecome("Running", "a", "b", "c");
      const [kept = ""] = cluster.devicesOf("c");
      for (const name of ["a", "b"]) await cluster.deletePod(name);
      await cluster.relabel("one");
      await cluster.migBecomes("one", "success");
      held.push(kept);
      instances = await cluster.instances();
    };
    await withCluster(t, { objects: cut("all-1g.10gb", model), stateDir }, grow);
    assert.deepEqual([...instances.keys()], held, "only what the pod holds is left");
    await withCluster(t, { objects: [], stateDir }, async (cluster) => {
      await cluster.podsBecome("Running", "c");
      assert.deepEqual(cluster.devicesOf("c"), held);
      assert.deepEqual(await cluster.instances(), instances);
      assert.deepEqual((await cluster.settle()).findings, []);
    });
  }
});

test("a pod that waits for a layout, and what waits for that pod, do so again", async (t) => {
  const stateDir = await stateDirOf(t);
  await withCluster(t, { objects: [...cut("all-balanced"), pod("one", large)], stateDir }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    await cluster.relabel("all-1g.10gb");
    await cluster.migBecomes("all-1g.10gb", "pending");
  });
  await withCluster(t, { objects: [], stateDir }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    await cluster.migBecomes("all-1g.10gb", "pending");
    await until("it has the slice that nobody took while it was away", () => cluster.devicesOf("one").length === 1);
    await cluster.deletePod("one");
    await cluster.migBecomes("all-1g.10gb", "success");
  });
});

test("manifests are applied: what they lack now goes, what others have set stays", async (t) => {
  const stateDir = await stateDirOf(t);
  const ref = { namespace: operatorNamespace, name: "settings" };
  const common = [nodeManifest("node-a", "T4", { zone: "a" })];
  const objects = [...common, configMap("settings", { kept: "1", gone: "1" })];
  const first = await runUp(["-f", await fileOf(t, ...objects), "--state-dir", stateDir]);
  assert.equal(first.code, 0, first.run.progress);
  await withCluster(t, { objects: [], stateDir }, async ({ client }) => {
    await client.mergePatch(resources.configMaps, ref, { data: { theirs: "1", kept: "2" } });
    await client.mergePatch(
      resources.nodes,
      { name: "node-a" },
      { metadata: { labels: { theirs: "yes", zone: "b" } } },
    );
  });
  const next = [...common, configMap("settings", { kept: "1", added: "1" })];
  const second = await runUp(["-f", await fileOf(t, ...next), "--state-dir", stateDir]);
  assert.equal(second.code, 0, second.run.progress);
  const [node] = second.report.nodes;
  assert.deepEqual([node?.labels["zone"], node?.labels["theirs"]], ["a", "yes"]);
  await withCluster(t, { objects: [], stateDir }, async ({ client }) => {
    const { data } = await client.get<ConfigMap>(resources.configMaps, ref);
    assert.deepEqual(data, { kept: "1", theirs: "1", added: "1" });
  });
});

test("nodes that are declared join those that were there; a deleted one is gone; exchanged GPUs are told", async (t) => {
  const stateDir = await stateDirOf(t);
  const names = (report: Report) => report.nodes.map((one) => one.name).sort();
  const codes = (report: Report) => report.findings.map((one) => `${one.code} ${one.subject.name}`).sort();
  const first = await runUp(["--node", "a=T4", "--node", "b=L4", "--state-dir", stateDir]);
  assert.deepEqual([names(first.report), codes(first.report)], [["a", "b"], []]);
  const second = await runUp(["--node", "c=T4", "--node", "a=T4:2", "--state-dir", stateDir]);
  assert.deepEqual(names(second.report), ["a", "b", "c"]);
  assert.deepEqual(codes(second.report), ["node-gpus-changed a", "node-kept b"]);
  await withCluster(t, { objects: [], stateDir }, async ({ client, cluster }) => {
    assert.deepEqual(cluster.nodes.map((one) => one.name).sort(), ["a", "b", "c"]);
    await client.delete(resources.nodes, { name: "a" });
  });
  const third = await runUp(["--state-dir", stateDir]);
  assert.deepEqual([names(third.report), codes(third.report)], [["b", "c"], []]);
  // One that comes after it gets the free place, with nothing of the old machine in it.
  const fourth = await runUp(["--node", "a=A100-80GB", "--state-dir", stateDir]);
  assert.deepEqual(names(fourth.report), ["a", "b", "c"]);
  const machines = await Promise.all(
    (await readdir(join(stateDir, "nodes"))).map(async (one) => {
      const text = await readFile(join(stateDir, "nodes", one, "machine.json"), "utf8");
      const { name, models } = JSON.parse(text);
      return `${one} ${name} ${models}`;
    }),
  );
  assert.deepEqual(machines.sort(), ["0 a a100-sxm4-80gb", "1 b l4-24gb", "2 c t4-16gb"]);
});

test("a config that was broken meanwhile does not keep the cluster from coming back", async (t) => {
  const stateDir = await stateDirOf(t);
  await withCluster(t, { objects: [...cut("all-balanced"), pod("one", small)], stateDir }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    await cluster.setConfigMap("mig", { "config.yaml": "version: v1\nmig-configs: 7\n" });
  });
  const file = await fileOf(t, pod("two", small));
  const again = await runUp(["-f", file, "--state-dir", stateDir]);
  assert.deepEqual(phases(again.report), { one: "Running", two: "Running" });
  assert.ok(again.report.findings.some((one) => one.place?.file.includes("mig")));
});

test("the port of before that somebody else has now is told, with what to do; another one can be named", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  const { port } = JSON.parse(await readFile(join(stateDir, "server.json"), "utf8"));
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(port, "127.0.0.1", resolve);
  });
  t.after(() => other.close());
  await assert.rejects(runUp(["--state-dir", stateDir]), /port-in-use: .*\n.* the cluster had it before\n.*--port/);
  await assert.rejects(runUp(["--state-dir", stateDir]), /port-in-use/, "it can be tried again");
  const free = await freePort();
  const run = await runUp(["--state-dir", stateDir, "--port", String(free)]);
  assert.equal(run.code, 0);
  assert.match(await readFile(join(stateDir, "kubeconfig"), "utf8"), new RegExp(`server: https://127.0.0.1:${free}\n`));
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, "127.0.0.1", resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("--kubeconfig: written there as well while the cluster runs; a file that is not up's own stops the start", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "config");
  const seen: string[] = [];
  const output = { answer: () => void seen.push(readFileSync(path, "utf8")), progress: () => {} };
  const { signal } = new AbortController();
  const args = ["up", "--node", "a=T4", "--once", "--kubeconfig", path];
  assert.equal(await runProgram(args, { output, signal }), 0);
  assert.match(seen[0] ?? "", /server: https:\/\/127\.0\.0\.1:\d+/);
  assert.deepEqual(await readdir(directory), []);
  await writeFile(path, "mine");
  await assert.rejects(runUp(args.slice(1, 3).concat("--kubeconfig", path)), /kubeconfig-refused: /);
  assert.equal(await readFile(path, "utf8"), "mine");
});

test("--kubeconfig: what has come in its place meanwhile stays, and nothing else does", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "config");
  const replace = (): void => {
    rmSync(path);
    mkdirSync(path);
  };
  const { signal } = new AbortController();
  const stateDir = join(directory, "state");
  const args = ["up", "--node", "a=T4", "--once", "--kubeconfig", path, "--state-dir", stateDir];
  assert.equal(await runProgram(args, { output: { answer: replace, progress: () => {} }, signal }), 0);
  assert.ok(statSync(path).isDirectory());
  assert.ok(!(await readdir(stateDir)).includes("lock"));
});

test("a machine whose file is damaged is told, with what to do", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  const path = join(stateDir, "nodes", "0", "machine.json");
  const text = await readFile(path, "utf8");
  for (const bad of ["{", "{}", text.replace("t4-16gb", "no-such-gpu"), text.replace('"version":1', '"version":2')]) {
    await writeFile(path, bad);
    await assert.rejects(
      runUp(["--state-dir", stateDir]),
      /machine-unreadable: .*machine.json\n.*\n.*→ remove the dir/,
    );
  }
  await rm(join(stateDir, "nodes", "0"), { recursive: true });
  const again = await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  assert.equal(again.code, 0, again.run.progress);
});

test("a directory that cannot be read is given up again", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  await rm(join(stateDir, "nodes"), { recursive: true });
  await writeFile(join(stateDir, "nodes"), "");
  await assert.rejects(runUp(["--state-dir", stateDir]), /state-dir-unusable: .*\n.*ENOTDIR/);
  assert.ok(!(await readdir(stateDir)).includes("lock"));
});

test("a server's file that is damaged is told, with what to do", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  const path = join(stateDir, "server.json");
  const kept = JSON.parse(await readFile(path, "utf8"));
  const { cert, key } = kept.certificate;
  const damaged = [
    { port: 70_000 },
    { token: "" },
    { certificate: { cert, key: cert } },
    { certificate: { cert: key, key } },
  ];
  for (const one of damaged) {
    await writeFile(path, JSON.stringify({ ...kept, ...one }));
    await assert.rejects(
      runUp(["--state-dir", stateDir]),
      /state-dir-unusable: .*server.json\n.*\n.*→ remove the file/,
    );
  }
  await rm(path);
  assert.equal((await runUp(["--state-dir", stateDir])).code, 0);
});

test("a node that has no machine does not keep the cluster from coming to rest", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--node", "b=T4", "--state-dir", stateDir]);
  await rm(join(stateDir, "nodes", "1"), { recursive: true });
  const again = await runUp(["--state-dir", stateDir]);
  assert.equal(again.code, 0, again.run.progress);
});

test("a journal that cannot be trusted stops the start and stays as it is, and so does what is not up's own", async (t) => {
  const stateDir = await stateDirOf(t);
  await runUp(["--node", "a=T4", "--state-dir", stateDir]);
  const path = join(stateDir, "journal.jsonl");
  const text = await readFile(path, "utf8");
  for (const [bad, says] of [
    [text.replace('"name":"default"', '"name":"defaulT"'), /journal-damaged: .*journal.jsonl:\d+:1/],
    [text.replace('"version":1', '"version":9'), /journal-newer: .*journal.jsonl:1:1/],
    ["notes\n", /state-dir-unusable/],
  ] as const) {
    await writeFile(path, bad);
    const left = await readdir(stateDir);
    await assert.rejects(runUp(["--state-dir", stateDir]), says);
    assert.equal(await readFile(path, "utf8"), bad);
    assert.deepEqual(await readdir(stateDir), left);
  }
  await writeFile(path, text);
  assert.equal((await runUp(["--state-dir", stateDir])).code, 0);
});

test("a start that comes to nothing leaves an unused directory unused", async (t) => {
  const stateDir = await stateDirOf(t);
  await assert.rejects(runUp(["-f", "/no/such/file", "--state-dir", stateDir]), /file-not-found/);
  assert.deepEqual(await readdir(stateDir), []);
  const taken = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => {
    taken.listen(port, "127.0.0.1", resolve);
  });
  t.after(() => taken.close());
  await assert.rejects(runUp(["--node", "a=T4", "--state-dir", stateDir, "--port", String(port)]), /port-in-use/);
  assert.deepEqual(await readdir(stateDir), []);
});

test("a file that may not grow: told, the cluster works to its end, and the exit code says that it is not kept", async (t) => {
  const stateDir = await stateDirOf(t);
  const program = fileURLToPath(new URL("../../bin/tranche", import.meta.url));
  const file = await fileOf(t, nodeManifest("a", "T4"), configMap("big", { text: "x".repeat(100_000) }));
  const command = `ulimit -f 64; exec ${program} up -f ${file} --state-dir ${stateDir} --once`;
  const run = spawnSync("bash", ["-c", command], { encoding: "utf8" });
  assert.equal(run.status, 1, run.stderr);
  assert.match(run.stdout, /1 node, 1 GPU \(simulated\)/);
  assert.match(run.stderr, /error journal-not-written: .*EFBIG/);
  assert.match(run.stderr, /→ make room or give access/);
  // What had been written by then is a cluster all the same.
  assert.equal((await runUp(["-f", file, "--state-dir", stateDir])).code, 0);
});
