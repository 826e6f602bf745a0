/**
 * A client that nobody here wrote, `@kubernetes/client-node`, does what controllers do: list, watch, patch, evict,
 * create and delete.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  makeInformer,
  PatchStrategy,
  PolicyV1Api,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Pod,
} from "@kubernetes/client-node";
import { withCluster } from "../support/cluster.ts";
import { until } from "../support/until.ts";

const namespace = "default";

/** Runs `body` with a client that has nothing but the kubeconfig that `tranche up` writes. */
async function withClient(t: TestContext, body: (core: CoreV1Api, config: KubeConfig) => Promise<void>): Promise<void> {
  await withCluster(t, { nodes: ["node-a=T4:2"] }, async ({ cluster }) => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfigPath);
    await body(config.makeApiClient(CoreV1Api), config);
  });
}

function configMap(name: string, data: Record<string, string>): V1ConfigMap {
  return { metadata: { name, labels: { app: "test" } }, data };
}

/** A pod that holds one GPU until it is deleted. */
function gpuPod(name: string): V1Pod {
  const resources = { limits: { "nvidia.com/gpu": "1" } };
  return {
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: "registry.example/app:1", resources }],
    },
  };
}

/** The status code of the API error that the client throws. */
async function codeOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiException, String(error));
    return error.code;
  }
  return 200;
}

test("client-node lists nodes with their GPUs, and what selectors choose", async (t) => {
  await withClient(t, async (core) => {
    const allocatable = await until("the node's GPUs are offered", async () => {
      const { items } = await core.listNode();
      assert.deepEqual(
        items.map((one) => one.metadata?.name),
        ["node-a"],
      );
      const found = items[0]?.status?.allocatable;
      return found?.["nvidia.com/gpu"] === "2" && found;
    });
    assert.equal(allocatable["pods"], "110");
    for (const name of ["a", "b", "c"]) {
      await core.createNamespacedConfigMap({ namespace, body: configMap(name, { letter: name }) });
    }
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: "app=test", limit: 2 });
    assert.deepEqual(
      page.items.map((one) => one.data),
      [{ letter: "a" }, { letter: "b" }],
    );
    const next = page.metadata?._continue ?? "";
    const rest = await core.listNamespacedConfigMap({
      namespace,
      labelSelector: "app=test",
      limit: 2,
      _continue: next,
    });
    assert.deepEqual(
      rest.items.map((one) => one.data),
      [{ letter: "c" }],
    );
  });
});

test("client-node's informer sees a pod come, run with its GPU and go by eviction", async (t) => {
  await withClient(t, async (core, config) => {
    const seen: string[] = [];
    const note = (what: string) => (pod: V1Pod) => {
      seen.push([what, pod.metadata?.name, pod.status?.phase].join(" "));
    };
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const informer = makeInformer<V1Pod>(config, path, () => core.listNamespacedPod({ namespace }));
    informer.on("add", note("add"));
    informer.on("update", note("update"));
    informer.on("delete", note("delete"));
    await informer.start();
    try {
      await core.createNamespacedPod({ namespace, body: gpuPod("train") });
      await until("the informer sees it run", () => informer.get("train", namespace)?.status?.phase === "Running");
      const eviction = { metadata: { name: "train", namespace } };
      await core.createNamespacedPodEviction({ namespace, name: "train", body: eviction });
      await until("the informer sees it go", () => informer.get("train", namespace) === undefined);
      assert.equal(seen[0], "add train Pending", seen.join("\n"));
      assert.ok(seen.includes("update train Running"), seen.join("\n"));
      assert.match(seen.at(-1) ?? "", /^delete train /, seen.join("\n"));
      assert.equal(await codeOf(core.readNamespacedPod({ namespace, name: "train" })), 404);
    } finally {
      await informer.stop();
    }
  });
});

