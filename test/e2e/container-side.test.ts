/** What containers are given, as the kubelet receives it over the plugin's socket, and what runtimes find on the node. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type KubeObject, resources } from "../../src/kube/index.ts";
import { DevicePluginConnection, parseCdiSpec } from "../../src/kubelet/index.ts";
import type { AllocateAnswer } from "../../src/sharing/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, nodeManifest, pod } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const slice = "nvidia.com/mig-3g.40gb";
const share = "nvidia.com/gpu";
const cdiKind = "k8s.device-plugin.nvidia.com/gpu";
const root = "/var/run/nvidia-container-devices";

/** GPU 0 whole and shared by two, GPU 1 cut; the plugin's configs by name. */
function node(configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>): readonly KubeObject[] {
  const sharing = { timeSlicing: { resources: [{ name: share, replicas: 2 }] } };
  const texts = Object.entries(configs).map(([name, flags]) => [
    name,
    JSON.stringify({ version: "v1", flags: { migStrategy: "mixed", ...flags }, sharing }),
  ]);
  const half = [
    { devices: [0], "mig-enabled": false },
    { devices: [1], "mig-enabled": true, "mig-devices": { "3g.40gb": 1, "1g.10gb": 2 } },
  ];
  return [
    nodeManifest("node-a", "A100-80GB, A100-80GB", {
      "nvidia.com/mig.config": "half",
      "nvidia.com/device-plugin.config": Object.keys(configs)[0] ?? "",
    }),
    clusterPolicy({ mig: "mig", plugin: "plugin" }),
    configMap("mig", { "config.yaml": JSON.stringify({ version: "v1", "mig-configs": { half } }) }),
    configMap("plugin", Object.fromEntries(texts)),
  ];
}

/** Sets the node's device-plugin config and waits until the agent has acted upon it. */
async function choose(cluster: TestCluster, config: string): Promise<void> {
  await cluster.labelNode({ "nvidia.com/device-plugin.config": config });
  await until(`config ${config}`, async () => (await cluster.snapshot()).pluginConfig === config);
}

/** Calls Allocate as the kubelet does. */
async function allocate(cluster: TestCluster, resource: string, ids: readonly string[]): Promise<AllocateAnswer> {
  const socket = join(cluster.nodeRoot(), "device-plugins", `${resource.replace("nvidia.com/", "nvidia-")}.sock`);
  const connection = await DevicePluginConnection.connect(socket, { timeoutMs: 5_000 });
  try {
    return await connection.allocate(ids);
  } finally {
    connection.close();
  }
}

