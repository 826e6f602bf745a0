/** `tranche agent` as a process beside a kubelet: what survives, what is healed, what is refused. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { resources } from "../../src/kube/index.ts";
import { DevicePluginServer } from "../../src/kubelet/index.ts";
import { AgentMachine, NODE } from "../support/agent-machine.ts";
import { cleanUp } from "../support/clean-up.ts";
import { configMap, operatorNamespace, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const GPU = "nvidia.com/gpu";
const oneShare = { [GPU]: "1" };

test("allocations outlive an agent that is killed, and its sockets are taken over", async (t) => {
  const machine = await AgentMachine.start(t);
  const config = join(machine.directory, "config.yaml");
  await writeFile(config, timeSliced(4));
  const first = await machine.startAgent("--config-file", config);
  await machine.offers(GPU, 4);
  for (const name of ["one", "two"]) await machine.create(pod(name, oneShare));
  await machine.podsBecome("Running", "one", "two");
  const held = machine.held();
  first.signal("SIGKILL");
  await first.end();
  const second = await machine.startAgent("--config-file", config);
  await second.says(/^(agent of node-a: 1 GPU \(simulated\); https:)/m);
  await machine.create(pod("three", oneShare));
  await machine.podsBecome("Running", "three");
  const { three, ...others } = machine.held();
  assert.deepEqual(others, held);
  assert.ok(three?.every((id) => !Object.values(held).flat().includes(id)));
  second.signal("SIGTERM");
  assert.deepEqual(await second.end(), { code: 0, signal: null });
  const left = (await readdir(machine.plugins)).filter((name) => /\.(sock|lock)$/.test(name));
  assert.deepEqual(left, ["kubelet.sock"]);
  assert.deepEqual((await readdir(machine.stateDir)).sort(), ["last-good-config.json", "simulated-gpus.json"]);
});

test("a kubelet that restarts knows the devices again, also in a directory made anew", async (t) => {
  const machine = await AgentMachine.start(t);
  await machine.startAgent();
  await machine.offers(GPU, 1);
  const allocates = async (name: string): Promise<void> => {
    await machine.kubeletShows(GPU, 1);
    await machine.create(pod(name, oneShare));
    await machine.podsBecome("Running", name);
    await machine.deletePod(name);
  };
  await machine.kubelet.restart();
  await allocates("after-a-restart");
  await machine.kubelet.reboot(() => rm(machine.plugins, { recursive: true }));
  await allocates("in-another-directory");
});

test("more or fewer shares by an edit: running pods keep theirs, and the rest is as the config says", async (t) => {
  const machine = await AgentMachine.start(t);
  const config = join(machine.directory, "config.yaml");
  await writeFile(config, timeSliced(4));
  const agent = await machine.startAgent("--config-file", config);
  await machine.offers(GPU, 4);
  const pods = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `pod-${number}`);
  for (const name of pods.slice(0, 4)) await machine.create(pod(name, oneShare));
  await machine.podsBecome("Running", ...pods.slice(0, 4));
  const before = machine.held();
  await writeFile(config, timeSliced(8));
  for (const name of pods.slice(4)) await machine.create(pod(name, oneShare));
  await machine.podsBecome("Running", ...pods);
  const all = machine.held();
  for (const [name, ids] of Object.entries(before)) assert.deepEqual(all[name], ids);
  assert.equal(new Set(Object.values(all).flat()).size, 8);

  await writeFile(config, timeSliced(2));
  await machine.offers(GPU, 2);
  await agent.says(/(hold 8 of nvidia\.com\/gpu, and it has 2 now; .* until 7 have ended)/);
  assert.deepEqual(machine.held(), all);
  await machine.create(pod("late", oneShare));
  for (const name of pods.slice(0, 6)) await machine.deletePod(name);
  await agent.says(/(over: .*shares-over-held)/);
  assert.notEqual((await machine.pod("late"))?.status?.phase, "Running");
  await machine.podsBecome("Running", "pod-7", "pod-8");
  await machine.deletePod("pod-7");
  await machine.podsBecome("Running", "late");
  assert.deepEqual(machine.held()["pod-8"], all["pod-8"]);
});

test("a second agent on the node is refused, with whatever state directory", async (t) => {
  const machine = await AgentMachine.start(t);
  await machine.startAgent();
  await machine.offers(GPU, 1);
  for (const stateDir of [machine.stateDir, join(machine.directory, "other")]) {
    const second = await machine.startAgent("--state-dir", stateDir);
    await second.says(/error second-agent: node-a\n.* is held by (agent of node-a, process \d+)/);
    assert.equal((await second.end()).code, 1);
  }
});

test("another plugin that serves the resource is named in an event of the node", async (t) => {
  const machine = await AgentMachine.start(t);
  const backend = { preferredAllocation: () => [], allocate: () => assert.fail("no pod wants it") };
  const other = new DevicePluginServer({ resource: GPU, directory: machine.plugins, backend });
  await other.start();
  cleanUp(t, () => other.stop());
  await machine.startAgent();
  const served = new RegExp(
    `^SecondDevicePlugin: ${GPU}: another device plugin serves ${other.socketPath}, process ${process.pid} `,
  );
  await until("an event tells", async () => (await machine.events(NODE)).some((one) => served.test(one)));
});

test("a kubelet that stays away is told of in an event of the node", async (t) => {
  const machine = await AgentMachine.start(t);
  await machine.startAgent();
  await machine.offers(GPU, 1);
  await machine.kubelet.stop();
  await until("an event tells", async () =>
    (await machine.events(NODE)).some((one) => /^KubeletUnreachable: .*pod resources/.test(one)),
  );
});

test("without a Kubernetes API the config file alone counts, and its edits", async (t) => {
  const machine = await AgentMachine.start(t);
  const config = join(machine.directory, "config.yaml");
  await writeFile(config, timeSliced(2));
  const agent = await machine.startProcess("--no-kubernetes", "--config-file", config);
  await agent.says(/(warning no-kubernetes-api: .*config\.yaml)/);
  await machine.offers(GPU, 2);
  await writeFile(config, timeSliced(3));
  await machine.offers(GPU, 3);
  await writeFile(config, "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 1}]}}");
  await agent.says(/(config\.yaml:1:\d+: error)/);
  await machine.offers(GPU, 3);
  assert.equal(
    Object.keys((await machine.node()).metadata.labels ?? {}).some((name) => name.startsWith("nvidia.com/")),
    false,
  );
  await until("no event", async () => (await machine.events("node-a")).every((one) => !one.includes("tranche")));
});

test("a ConfigMap named on the command line is chosen from by label, followed, and kept when an edit breaks it", async (t) => {
  const configs = configMap("shares", { few: timeSliced(2), many: timeSliced(5) });
  const machine = await AgentMachine.start(t, { objects: [configs] });
  const options = ["--config-map", `${operatorNamespace}/shares`, "--node-label", "shares", "--default-config", "few"];
  const agent = await machine.startAgent(...options, "--listen", "0");
  const url = await agent.says(/endpoints at (\S+)/);
  await machine.offers(GPU, 2);
  await machine.client.mergePatch(resources.nodes, { name: NODE }, { metadata: { labels: { shares: "many" } } });
  await machine.offers(GPU, 5);
  const edit = (many: string): Promise<unknown> =>
    machine.client.mergePatch(
      resources.configMaps,
      { namespace: operatorNamespace, name: "shares" },
      { data: { many } },
    );
  await edit(timeSliced(6));
  await machine.offers(GPU, 6);
  const hashOf = async (): Promise<string | undefined> =>
    /config_since_timestamp_seconds\{config="many",hash="(\w+)"\}/.exec(
      await (await fetch(`${url}/metrics`)).text(),
    )?.[1];
  const hash = createHash("sha256").update(timeSliced(6)).digest("hex").slice(0, 12);
  await until("the config is told", async () => (await hashOf()) === hash);
  await edit("sharing: {timeSlicing: {}}");
  await until("an event tells", async () =>
    (await machine.events(NODE)).some((one) => /MissingField: .*many:1:/.test(one)),
  );
  assert.equal(await hashOf(), hash);
  await machine.offers(GPU, 6);
});

test("the endpoints tell whether the agent lives, is ready, and what it counts; the heap only when asked for", async (t) => {
  const machine = await AgentMachine.start(t);
  const agent = await machine.startAgent("--listen", "127.0.0.1:0");
  const url = await agent.says(/endpoints at (\S+)/);
  const status = async (path: string): Promise<number> => (await fetch(url + path)).status;
  await until("it is ready", async () => (await status("/readyz")) === 200);
  await machine.offers(GPU, 1);
  await machine.create(pod("one", oneShare));
  await machine.podsBecome("Running", "one");
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^tranche_agent_allocations_total 1$/m);
  assert.match(metrics, /^tranche_agent_devices\{resource="nvidia\.com\/gpu"\} 1$/m);
  assert.match(metrics, /^tranche_agent_info\{.*node="node-a",simulated="true"\} 1$/m);
  assert.equal(await status("/debug/heap"), 404);
  await machine.kubelet.stop();
  await until("it is not ready without a kubelet", async () => (await status("/readyz")) === 503);
  assert.equal(await status("/healthz"), 200);
});
