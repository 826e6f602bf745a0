/**
 * A running cluster under random labels, pods, driver failures and kubelet restarts: no instance that a pod holds ever
 * goes away, and when all is calm the GPU is as its label says.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const configs = {
  "all-disabled": {},
  "all-1g.10gb": { "1g.10gb": 7 },
  "all-2g.20gb": { "2g.20gb": 3 },
  "all-3g.40gb": { "3g.40gb": 2 },
  "all-balanced": { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 },
} as const;
const profiles = ["1g.10gb", "2g.20gb", "3g.40gb"] as const;
const calls = [
  "createGpuInstance",
  "createComputeInstance",
  "destroyGpuInstance",
  "destroyComputeInstance",
  "setMigMode",
] as const;

const clock = fastClock(40);
/** Longer than the agent counts a device as held that it has given out and the kubelet does not list. */
const REST_MS = 11_000;

type Action =
  | { readonly kind: "label"; readonly config: keyof typeof configs }
  | { readonly kind: "create"; readonly profile: (typeof profiles)[number]; readonly usesMemory: boolean }
  | { readonly kind: "delete"; readonly which: number }
  | {
      readonly kind: "fail";
      readonly call: (typeof calls)[number];
      readonly afterCalls: number;
      readonly times: number;
    }
  | { readonly kind: "restart" }
  /** Goes on when the cluster rests, or as soon as this many writes were made. */
  | { readonly kind: "wait"; readonly writes: number }
  /** Lets so much time pass that the agent has to rely on what the kubelet tells. */
  | { readonly kind: "rest" };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("label"), config: fc.constantFrom(...keysOf(configs)) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("create"),
      profile: fc.constantFrom(...profiles),
      usesMemory: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete"), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fail"),
      call: fc.constantFrom(...calls),
      afterCalls: fc.nat(4),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rest") }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("wait"), writes: fc.integer({ min: 1, max: 12 }) }) },
);

test("nothing a pod holds ever goes away, whatever is asked for and whatever fails", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 18 }), async (actions) => {
      const objects = [
        nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": "all-balanced" }),
        clusterPolicy({ mig: "mig" }),
        configMap("mig", { "config.yaml": migParted(configs) }),
        pod("first", { "nvidia.com/mig-1g.10gb": "1" }),
        pod("second", { "nvidia.com/mig-2g.20gb": "1" }),
      ];
      await withCluster(t, { objects, clock }, (cluster) => new Scenario(cluster).play(actions));
    }),
    { numRuns: 5, endOnFailure: true },
  );
});

/** Plays actions on a cluster and watches every change of the driver. */
class Scenario {
  readonly #cluster: TestCluster;
  readonly #pods = ["first", "second"];
  readonly #disarm: (() => void)[] = [];
  readonly #checks: Promise<void>[] = [];
  /** Pods to what they held when it was gone. */
  readonly #lost: string[] = [];
  #made = 0;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  async play(actions: readonly Action[]): Promise<void> {
    const { driver } = this.#cluster.node();
    const end = driver.onChange((change) => {
      if (change.kind !== "processes") this.#checks.push(this.#check(`after a change of ${change.kind}`));
    });
    try {
      for (const one of actions) {
        await this.#do(one);
        await this.#check(`after ${JSON.stringify(one)}`);
        assert.deepEqual(this.#lost, []);
      }
      await this.#calm();
    } finally {
      end();
      await Promise.all(this.#checks);
    }
    assert.deepEqual(this.#lost, []);
  }

  /** Books and driver are read in the same moment: the simulated driver takes its picture when it is asked. */
  async #check(when: string): Promise<void> {
    const { driver, kubelet } = this.#cluster.node();
    const books = kubelet.pods();
    const gpus = await driver.list();
    const there = new Set(
      gpus.flatMap((gpu) => gpu.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid))),
    );
    for (const { pod: name, deviceIds } of books) {
      for (const id of deviceIds) if (!there.has(id)) this.#lost.push(`${name} lost ${id} ${when}`);
    }
  }

  async #do(one: Action): Promise<void> {
    const cluster = this.#cluster;
    switch (one.kind) {
      case "label":
        return cluster.relabel(one.config);
      case "create": {
        this.#made += 1;
        const name = `pod-${this.#made}`;
        const memory: Record<string, string> = one.usesMemory ? { "tranche.dev/gpu-memory": "2Gi" } : {};
        this.#pods.push(name);
        return cluster.createPods(pod(name, { [`nvidia.com/mig-${one.profile}`]: "1" }, memory));
      }
      case "delete": {
        const [name] = this.#pods.splice(one.which % Math.max(1, this.#pods.length), 1);
        return name === undefined ? undefined : cluster.deletePod(name);
      }
      case "fail":
        this.#disarm.push(cluster.node().driver.failCall({ ...one, nvmlCode: "unknown" }));
        return;
      case "restart":
        return cluster.node().kubelet.restart();
      case "wait":
        return this.#wait(one.writes);
      case "rest":
        return clock.sleep(REST_MS);
    }
  }

  async #wait(writes: number): Promise<void> {
    const { api } = this.#cluster.cluster;
    const first = Number(api.resourceVersion());
    let calmTurns = 0;
    await until("something happens, or nothing", async () => {
      await turn();
      calmTurns = this.#cluster.cluster.idle() ? calmTurns + 1 : 0;
      return Number(api.resourceVersion()) >= first + writes || calmTurns > 3;
    });
  }

  /** Without failures and pods the GPU becomes what its label says, whatever was before. */
  async #calm(): Promise<void> {
    for (const disarm of this.#disarm) disarm();
    // A label that was not there before is tried at once, however long the wait for the last one has become.
    await this.#cluster.relabel("all-3g.40gb");
    await this.#cluster.relabel("all-1g.10gb");
    for (const name of this.#pods) await this.#cluster.deletePod(name);
    await this.#cluster.migBecomes("all-1g.10gb", "success");
    const standing = [...(await this.#cluster.instances()).values()];
    assert.deepEqual(
      standing,
      [0, 1, 2, 3, 4, 5, 6].map((start) => `1g.10gb@${start}`),
    );
    await this.#cluster.offers("nvidia.com/mig-1g.10gb", 7);
  }
}

function keysOf<T extends object>(object: T): (keyof T)[] {
  const keys: (keyof T)[] = [];
  for (const key in object) keys.push(key);
  return keys;
}
