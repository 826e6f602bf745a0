/**
 * Every bad value at which NVIDIA's plugin exits (k8s-device-plugin v0.20, cmd/nvidia-device-plugin/main.go): the agent
 * says what is wrong, stays up, and serves what is not concerned. One agent meets them all, one edit after the other.
 */
import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { AgentMachine } from "../support/agent-machine.ts";
import { timeSliced } from "../support/manifests.ts";
import { runTranche } from "../support/run-up.ts";
import { until } from "../support/until.ts";

const GPU = "nvidia.com/gpu";

interface Row {
  readonly name: string;
  readonly config: string;
  readonly code: string;
  /** What is offered with it; default: as before, since the config is not taken. */
  readonly offered?: Readonly<Record<string, number>>;
}

const mps = (name: string): string => `{mps: {resources: [{name: ${name}, replicas: 2}]}}`;

// GPU 0 is whole, GPU 1 is cut into 1g.10gb and 3g.40gb.
const rows: readonly Row[] = [
  { name: "a file that cannot be parsed", config: "sharing: {", code: "yaml-syntax" },
  { name: "a type that is wrong", config: "flags: {migStrategy: 1}", code: "bad-value" },
  {
    name: "a resource name in capitals",
    config: "sharing: {timeSlicing: {resources: [{name: nvidia.com/GPU, replicas: 2}]}}",
    code: "bad-resource-name",
  },
  {
    name: "one replica",
    config: "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 1}]}}",
    code: "bad-value",
  },
  { name: "no shared resources", config: "sharing: {timeSlicing: {}}", code: "missing-field" },
  { name: "a version to come", config: "version: v2", code: "unknown-version" },
  { name: "a MIG strategy", config: "flags: {migStrategy: many}", code: "bad-value" },
  { name: "a device list strategy", config: "flags: {plugin: {deviceListStrategy: env}}", code: "bad-value" },
  { name: "a device id strategy", config: "flags: {plugin: {deviceIDStrategy: name}}", code: "bad-value" },
  {
    name: "an allocation policy",
    config: "flags: {plugin: {sharedDevicesAllocationPolicy: random}}",
    code: "bad-value",
  },
  { name: "discovery for virtual machines", config: "flags: {deviceDiscoveryStrategy: vfio}", code: "bad-value" },
  {
    name: "discovery of Tegra boards",
    config: "flags: {deviceDiscoveryStrategy: tegra}",
    code: "setting-without-effect",
    offered: { [GPU]: 1 },
  },
  { name: "an IMEX channel that cannot be", config: "imex: {channelIDs: [1]}", code: "bad-value" },
  {
    name: "MPS without a root",
    config: `sharing: ${mps("gpu")}`,
    code: "mps-not-possible",
    offered: { [GPU]: 1 },
  },
  {
    name: "MPS of a resource that is not there",
    config: `{flags: {mpsRoot: /run/mps}, sharing: ${mps("nvidia.com/mig-7g.80gb")}}`,
    code: "shared-resource-absent",
    offered: { [GPU]: 1 },
  },
  {
    name: "the single strategy with different slices",
    config: "flags: {migStrategy: single}",
    code: "single-strategy-conflict",
    offered: { [GPU]: 1 },
  },
];

test("a bad value is told, and what is not concerned goes on", async (t) => {
  const machine = await AgentMachine.start(t, { models: ["a100-sxm4-80gb", "a100-sxm4-80gb"] });
  const config = join(machine.directory, "config.yaml");
  await cutSecondGpu(machine);
  const client = new PodResourcesClient({ socketPath: join(machine.kubeletRoot, "pod-resources", "kubelet.sock") });
  t.after(() => client.close());
  const shown = async (): Promise<string> => {
    const all = [...(await client.allocatable())].filter(([, ids]) => ids.length > 0);
    return textOf(Object.fromEntries(all.map(([resource, ids]) => [resource, ids.length])));
  };
  /** Replaced as editors do, so that nobody reads half of it. */
  const write = async (text: string): Promise<void> => {
    await writeFile(`${config}.new`, text);
    await rename(`${config}.new`, config);
  };
  await write(timeSliced(2));
  const agent = await machine.startAgent("--config-file", config);
  for (const { name, config: text, code, offered } of rows) {
    await t.test(name, async () => {
      await write(timeSliced(2));
      await until("the good config is in force", async () => (await shown()) === textOf({ [GPU]: 2 }));
      const said = agent.progress.length;
      await write(text);
      await until(`${code} is told`, () => agent.progress.slice(said).includes(` ${code}: `));
      const want = textOf(offered ?? { [GPU]: 2 });
      await until(`the kubelet shows ${want}`, async () => (await shown()) === want);
    });
  }
  agent.signal("SIGTERM");
  assert.deepEqual(await agent.end(), { code: 0, signal: null });
});

function textOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([resource, count]) => `${resource}=${count}`)
    .sort()
    .join(" ");
}

async function cutSecondGpu(machine: AgentMachine): Promise<void> {
  const file = join(machine.directory, "mig.yaml");
  const entry = '{devices: [1], mig-enabled: true, mig-devices: {"1g.10gb": 1, "3g.40gb": 1}}';
  await writeFile(file, `version: v1\nmig-configs: {cut: [{devices: [0], mig-enabled: false}, ${entry}]}\n`);
  const { code, progress } = await runTranche(["mig", "apply", "-f", file, ...machine.gpuOptions]);
  assert.equal(code, 0, progress);
}
