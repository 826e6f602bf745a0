/**
 * Random errors, outages of the driver, restarts and pods on one node: the kubelet never loses a device or sees one
 * twice, and it gives to pods exactly those that a model in a few lines takes for healthy.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../src/base/index.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { type Node, ResourceCache, resources } from "../../src/kube/index.ts";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, nodeManifest, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const full: Readonly<Record<string, number>> = {
  "nvidia.com/gpu": 4,
  "nvidia.com/mig-1g.10gb": 2,
  "nvidia.com/mig-3g.40gb": 1,
};
const half = [
  { devices: [0], "mig-enabled": true, "mig-devices": { "1g.10gb": 2, "3g.40gb": 1 } },
  { devices: [1], "mig-enabled": false },
];
const objects = [
  nodeManifest("node-a", "A100-80GB:2", { "nvidia.com/mig.config": "half" }),
  clusterPolicy({ mig: "mig", plugin: "plugin", pluginDefault: "any" }),
  configMap("mig", { "config.yaml": JSON.stringify({ version: "v1", "mig-configs": { half } }) }),
  configMap("plugin", { any: timeSliced(4) }),
];

type Step =
  | { readonly kind: "xid"; readonly xid: number; readonly gpu: number; readonly instance: number | undefined }
  | { readonly kind: "pod"; readonly resource: string }
  | { readonly kind: "end pod" | "restart kubelet" | "driver goes" | "driver comes" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("xid" as const),
    xid: fc.constantFrom(13, 43, 48, 79, 94, 95, 999),
    gpu: fc.constantFrom(0, 1),
    instance: fc.constantFrom(undefined, 0, 1, 2),
  }),
  fc.record({ kind: fc.constant("pod" as const), resource: fc.constantFrom(...Object.keys(full)) }),
  fc.record({
    kind: fc.constantFrom(
      "end pod" as const,
      "restart kubelet" as const,
      "driver goes" as const,
      "driver comes" as const,
    ),
  }),
);

/** What is ill, by the plainest rule: device UUIDs that some error named. */
class Model {
  readonly gpus: readonly Gpu[];
  readonly ill = new Set<string>();
  isDriverUp = true;

  constructor(gpus: readonly Gpu[]) {
    this.gpus = gpus;
  }

  /** Every device with the resource it belongs to. */
  get devices(): readonly { readonly resource: string; readonly id: string; readonly uuid: string }[] {
    const [cut, whole] = this.gpus;
    assert.ok(cut !== undefined && whole !== undefined);
    const slices = cut.instances.flatMap(({ profile, computeInstances }) =>
      computeInstances.map(({ uuid }) => ({ resource: `nvidia.com/mig-${profile.name}`, id: uuid, uuid })),
    );
    const shares = [0, 1, 2, 3].map((n) => ({
      resource: "nvidia.com/gpu",
      id: `${whole.uuid}::${n}`,
      uuid: whole.uuid,
    }));
    return [...slices, ...shares];
  }

  raise(xid: number, gpu: number, instance: number | undefined): void {
    if (xid === 13 || xid === 43) return;
    const { uuid, instances } = this.gpus[gpu] ?? assert.fail();
    const parts = instances.map((one) => one.computeInstances.map((part) => part.uuid));
    const named = instance === undefined ? undefined : parts[instance];
    for (const one of named ?? [uuid, ...parts.flat()]) this.ill.add(one);
  }

  /** `resource id`, sorted. */
  get healthy(): readonly string[] {
    const all = this.devices.filter(({ uuid }) => this.isDriverUp && !this.ill.has(uuid));
    return all.map(({ resource, id }) => `${resource} ${id}`).sort();
  }
}

class Run {
  readonly #cluster: TestCluster;
  readonly #kubelet: PodResourcesClient;
  readonly #model: Model;
  readonly #held = new Map<string, readonly string[]>();

  constructor(cluster: TestCluster, kubelet: PodResourcesClient, model: Model) {
    this.#cluster = cluster;
    this.#kubelet = kubelet;
    this.#model = model;
  }

