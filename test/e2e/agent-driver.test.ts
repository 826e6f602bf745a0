/** `tranche agent` over NVIDIA's library: a driver that comes late, is missing, or goes away and comes back. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { modelById } from "../../src/gpu/index.ts";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { AgentMachine } from "../support/agent-machine.ts";

const GPU = "nvidia.com/gpu";
/** NVML_ERROR_DRIVER_NOT_LOADED. */
const notLoaded = 9;
const always = 0xffff_ffff;

async function nvmlMachine(
  t: TestContext,
): Promise<{ readonly machine: AgentMachine; readonly node: MockNode; readonly options: readonly string[] }> {
  const machine = await AgentMachine.start(t);
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
