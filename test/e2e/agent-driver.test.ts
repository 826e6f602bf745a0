/** `tranche agent` over NVIDIA's library: a driver that comes late, is missing, or goes away and comes back. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { modelById } from "../../src/gpu/index.ts";
import type { KubeObject } from "../../src/kube/index.ts";
import { type SeenGpu, stateText } from "../cli/node/machine.ts";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { AgentMachine, NODE } from "../support/agent-machine.ts";
import { clusterPolicy } from "../support/manifests.ts";
import { runTranche } from "../support/run-up.ts";
import { until } from "../support/until.ts";

const GPU = "nvidia.com/gpu";
/** NVML_ERROR_DRIVER_NOT_LOADED. */
const notLoaded = 9;
const always = 0xffff_ffff;

/** The layouts of the machine, as `tranche gpus` tells them. */
async function stateOf(options: readonly string[]): Promise<string> {
  const { answer, progress } = await runTranche(["gpus", "-o", "json", ...options]);
  assert.notEqual(answer, "", progress);
  const seen: { readonly gpus: readonly SeenGpu[] } = JSON.parse(answer);
  return seen.gpus.map(stateText).join("\n");
}

interface NvmlMachine {
  readonly machine: AgentMachine;
  readonly node: MockNode;
  readonly options: readonly string[];
}

async function nvmlMachine(t: TestContext, objects: readonly KubeObject[] = []): Promise<NvmlMachine> {
  const machine = await AgentMachine.start(t, { objects });
  const directory = join(machine.directory, "nvml");
  await mkdir(directory);
  const node = await MockNode.create(directory, { models: [modelById("a100-sxm4-80gb") ?? assert.fail()] });
  const library = ["--driver", "nvml", "--nvml-library", node.libraryPath, "--nvidia-smi", node.nvidiaSmi];
  return { machine, node, options: [...library, "--root", node.root] };
}

test("a driver that is not there is the end, as failOnInitError says by default", async (t) => {
  const { machine, node, options } = await nvmlMachine(t);
  await node.initCode(notLoaded);
  const agent = await machine.startAgent(...options);
  assert.equal((await agent.end()).code, 1);
  assert.match(agent.progress, /nvidia-driver-not-loaded/);
});

test("without failOnInitError the agent waits for a driver that comes late", async (t) => {
  const { machine, node, options } = await nvmlMachine(t);
  const load = await node.initCode(notLoaded);
  const agent = await machine.startAgent("--fail-on-init-error=false", ...options);
  await agent.says(/(agent of node-a: the driver does not answer yet)/);
  await agent.says(/(error nvidia-driver-not-loaded)/);
  await until("an event tells", async () =>
    (await machine.events(NODE)).some((one) => /^NvidiaDriverNotLoaded: .*modprobe nvidia/.test(one)),
  );
  await load();
  await machine.offers(GPU, 1);
  await agent.says(/(over: .*nvidia-driver-not-loaded)/);
});

test("a driver that is unloaded makes devices unhealthy, and one loaded again is opened anew", async (t) => {
  const { machine, node, options } = await nvmlMachine(t);
  const agent = await machine.startAgent(...options);
  await machine.offers(GPU, 1);
  const unloadedForNew = await node.initCode(notLoaded);
  const unloaded = await node.fail({ symbol: "*", times: always, code: notLoaded });
  agent.signal("SIGHUP");
  await machine.offers(GPU, 0);
  await agent.says(/(error driver-unreachable)/);
  await unloaded();
  await unloadedForNew();
  await machine.offers(GPU, 1);
  agent.signal("SIGQUIT");
  assert.deepEqual(await agent.end(), { code: 0, signal: null });
});

test("a change of layout that is under way when the agent ends is taken back", async (t) => {
  const { machine, node, options } = await nvmlMachine(t, [clusterPolicy()]);
  const agent = await machine.startAgent(...options, "--fail-on-init-error=false");
  await machine.offers(GPU, 1);
  await machine.relabel("all-1g.10gb");
  await machine.offers("nvidia.com/mig-1g.10gb", 7);
  const stateBefore = await stateOf(options);
  const creates = async (): Promise<number> =>
    (await node.changes()).filter(({ symbol }) => symbol.startsWith("nvmlDeviceCreateGpuInstance")).length;
  const before = await creates();
  await node.delay(100);
  await machine.relabel("all-3g.40gb");
  await until("a slice is made", async () => (await creates()) > before);
  agent.signal("SIGTERM");
  assert.deepEqual(await agent.end(), { code: 0, signal: null });
  await node.delay(0);
  assert.equal(await stateOf(options), stateBefore);
});