test("client-node patches in three ways", async (t) => {
  await withClient(t, async (core) => {
    const name = "patched";
    await core.createNamespacedConfigMap({ namespace, body: configMap(name, { a: "1", b: "1" }) });
    const patch = async (type: string, body: unknown): Promise<V1ConfigMap> =>
      await core.patchNamespacedConfigMap({ namespace, name, body }, setHeaderOptions("Content-Type", type));
    const merged = await patch(PatchStrategy.MergePatch, { data: { a: null } });
    assert.deepEqual(merged.data, { b: "1" });
    const byJson = await patch(PatchStrategy.JsonPatch, [{ op: "replace", path: "/data/b", value: "2" }]);
    assert.deepEqual(byJson.data, { b: "2" });
    await core.createNamespacedPod({ namespace, body: gpuPod("strategic") });
    const containers = [{ name: "main", image: "registry.example/app:2" }];
    const pod = await core.patchNamespacedPod(
      { namespace, name: "strategic", body: { spec: { containers } } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
    assert.deepEqual(
      pod.spec?.containers.map((one) => [one.name, one.image, one.resources?.limits]),
      [["main", "registry.example/app:2", { "nvidia.com/gpu": "1" }]],
    );
  });
});

test("client-node scales, is kept from evicting by a budget, and deletes with all that belongs to it", async (t) => {
  await withClient(t, async (core, config) => {
    const apps = config.makeApiClient(AppsV1Api);
    const policy = config.makeApiClient(PolicyV1Api);
    const name = "web";
    const labels = { app: name };
    const containers = [{ name: "main", image: "registry.example/app:1" }];
    const template = { metadata: { labels }, spec: { containers, terminationGracePeriodSeconds: 1 } };
    const spec = { replicas: 1, selector: { matchLabels: labels }, template };
    await apps.createNamespacedDeployment({ namespace, body: { metadata: { name }, spec } });
    // The controllers write to the deployment too, so a version may be out of date the moment it is read.
    const scale = await until("the deployment is scaled from its present version", async () => {
      const seen = await apps.readNamespacedDeploymentScale({ namespace, name });
      const body = { ...seen, spec: { replicas: 2 } };
      return (await codeOf(apps.replaceNamespacedDeploymentScale({ namespace, name, body }))) === 200 && seen;
    });
    assert.equal(scale.status?.selector, "app=web");
    const stale = apps.replaceNamespacedDeploymentScale({ namespace, name, body: { ...scale, spec: { replicas: 3 } } });
    assert.equal(await codeOf(stale), 409);
    const budget = { metadata: { name }, spec: { minAvailable: 1, selector: { matchLabels: labels } } };
    await policy.createNamespacedPodDisruptionBudget({ namespace, body: budget });
    await until("one of two pods may go", async () => {
      const { status } = await policy.readNamespacedPodDisruptionBudget({ namespace, name });
      return status?.currentHealthy === 2 && status.disruptionsAllowed === 1;
    });
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: "app=web" });
    const evictions = items.map(async ({ metadata }) => {
      const pod = metadata?.name ?? "";
      return codeOf(
        core.createNamespacedPodEviction({ namespace, name: pod, body: { metadata: { name: pod, namespace } } }),
      );
    });
    assert.deepEqual((await Promise.all(evictions)).sort(), [200, 429]);
    await until("the evicted pod has a successor", async () => {
      const { status } = await policy.readNamespacedPodDisruptionBudget({ namespace, name });
      return status?.currentHealthy === 2;
    });
    await apps.deleteNamespacedDeployment({ namespace, name, propagationPolicy: "Foreground" });
    await until("the deployment is gone", async () => {
      const { items: left } = await apps.listNamespacedDeployment({ namespace });
      return left.length === 0;
    });
    assert.deepEqual((await core.listNamespacedPod({ namespace, labelSelector: "app=web" })).items, []);
    assert.deepEqual((await apps.listNamespacedReplicaSet({ namespace })).items, []);
  });
});

test("client-node meets the errors it knows: exists already, stale, not there, against the rules", async (t) => {
  await withClient(t, async (core) => {
    const name = "one";
    const first = await core.createNamespacedConfigMap({ namespace, body: configMap(name, { a: "1" }) });
    assert.equal(await codeOf(core.createNamespacedConfigMap({ namespace, body: configMap(name, {}) })), 409);
    await core.replaceNamespacedConfigMap({ namespace, name, body: { ...first, data: { a: "2" } } });
    const stale = { ...first, data: { a: "3" } };
    assert.equal(await codeOf(core.replaceNamespacedConfigMap({ namespace, name, body: stale })), 409);
    assert.deepEqual((await core.readNamespacedConfigMap({ namespace, name })).data, { a: "2" });
    assert.equal(await codeOf(core.createNamespacedConfigMap({ namespace, body: configMap("Not A Name", {}) })), 422);
    const { status, details } = await core.deleteNamespacedConfigMap({ namespace, name });
    assert.deepEqual([status, details?.name], ["Success", name]);
    assert.equal(await codeOf(core.deleteNamespacedConfigMap({ namespace, name })), 404);
  });
});

test("client-node writes what it has classes for and what it has none for", async (t) => {
  await withClient(t, async (_core, config) => {
    const apps = config.makeApiClient(AppsV1Api);
    const template = { metadata: { labels: { app: "web" } }, spec: gpuPod("web").spec ?? { containers: [] } };
    const spec = { replicas: 1, selector: { matchLabels: { app: "web" } }, template };
    const made = await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: "web" }, spec } });
    assert.ok(made.metadata?.creationTimestamp instanceof Date);
    assert.equal(made.metadata.generation, 1);
    const custom = config.makeApiClient(CustomObjectsApi);
    const of = { group: "nvidia.com", version: "v1", plural: "clusterpolicies" };
    const policy = { apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata: { name: "policy" }, spec: {} };
    await custom.createClusterCustomObject({ ...of, body: policy });
    const listed: { readonly items: readonly { readonly kind: string }[] } = await custom.listClusterCustomObject(of);
    assert.deepEqual(
      listed.items.map((one) => one.kind),
      ["ClusterPolicy"],
    );
  });
});