  async do(step: Step): Promise<void> {
    const { driver, kubelet } = this.#cluster.node();
    switch (step.kind) {
      case "xid": {
        const gpu = this.#model.gpus[step.gpu] ?? assert.fail();
        const instance = step.instance === undefined ? undefined : gpu.instances[step.instance];
        // An error of an instance that is not there is one of the GPU.
        const where = step.instance === undefined ? {} : { gpuInstanceId: instance?.id ?? 99 };
        driver.raiseXid({ gpuUuid: gpu.uuid, xid: step.xid, ...where });
        // A GPU off the bus is ill as a whole, whatever instance its last word was about.
        this.#model.raise(step.xid, step.gpu, step.xid === 79 ? undefined : step.instance);
        break;
      }
      case "pod":
        await this.#addPod(step.resource);
        break;
      case "end pod": {
        const [name] = this.#held.keys();
        if (name !== undefined) await this.#cluster.deletePod(name);
        this.#held.delete(name ?? "");
        break;
      }
      case "restart kubelet":
        await kubelet.restart();
        break;
      case "driver goes":
        driver.unload();
        this.#model.isDriverUp = false;
        break;
      case "driver comes":
        driver.load();
        this.#model.isDriverUp = true;
        break;
    }
    await this.check(step);
  }

  async #addPod(resource: string): Promise<void> {
    const held = new Set([...this.#held.values()].flat());
    const free = this.#model.healthy.filter(
      (one) => one.startsWith(`${resource} `) && !held.has(one.split(" ")[1] ?? ""),
    );
    if (free.length === 0) return;
    const name = `pod-${Math.random().toString(36).slice(2, 10)}`;
    await this.#cluster.createPods(pod(name, { [resource]: "1" }));
    await this.#cluster.podsBecome("Running", name);
    const devices = this.#cluster.devicesOf(name);
    assert.equal(devices.length, 1);
    assert.ok(free.includes(`${resource} ${devices[0]}`), `${name} got ${devices[0]}, which is not free and healthy`);
    this.#held.set(name, devices);
  }

  async check(step: Step | string): Promise<void> {
    const want = this.#model.healthy;
    let seen: readonly string[] = [];
    await until(`after ${JSON.stringify(step)} the kubelet shows ${want.join(", ")}`, async () => {
      const shown = await this.#kubelet.allocatable().catch(() => undefined);
      if (shown === undefined) return false;
      seen = [...shown].flatMap(([resource, ids]) => ids.map((id) => `${resource} ${id}`)).sort();
      return JSON.stringify(seen) === JSON.stringify(want) && (await isFull(this.#cluster));
    }).catch((error: unknown) => {
      throw new Error(`it shows ${seen.join(", ")}`, { cause: error });
    });
    for (const [name, devices] of this.#held) assert.deepEqual(this.#cluster.devicesOf(name), devices);
    const all = this.#cluster
      .node()
      .kubelet.pods()
      .flatMap((one) => one.deviceIds);
    assert.equal(new Set(all).size, all.length, "no device is in two hands");
  }
}

async function isFull({ client }: TestCluster): Promise<boolean> {
  const { status } = await client.get<Node>(resources.nodes, { name: "node-a" });
  return Object.entries(full).every(([resource, count]) => Number(status?.capacity?.[resource] ?? 0) === count);
}

async function started(cluster: TestCluster): Promise<void> {
  for (const one of cluster.node().kubelet.pods()) await cluster.deletePod(one.pod);
  cluster.node().driver.load();
  await cluster.node().reboot();
  await until("the node offers all it has", () => isFull(cluster));
  await cluster.settle();
}

test("whatever fails in whatever order, the kubelet has every device once, and those of the model healthy", async (t) => {
  await withCluster(t, { objects }, async (cluster) => {
    const ending = new AbortController();
    const socketPath = join(cluster.nodeRoot(), "pod-resources", "kubelet.sock");
    const kubelet = new PodResourcesClient({ socketPath, clock: systemClock, signal: ending.signal });
    const nodes = new ResourceCache<Node>(cluster.client, resources.nodes);
    const lost: string[] = [];
    nodes.onChange(({ object: { status } }) => {
      for (const [resource, count] of Object.entries(full)) {
        const now = Number(status?.capacity?.[resource] ?? 0);
        // A kubelet that has just started has none until the plugins register.
        if (now !== 0 && now !== count) lost.push(`${now} of ${count} ${resource}`);
      }
    });
    const following = nodes.run(ending.signal);
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 9 }), async (steps) => {
          await started(cluster);
          const run = new Run(cluster, kubelet, new Model(await cluster.node().driver.list()));
          await run.check("start");
          for (const one of steps) await run.do(one);
          assert.deepEqual(lost, []);
        }),
        { numRuns: 5, endOnFailure: true },
      );
    } finally {
      ending.abort();
      kubelet.close();
      await following;
    }
  });
});
