/** `up` is killed in the middle of writes and started again: nothing that was confirmed is lost, clients find it again. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { load } from "js-yaml";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import {
  type ConfigMap,
  connectionFromKubeconfig,
  hasStatus,
  KubeClient,
  type KubeObject,
  type Pod,
  ResourceCache,
  type ResourceType,
  resources,
} from "../../src/kube/index.ts";
import { clusterPolicy, configMap, manifestText, migParted, nodeManifest, pod } from "../support/manifests.ts";
import { temporaryDirectory, writtenFiles } from "../support/temporary.ts";
import { TrancheProcess } from "../support/tranche-process.ts";
import { until } from "../support/until.ts";

const STAYS = /export KUBECONFIG=(\S+)/;
const small = { "nvidia.com/mig-1g.10gb": "1" };

const deployment: KubeObject & { spec: unknown } = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "served", namespace: "default" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "served" } },
    template: { metadata: { labels: { app: "served" } }, spec: pod("any", small).spec },
  },
};

const definition: KubeObject & { spec: unknown } = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
  },
};
const widgets: ResourceType = {
  group: "example.com",
  version: "v1",
  plural: "widgets",
  kind: "Widget",
  namespaced: true,
};

const objects = [
  nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": "all" }),
  clusterPolicy({ mig: "mig" }),
  configMap("mig", { "config.yaml": migParted({ all: { "1g.10gb": 7 } }) }),
  definition,
  deployment,
  pod("single", small),
];

async function clientOf(kubeconfig: string): Promise<KubeClient> {
  const read = connectionFromKubeconfig(load(await readFile(kubeconfig, "utf8")));
  assert.ok(read.ok, JSON.stringify(read.findings));
  return new KubeClient(read.value);
}

/** Writes ConfigMaps and changes them until the server is gone; answers with the last confirmed value of each. */
async function writeUntilGone(client: KubeClient, confirmed: Map<string, string>): Promise<void> {
  const worker = async (number: number): Promise<void> => {
    const name = `written-${number}`;
    for (let value = 0; ; value++) {
      const data = { value: String(value) };
      const ref = { namespace: "default", name };
      if (value === 0)
        await client.create<ConfigMap>(resources.configMaps, { ...configMap(name, data), metadata: ref });
      else await client.mergePatch<ConfigMap>(resources.configMaps, ref, { data });
      confirmed.set(name, data.value);
    }
  };
  await Promise.allSettled(Array.from({ length: 8 }, (_, number) => worker(number)));
}

test("killed in the middle of writes and started again: what was confirmed is there, and everything goes on", async (t) => {
  const stateDir = join(await temporaryDirectory(t), "state");
  const [file = ""] = await writtenFiles(t, { "cluster.yaml": manifestText(...objects) });
  const killed = await TrancheProcess.start(t, "up", "-f", file, "--state-dir", stateDir);
  const kubeconfig = await killed.says(STAYS);
  const text = await readFile(kubeconfig, "utf8");
  const client = await clientOf(kubeconfig);
  t.after(() => client.close());
  const widget = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "one", namespace: "default" } };
  const custom = await client.create(widgets, widget);
  const before = await client.list<Pod>(resources.pods);
  assert.equal(before.items.length, 3);

  // A cache that follows across the kill, as kubectl -w or a controller would.
  const following = new AbortController();
  const cache = new ResourceCache<ConfigMap>(client, resources.configMaps, { clock: systemClock, log: silentLogger });
  const run = cache.run(following.signal);
  t.after(async () => {
    following.abort();
    await run;
  });
  const confirmed = new Map<string, string>();
  const writing = writeUntilGone(client, confirmed);
  await until(
    "there are writes under way",
    () => confirmed.size === 8 && [...confirmed.values()].every((one) => Number(one) > 20),
  );
  killed.signal("SIGKILL");
  assert.deepEqual(await killed.end(), { code: null, signal: "SIGKILL" });
  await writing;

  const next = await TrancheProcess.start(t, "up", "--state-dir", stateDir);
  await next.says(STAYS);
  assert.equal(await readFile(kubeconfig, "utf8"), text);
  const { items } = await client.list<ConfigMap>(resources.configMaps, { namespace: "default" });
  const values = new Map(items.map((one) => [one.metadata.name, Number(one.data?.["value"])]));
  for (const [name, value] of confirmed) {
    // A write may have come through whose answer did not.
    assert.ok([0, 1].includes((values.get(name) ?? -1) - Number(value)), `${name} ${value} ${values.get(name)}`);
  }
  assert.deepEqual(await client.get(widgets, custom.metadata), custom);

  const pods = await until("all pods run again", async () => {
    const now = await client.list<Pod>(resources.pods);
    const again = now.items.every((one) => one.status?.containerStatuses?.[0]?.restartCount === 1);
    return again && now.items.every((one) => one.status?.phase === "Running") && now.items;
  });
  const identities = (all: readonly Pod[]) => all.map((one) => `${one.metadata.name} ${one.metadata.uid}`).sort();
  assert.deepEqual(identities(pods), identities(before.items));

  const watch = client.watch<Pod>(resources.pods, { resourceVersion: before.resourceVersion });
  await assert.rejects(watch[Symbol.asyncIterator]().next(), (error) => hasStatus(error, 410));
  const ref = { namespace: "default", name: "written-0" };
  await client.mergePatch<ConfigMap>(resources.configMaps, ref, { data: { value: "done" } });
  await until("the cache is true again", () => {
    const cached = cache.items().filter((one) => one.metadata.namespace === "default");
    const wanted = new Map([...values].map(([name, value]) => [name, name === "written-0" ? "done" : String(value)]));
    return (
      cached.length === wanted.size && cached.every((one) => one.data?.["value"] === wanted.get(one.metadata.name))
    );
  });
  // Controllers act as before.
  await client.delete(resources.pods, {
    namespace: "default",
    name: pods.find((one) => one.metadata.name !== "single")?.metadata.name ?? "",
  });
  await until("another pod takes the place", async () => {
    const now = await client.list<Pod>(resources.pods);
    const running = now.items.filter((one) => one.status?.phase === "Running");
    return running.length === 3 && identities(running).join() !== identities(pods).join();
  });
  next.signal("SIGINT");
  assert.deepEqual(await next.end(), { code: 0, signal: null });
});