/** The names that the node's runtime finds, without the kind. */
async function describedNames(cluster: TestCluster): Promise<readonly string[]> {
  const path = join(cluster.nodeRoot(), "cdi", "k8s.device-plugin.nvidia.com-gpu.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return [];
  return (parseCdiSpec(text) ?? assert.fail(text)).devices.map(({ name }) => name).sort();
}

async function offeredUuids(cluster: TestCluster): Promise<readonly string[]> {
  const { offers } = await cluster.snapshot();
  return [...new Set(offers.flatMap(({ devices }) => devices.map(({ uuid }) => uuid)))].sort();
}

const configs = {
  policy: {},
  envvar: { plugin: { deviceListStrategy: "envvar", passDeviceSpecs: false } },
  mounts: { plugin: { deviceListStrategy: ["volume-mounts"], passDeviceSpecs: false } },
  annotations: { plugin: { deviceListStrategy: ["cdi-annotations"], cdiAnnotationPrefix: "nvidia.cdi.k8s.io/" } },
  cri: { plugin: { deviceListStrategy: ["cdi-cri"], passDeviceSpecs: true } },
  all: { plugin: { deviceListStrategy: ["envvar", "volume-mounts", "cdi-cri"], passDeviceSpecs: true } },
  specs: { nvidiaDevRoot: "/run/nvidia/driver", plugin: { deviceListStrategy: ["envvar"], passDeviceSpecs: true } },
  extras: { gdsEnabled: true, mofedEnabled: true, plugin: { deviceListStrategy: ["cdi-cri"] } },
  index: { plugin: { deviceListStrategy: ["cdi-cri", "envvar"], deviceIDStrategy: "index", passDeviceSpecs: false } },
};

test("each strategy gives a container its devices in the form it has for them, and specs follow", async (t) => {
  await withCluster(t, { objects: node(configs) }, async (cluster) => {
    await cluster.migBecomes("half", "success");
    const gpu = await cluster.gpu(0);
    const [part, uuid] = await partOf(cluster);
    const files = [`/dev/nvidia1`, ...part.files];
    const nodes = (paths: readonly string[], under = "") =>
      paths.map((path) => ({ containerPath: path, hostPath: `${under}${path}`, permissions: "rw" }));
    const control = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];
    const mount = (id: string) => ({ containerPath: `${root}/${id}`, hostPath: "/dev/null", readOnly: false });
    const nothing = { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices: [] };
    const cdi = `${cdiKind}=${uuid}`;
    const wants: Readonly<Record<keyof typeof configs, Partial<AllocateAnswer>>> = {
      policy: { annotations: { "cdi.k8s.io/": cdi }, cdiDevices: [cdi] },
      envvar: { envs: { NVIDIA_VISIBLE_DEVICES: uuid } },
      mounts: { envs: { NVIDIA_VISIBLE_DEVICES: root }, mounts: [mount(uuid)] },
      annotations: { annotations: { "nvidia.cdi.k8s.io/": cdi } },
      cri: { cdiDevices: [cdi] },
      all: {
        envs: { NVIDIA_VISIBLE_DEVICES: root },
        mounts: [mount(uuid)],
        devices: nodes([...control, ...files]),
        cdiDevices: [cdi],
      },
      specs: {
        envs: { NVIDIA_VISIBLE_DEVICES: uuid },
        devices: nodes([...control, ...files], "/run/nvidia/driver"),
      },
      // The node has no devices of these kinds, so there is no CDI device to name.
      extras: { envs: { NVIDIA_GDS: "enabled", NVIDIA_MOFED: "enabled" }, cdiDevices: [cdi] },
      index: { envs: { NVIDIA_VISIBLE_DEVICES: part.index }, cdiDevices: [`${cdiKind}=${part.index}`] },
    };
    for (const [config, want] of Object.entries(wants)) {
      await choose(cluster, config);
      const answer = await allocate(cluster, slice, [uuid]);
      const annotations = Object.entries(answer.annotations).map(([key, value]) => {
        const [, prefix] = /^(.*)nvidia-device-plugin_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(key) ?? [];
        return [prefix ?? key, value];
      });
      assert.deepEqual({ ...answer, annotations: Object.fromEntries(annotations) }, { ...nothing, ...want }, config);
      const isCdi = want.cdiDevices !== undefined || want.annotations !== undefined;
      const names = await describedNames(cluster);
      for (const name of [...(want.cdiDevices ?? [])])
        assert.ok(names.includes(name.slice(cdiKind.length + 1)), config);
      if (isCdi && config !== "index") assert.deepEqual(names, await offeredUuids(cluster), config);
    }
    const both = await allocate(cluster, share, [`${gpu.uuid}::1`, `${gpu.uuid}::0`]);
    assert.deepEqual(both.cdiDevices, [`${cdiKind}=0`], "two shares of one GPU are one device");
    await assert.rejects(allocate(cluster, share, [`${gpu.uuid}::7`]), {
      message: new RegExp(`invalid allocation request for "${share}": invalid request: unknown device: ${gpu.uuid}::7`),
    });
  });
});

