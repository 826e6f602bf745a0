/** Random restarts, losses and offers: in the end the kubelet knows what is offered. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/base/index.ts";
import { DevicePluginHost, pluginSocketName, RpcError } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { offersOf } from "./support/fixtures.ts";
import { KubeletStandIn } from "./support/stand-in.ts";

const resources = ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb"] as const;

type Action =
  | { readonly kind: "offer"; readonly lists: Readonly<Record<string, string>> }
  | { readonly kind: "restart" | "kill" | "check" }
  | { readonly kind: "delete" | "drop"; readonly resource: string };

const list = fc.constantFrom("", "A", "!A", "A B", "B A", "A !B C", "A::0 A::1 A::2");
const resource = fc.constantFrom(...resources);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("offer"), lists: fc.dictionary(resource, list) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("restart", "kill", "check") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete", "drop"), resource }) },
);

class Node {
  readonly directory: string;
  readonly clock = new VirtualClock(1_000_000);
  readonly kubelet: KubeletStandIn;
  readonly host: DevicePluginHost;
  #offered: Readonly<Record<string, string>> = {};

  constructor(directory: string) {
    this.directory = directory;
    this.kubelet = new KubeletStandIn(directory);
    this.host = new DevicePluginHost({ directory, clock: this.clock });
  }

  async run(one: Action): Promise<void> {
    switch (one.kind) {
      case "offer":
        this.#offered = one.lists;
        return await this.host.offer(offersOf(one.lists));
      case "restart":
        return await this.kubelet.restart();
      case "kill":
        return await this.kubelet.stop();
      case "delete":
        return await rm(join(this.directory, pluginSocketName(one.resource)), { force: true });
      case "drop":
        if (this.kubelet.devices(one.resource) !== undefined) this.kubelet.drop(one.resource);
        return;
      case "check":
        return await this.check();
    }
  }

  /** The kubelet, started if it was not, comes to know exactly what is offered, and allocations reach the backend. */
  async check(): Promise<void> {
    if (!(await readdir(this.directory)).includes("kubelet.sock")) await this.kubelet.restart();
    await until(`the kubelet knows ${JSON.stringify(this.#offered)}`, async () => {
      await this.clock.advance(500);
      return this.#agrees();
    });
    for (const name of Object.keys(this.#offered)) {
      await until(`${name} is allocated`, async () => {
        await this.clock.advance(500);
        return await this.#allocates(name);
      });
    }
  }

  /** False while the connection is being made anew, which is the kubelet's to repeat. */
  async #allocates(name: string): Promise<boolean> {
    const ids = this.kubelet.healthy(name) ?? [];
    try {
      const answer = await this.kubelet.connection(name).allocate(ids);
      assert.deepEqual(answer.envs, { NVIDIA_VISIBLE_DEVICES: ids.join(",") });
      return true;
    } catch (error) {
      if (error instanceof RpcError && error.rpcCode === "Unavailable") return false;
      throw error;
    }
  }

  #agrees(): boolean {
    return resources.every((name) => {
      const offered = this.#offered[name];
      const known = this.kubelet.devices(name);
      const registered = this.host.status().find((state) => state.resource === name)?.registeredSinceMs !== undefined;
      if (offered === undefined) return known === undefined || known.length === 0;
      const text = known?.map(({ id, healthy }) => (healthy ? id : `!${id}`)).sort();
      return registered && text?.join(" ") === offered.split(" ").filter(Boolean).sort().join(" ");
    });
  }
}

test("whatever restarts, is deleted or breaks off, the kubelet ends up with the lists that are offered", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 10 }), async (actions) => {
      const node = new Node(await mkdtemp(join(tmpdir(), "tr-")));
      try {
        node.host.start();
        await node.kubelet.start();
        for (const one of actions) await node.run(one);
        await node.check();
      } finally {
        await node.kubelet.stop();
        await node.host.stop();
      }
      assert.deepEqual(await readdir(node.directory), [], "sockets are left behind");
      await rm(node.directory, { recursive: true });
    }),
    { numRuns: 25 },
  );
});
