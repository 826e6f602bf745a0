/** A cluster comes to rest although its nodes keep showing that they live. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lease, resources } from "../../src/kube/index.ts";
import { withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { until } from "../support/until.ts";

test("renewed leases and heartbeats do not count as changes", async (t) => {
  // A lease every 10 ms, which is less than the quiet time; a heartbeat every 300 ms.
  await withCluster(t, { nodes: ["node-a=T4", "node-b=T4"], clock: fastClock(1_000) }, async (cluster) => {
    await cluster.settle();
    const { api } = cluster.cluster;
    const [version, change] = [api.resourceVersion(), api.lastChange()];
    const renewals = async (): Promise<readonly (string | undefined)[]> => {
      const { items } = await cluster.client.list<Lease>(resources.leases, { namespace: "kube-node-lease" });
      return items.map((one) => one.spec?.renewTime);
    };
    const before = await renewals();
    assert.equal(before.length, 2);
    await until("both are renewed", async () => (await renewals()).every((one) => !before.includes(one)));
    assert.notEqual(api.resourceVersion(), version);
    assert.equal(api.lastChange(), change);
  });
});