/** The MIG device that stands under `slice`: its index, and its capability files in the order of the driver's table. */
async function partOf(cluster: TestCluster): Promise<readonly [{ index: string; files: readonly string[] }, string]> {
  const { instances, minor } = await cluster.gpu(1);
  const found = instances.find((one) => one.profile.name === "3g.40gb") ?? assert.fail("no slice");
  const [compute] = found.computeInstances;
  assert.ok(compute !== undefined);
  const access = 3 + (minor * 15 + found.id) * 9;
  const files = [access, access + 1 + compute.id].map((one) => `/dev/nvidia-caps/nvidia-cap${one}`);
  return [{ index: `1:${compute.migIndex}`, files }, compute.uuid];
}

test("a pod that got its device by CDI keeps it described through edits, and its container can start again", async (t) => {
  const again = pod("again", { [slice]: "1" }, { "tranche.dev/run-for": "1s", "tranche.dev/exit-code": "1" });
  const objects = [...node({ cri: configs.cri, envvar: configs.envvar }), again];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.migBecomes("half", "success");
    await until("the pod holds its slice", () => cluster.devicesOf("again").length === 1);
    const [uuid = ""] = cluster.devicesOf("again");
    assert.deepEqual(await describedNames(cluster), await offeredUuids(cluster));
    await choose(cluster, "envvar");
    assert.deepEqual(await describedNames(cluster), [uuid], "only what the pod holds");
    const restarts = async (): Promise<number> =>
      (await cluster.pod("again"))?.status?.containerStatuses?.[0]?.restartCount ?? 0;
    const before = await restarts();
    // A second crash would have to wait for its back-off.
    await until("it was started again", async () => (await restarts()) > before, 20_000);
    await cluster.deletePod("again");
    // Allocate counts as held for a while, since the kubelet tells of it late.
    await until(
      "its slice is not described any more",
      async () => (await describedNames(cluster)).length === 0,
      25_000,
    );
  });
});

test("a spec that somebody deletes comes back, and those of others are left alone", async (t) => {
  await withCluster(t, { objects: node({ cri: configs.cri }) }, async (cluster) => {
    await cluster.migBecomes("half", "success");
    const directory = join(cluster.nodeRoot(), "cdi");
    await writeFile(join(directory, "nvidia.yaml"), "of the toolkit");
    const names = await describedNames(cluster);
    assert.equal(names.length, 4);
    await rm(join(directory, "k8s.device-plugin.nvidia.com-gpu.json"));
    // Any change of labels is a turn.
    await cluster.labelNode({ "example.com/any": "1" });
    await until("it is there again", async () => (await describedNames(cluster)).length === 4);
    assert.deepEqual(await describedNames(cluster), names);
    assert.equal(await readFile(join(directory, "nvidia.yaml"), "utf8"), "of the toolkit");
    await cluster.cluster.client.delete(resources.clusterPolicies, { name: "cluster-policy" });
    await until("nothing is described without the policy", async () => (await describedNames(cluster)).length === 0);
    assert.deepEqual(await readdir(directory), ["nvidia.yaml"]);
    await cluster.settle();
  });
});

test("where no spec can be written, no pod is given a device that its runtime would not find", async (t) => {
  await withCluster(t, { objects: node({ cri: configs.cri, envvar: configs.envvar }) }, async (cluster) => {
    await cluster.offers(slice, 1);
    await choose(cluster, "envvar");
    const directory = join(cluster.nodeRoot(), "cdi");
    await rm(directory, { recursive: true });
    await writeFile(directory, "");
    await choose(cluster, "cri");
    await cluster.offers(slice, 0);
    const { findings } = await cluster.snapshot();
    assert.match(findings.find((one) => one.code === "cdi-specs-not-written")?.message ?? "", /cdi of node-a: /);
    await rm(directory);
    await mkdir(directory);
    await cluster.labelNode({ "example.com/any": "1" });
    await cluster.offers(slice, 1);
    assert.deepEqual(await describedNames(cluster), await offeredUuids(cluster));
  });
});
