/**
 * Random pods, ends, restarts and illnesses: no device is ever in two hands, and what a pod held is free when it has ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/base/index.ts";
import { type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { gpuResource, TestNode } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

type Step =
  | {
      readonly do: "create";
      readonly shares: number;
      readonly initShares: number;
      readonly lives: "long" | "30s" | "0s";
    }
  | { readonly do: "delete"; readonly pick: number }
  | { readonly do: "wait"; readonly seconds: number }
  | { readonly do: "restart plugin" }
  | { readonly do: "restart kubelet" }
  | { readonly do: "illness"; readonly pick: number };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("create" as const),
      shares: fc.integer({ min: 1, max: 3 }),
      initShares: fc.integer({ min: 0, max: 3 }),
      lives: fc.constantFrom("long" as const, "30s" as const, "0s" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), pick: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(10, 30) }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart plugin" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart kubelet" as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("illness" as const), pick: fc.nat(7) }) },
);

/** Eight shares of two GPUs, and what is done to them. */
class Cluster {
  readonly clock = new VirtualClock(1_700_000_000_000);
  readonly api = new MemoryApi();
  #node: TestNode | undefined;
  #created = 0;

  async start(): Promise<void> {
    this.#node = await TestNode.start({ api: this.api, clock: this.clock, models: ["t4-16gb", "t4-16gb"], shares: 4 });
  }

  get node(): TestNode {
    assert.ok(this.#node !== undefined);
    return this.#node;
  }

  async apply(step: Step): Promise<void> {
    const { api, clock, node } = this;
    switch (step.do) {
      case "create":
        await this.#create(step);
        break;
      case "delete": {
        const pods = api.pods();
        const pod = pods[step.pick % Math.max(1, pods.length)];
        if (pod !== undefined) await api.delete(resources.pods, pod.metadata);
        break;
      }
      case "wait":
        await clock.advance(step.seconds * 1000);
        break;
      case "restart plugin":
        await this.#restartPlugin();
        break;
      case "restart kubelet":
        await node.kubelet.restart();
        await this.#restartPlugin();
        break;
      case "illness": {
        const id = node.plugin.ids[step.pick] ?? "";
        if (!node.plugin.ill.delete(id)) node.plugin.ill.add(id);
        node.plugin.report();
        break;
      }
    }
    await this.settled();
  }

  /** Every pod is where it will stay, and the node offers exactly the healthy shares. */
  async settled(): Promise<void> {
    const { api, node } = this;
    const healthy = String(node.plugin.ids.length - node.plugin.ill.size);
    await until("the node and its pods are at rest", () => {
      const offered = api.node("node-a")?.status?.allocatable?.[gpuResource];
      return node.kubelet.idle() && offered === healthy && api.pods().every(isAtRest);
    });
  }

  /** What the books say of each pod that has a place. */
  check(): void {
    const held = new Map<string, string[]>();
    const holders = new Map<string, string>();
    for (const { pod, container, deviceIds } of this.node.kubelet.pods()) {
      held.set(`${pod}/${container}`, [...deviceIds]);
      for (const id of deviceIds) {
        const holder = holders.get(id) ?? pod;
        assert.equal(holder, pod, `${id} is held by ${holder} and ${pod}`);
        holders.set(id, pod);
      }
    }
    for (const pod of this.api.pods()) {
      const [main] = pod.spec.containers;
      const asked = Number(main?.resources?.limits?.[gpuResource]);
      const ids = held.get(`${pod.metadata.name}/main`) ?? [];
      assert.equal(new Set(ids).size, pod.status?.phase === "Running" ? asked : 0, `${pod.metadata.name} holds ${ids}`);
    }
  }

  /** A pod is let in exactly if its widest moment fits into what is healthy and in nobody's hands. */
  async #create({ shares, initShares, lives }: Extract<Step, { do: "create" }>): Promise<void> {
    const { api, node } = this;
    const inUse = new Set(node.kubelet.pods().flatMap((one) => one.deviceIds));
    const free = node.plugin.ids.filter((id) => !inUse.has(id) && !node.plugin.ill.has(id)).length;
    this.#created += 1;
    const name = `p${this.#created}`;
    await node.create(name, {
      shares,
      ...(initShares === 0 ? {} : { initShares }),
      annotations: lives === "long" ? {} : { "tranche.dev/run-for": lives },
    });
    await this.settled();
    const refused = api.pod(name)?.status?.reason === "UnexpectedAdmissionError";
    assert.equal(refused, Math.max(shares, initShares) > free, `${free} free: ${api.pod(name)?.status?.message}`);
  }

  /** With everything ended and well, one pod can have it all. */
  async finish(): Promise<void> {
    for (const pod of this.api.pods()) await this.api.delete(resources.pods, pod.metadata);
    this.node.plugin.ill.clear();
    this.node.plugin.report();
    await until("all pods are gone", () => this.api.pods().length === 0);
    await this.settled();
    assert.deepEqual(this.node.kubelet.pods(), []);
    await this.node.create("all", { shares: this.node.plugin.ids.length });
    await this.settled();
    assert.equal(this.api.pod("all")?.status?.phase, "Running", this.api.pod("all")?.status?.message);
  }

  async stop(): Promise<void> {
    await this.#node?.stop();
  }

  async #restartPlugin(): Promise<void> {
    await this.node.plugin.stop();
    await until("the kubelet has seen it", () => this.api.node("node-a")?.status?.allocatable?.[gpuResource] === "0");
    await this.node.plugin.start();
  }
}

function isAtRest(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return pod.status?.phase === "Running" || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

test("no device is in two hands, and every device of an ended pod is free", async () => {
  const property = fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 25 }), async (script) => {
    const cluster = new Cluster();
    try {
      await cluster.start();
      for (const step of script) {
        await cluster.apply(step);
        cluster.check();
      }
      await cluster.finish();
    } finally {
      await cluster.stop();
    }
  });
  await fc.assert(property, { numRuns: 25 });
});
