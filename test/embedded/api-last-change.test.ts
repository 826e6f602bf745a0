/** Which writes count as changes to who waits for the cluster to rest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { startApiServer } from "../../src/embedded/index.ts";
import { KubeClient, type Lease, type Node, resources } from "../../src/kube/index.ts";

test("renewed leases and heartbeats are no changes, everything else is", async () => {
  const api = await startApiServer({ clock: systemClock, log: silentLogger });
  const client = new KubeClient(api.connection());
  try {
    const counts = async (write: () => Promise<unknown>): Promise<boolean> => {
      const [version, change] = [api.resourceVersion(), api.lastChange()];
      await write();
      assert.notEqual(api.resourceVersion(), version);
      return api.lastChange() !== change;
    };
    const ref = { namespace: "kube-node-lease", name: "node-a" };
    const lease: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: ref };
    const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" } };
    const status = (ready: "True" | "Unknown", lastHeartbeatTime: string) => () => {
      const conditions = [{ type: "Ready", status: ready, lastHeartbeatTime }];
      return client.mergePatch(resources.nodes, node.metadata, { status: { conditions } }, { subresource: "status" });
    };
    const renew = (): Promise<unknown> =>
      client.mergePatch(resources.leases, ref, { spec: { renewTime: "2026-01-01T00:00:00.000000Z" } });
    const label = (): Promise<unknown> =>
      client.mergePatch(resources.nodes, node.metadata, { metadata: { labels: { a: "b" } } });
    const writes = [
      { name: "a new lease", write: () => client.create(resources.leases, lease), want: true },
      { name: "its renewal", write: renew, want: false },
      { name: "a new node", write: () => client.create(resources.nodes, node), want: true },
      { name: "its first status", write: status("True", "2026-01-01T00:00:00Z"), want: true },
      { name: "a heartbeat", write: status("True", "2026-01-01T00:05:00Z"), want: false },
      { name: "another condition", write: status("Unknown", "2026-01-01T00:05:00Z"), want: true },
      { name: "a label", write: label, want: true },
      { name: "the end of the lease", write: () => client.delete(resources.leases, ref), want: true },
    ];
    for (const { name, write, want } of writes) assert.equal(await counts(write), want, name);
  } finally {
    await client.close();
    await api.close();
  }
});

test("a change that another one brings about is the last", async () => {
  const api = await startApiServer({ clock: systemClock, log: silentLogger });
  const client = new KubeClient(api.connection());
  try {
    const ref = { namespace: "ending", name: "last" };
    await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "ending" } });
    const metadata = { ...ref, finalizers: ["example.com/hold"] };
    await client.create(resources.configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
    await client.delete(resources.namespaces, { name: "ending" });
    // The namespace goes with the last that is in it.
    await client.mergePatch(resources.configMaps, ref, { metadata: { finalizers: null } });
    assert.equal(api.lastChange(), api.resourceVersion());
  } finally {
    await client.close();
    await api.close();
  }
});
