/** Control daemons as real processes of a stand-in that takes NVIDIA's commands. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { gpu, gpus, nodeOffers } from "../../sharing/fixtures.ts";
import { until } from "../../support/until.ts";
import { MpsNode, mpsOffers } from "./support.ts";

const four = mpsOffers(["gpu[0] x4"]);
const gpu0 = { uuid: "GPU-0" };

test("each shared GPU gets a daemon of its own, which knows its limits before its shares are given out", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(mpsOffers(["gpu[0] x4", "gpu[1] x2"]), node.root);
  assert.equal(node.mps.isReady(gpu0), false);
  await Promise.all([node.ready("GPU-0"), node.ready("GPU-1")]);
  assert.deepEqual(await node.told("GPU-0"), [
    "set_default_device_pinned_mem_limit 0 20480M",
    "set_default_active_thread_percentage 25",
  ]);
  assert.deepEqual(await node.told("GPU-1"), [
    "set_default_device_pinned_mem_limit 0 40960M",
    "set_default_active_thread_percentage 50",
  ]);
  const environment: unknown = JSON.parse(await readFile(join(node.root, "GPU-1", "log", "environment.json"), "utf8"));
  assert.deepEqual(environment, {
    CUDA_MPS_PIPE_DIRECTORY: join(node.root, "GPU-1", "pipe"),
    CUDA_MPS_LOG_DIRECTORY: join(node.root, "GPU-1", "log"),
    CUDA_VISIBLE_DEVICES: "GPU-1",
    PATH: node.searchPath,
  });
  assert.equal((await stat(join(node.root, "GPU-1", "pipe"))).mode & 0o777, 0o755);
  assert.match(
    node.events[0]?.message ?? "",
    /^the MPS control daemon of GPU \d works: \d shares, a client gets at most/,
  );
});

test("a MIG device has a daemon that sees it alone; a change ends those of what goes and no other", async (t) => {
  const node = await MpsNode.make(t);
  const { offers } = nodeOffers({
    gpus: [gpu(0, "3g.40gb@0 3g.40gb@4")],
    settings: { migStrategy: "single" },
    share: ["gpu x2"],
    sharing: { strategy: "mps" },
  });
  await node.mps.follow(offers, node.root);
  await Promise.all([node.ready("MIG-0-0-0"), node.ready("MIG-0-4-0")]);
  const log = join(node.root, "MIG-0-4-0", "log", "environment.json");
  assert.match(await readFile(log, "utf8"), /"CUDA_VISIBLE_DEVICES":\s*"MIG-0-4-0"/);
  assert.match(
    node.events[0]?.message ?? "",
    /^the MPS control daemon of MIG device 0:\d \(3g\.40gb\) works: 2 shares/,
  );
  await assert.rejects(node.modes(), { code: "ENOENT" });
  const stays = await node.pid("MIG-0-0-0");
  await node.mps.release(["MIG-0-4-0"]);
  assert.deepEqual([await node.pid("MIG-0-4-0"), await node.pid("MIG-0-0-0")], [undefined, stays]);
  node.restart();
  await node.mps.follow([], node.root);
  await until("what was left is found and ended", async () => (await node.pid("MIG-0-0-0")) === undefined);
});

test("a GPU that is not shared by MPS needs no daemon", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  assert.equal(node.mps.isReady({ uuid: "GPU-1" }), true);
});

test("a daemon that dies takes its shares from pods until another one works", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  const first = await node.pid("GPU-0");
  assert.ok(first !== undefined);
  // Pods that hold shares now hold them by MPS: the next daemon does not wait for them.
  node.held.set("GPU-0", true);
  process.kill(first, "SIGKILL");
  await until("its shares are taken", () => !node.mps.isReady(gpu0));
  assert.match(node.mps.findings()[0]?.message ?? "", /its 4 shares are not given to pods: its process has ended$/);
  await node.ready("GPU-0");
  assert.notEqual(await node.pid("GPU-0"), first);
  assert.deepEqual(node.codes(), []);
});

test("a daemon that hangs is ended and replaced", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  const first = await node.pid("GPU-0");
  await node.behave("hang");
  await until("its silence is noticed", () => node.codes().includes("mps-daemon-down"), 30_000);
  assert.match(node.mps.findings()[0]?.message ?? "", /no answer to get_server_list within 5 s$/);
  await until("it is ended", async () => (await node.pid("GPU-0")) !== first, 30_000);
  await node.behave("");
  await node.ready("GPU-0");
});

test("one that refuses to start is tried again, and its words are told", async (t) => {
  const node = await MpsNode.make(t);
  await node.behave("refuse");
  await node.mps.follow(four, node.root);
  await until("the refusal is told", () => node.codes().includes("mps-daemon-down"));
  assert.match(node.mps.findings()[0]?.message ?? "", /ended with exit code 1: no CUDA-capable device is detected$/);
  assert.equal(node.mps.isReady(gpu0), false);
  await node.behave("");
  await node.ready("GPU-0");
});

test("one that never listens is given up, and leaves no process", async (t) => {
  const node = await MpsNode.make(t);
  await node.behave("slow");
  await node.mps.follow(four, node.root);
  await until("its silence is told", () => node.codes().includes("mps-daemon-down"), 30_000);
  assert.equal(node.mps.isReady(gpu0), false);
  await node.behave("");
  await node.ready("GPU-0");
});

test("what does not quit is ended by signals, and its directory goes with it", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  const pid = await node.pid("GPU-0");
  assert.ok(pid !== undefined);
  await node.behave("stubborn");
  await node.mps.follow([], node.root);
  await until("nothing is busy", () => !node.mps.busy, 30_000);
  // Empty for a process that has ended, as long as nobody has asked how.
  assert.equal(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""), "");
  await assert.rejects(stat(join(node.root, "GPU-0")), { code: "ENOENT" });
  assert.equal(node.mps.isReady(gpu0), true);
});

test("a change of the GPU waits for a daemon that is being ended already", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  await node.behave("stubborn");
  await node.mps.follow([], node.root);
  await node.mps.release(["GPU-0"]);
  assert.equal(await node.pid("GPU-0"), undefined);
});

test("new limits reach the server that runs, and the daemon stays", async (t) => {
  const node = await MpsNode.make(t);
  await node.clients(2);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  const pid = await node.pid("GPU-0");
  const before = (await node.told("GPU-0")).length;
  await node.mps.follow(mpsOffers(["gpu[0] x8"]), node.root);
  await until("they are told", () => !node.mps.busy);
  assert.deepEqual((await node.told("GPU-0")).slice(before), [
    "set_default_device_pinned_mem_limit 0 10240M",
    "set_default_active_thread_percentage 12",
    "set_device_pinned_mem_limit 4711 0 10240M",
    "set_active_thread_percentage 4711 12",
  ]);
  assert.equal(await node.pid("GPU-0"), pid);
  assert.deepEqual([...node.mps.clients()], [["GPU-0", 2]]);
});

test("the daemons of a crashed agent are adopted where they are wanted and ended where not", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(mpsOffers(["gpu x4"]), node.root);
  await Promise.all([node.ready("GPU-0"), node.ready("GPU-1")]);
  const pid = await node.pid("GPU-0");
  node.restart();
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  assert.equal(await node.pid("GPU-0"), pid);
  await until("GPU 1 is free", () => node.mps.isReady({ uuid: "GPU-1" }));
  assert.equal(await node.pid("GPU-1"), undefined);
  await assert.rejects(stat(join(node.root, "GPU-1")), { code: "ENOENT" });
});

test("a daemon in use outlives its agent and a config without it", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  const pid = await node.pid("GPU-0");
  node.held.set("GPU-0", true);
  await node.mps.stop();
  assert.equal(await node.pid("GPU-0"), pid);
  node.restart();
  await node.mps.follow([], node.root);
  await until("it is told", () => node.codes().includes("mps-daemon-held"));
  assert.equal(node.mps.isReady(gpu0), false);
  node.held.clear();
  await until("the GPU is given again", () => node.mps.isReady(gpu0));
  assert.equal(await node.pid("GPU-0"), undefined);
});

test("none is started while pods hold the GPU by other means", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(nodeOffers({ gpus: gpus(1) }).offers, node.root);
  node.held.set("GPU-0", true);
  await node.mps.follow(four, node.root);
  await until("it is told", () => node.codes().includes("mps-waits"));
  assert.equal(await node.pid("GPU-0"), undefined);
  node.held.clear();
  await node.ready("GPU-0");
});

test("pods of before a reboot get their daemon, whose directory is gone with it", async (t) => {
  const node = await MpsNode.make(t);
  node.held.set("GPU-0", true);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
});

test("a shared GPU is given to the MPS server alone, and to everybody again afterwards", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  assert.deepEqual(await node.modes(), ["-i GPU-0 -c EXCLUSIVE_PROCESS"]);
  await node.mps.follow([], node.root);
  await until("it has ended", () => node.mps.isReady(gpu0));
  assert.deepEqual(await node.modes(), ["-i GPU-0 -c EXCLUSIVE_PROCESS", "-i GPU-0 -c DEFAULT"]);
});

test("an agent that stops ends the daemons nobody uses", async (t) => {
  const node = await MpsNode.make(t);
  await node.mps.follow(four, node.root);
  await node.ready("GPU-0");
  await node.mps.stop();
  assert.equal(await node.pid("GPU-0"), undefined);
  await assert.rejects(stat(join(node.root, "GPU-0")), { code: "ENOENT" });
});
