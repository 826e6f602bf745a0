/** Workloads that ask for GPUs, through everything: API, controllers, scheduler, kubelet, plugin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Condition, KubeObject, Pod } from "../../src/kube/index.ts";
import { resources } from "../../src/kube/index.ts";
import { withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { until } from "../support/until.ts";

const image = (version: number): string => `registry.example/app:${version}`;

function template(labels: Record<string, string>, limits: Record<string, string>, more: object = {}): object {
  const { annotations = {}, ...spec } = { annotations: {}, ...more };
  const containers = [{ name: "main", image: image(1), resources: { limits } }];
  return { metadata: { labels, annotations }, spec: { ...spec, containers } };
}

function objectOf(apiVersion: string, kind: string, name: string, spec: object): KubeObject {
  return Object.assign({ apiVersion, kind, metadata: { name, namespace: "default" } }, { spec });
}

interface Stated extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[]; readonly succeeded?: number };
}

const holder = objectOf("apps/v1", "Deployment", "holder", {
  progressDeadlineSeconds: 60,
  selector: { matchLabels: { app: "holder" } },
  template: template({ app: "holder" }, { "nvidia.com/gpu": "1" }),
});

test("a rollout waits for a GPU that its old pod holds, is late, and goes on when that may go first", async (t) => {
  await withCluster(t, { nodes: ["a=T4"], objects: [holder], clock: fastClock(30) }, async (cluster) => {
    const { client } = cluster;
    const ref = { namespace: "default", name: "holder" };
    const podsOf = async (): Promise<readonly Pod[]> =>
      (await client.list<Pod>(resources.pods, { labelSelector: "app=holder" })).items;
    const runs = async (version: number): Promise<boolean> =>
      (await podsOf()).some(
        (pod) => pod.status?.phase === "Running" && pod.spec.containers[0]?.image === image(version),
      );
    const progress = async (): Promise<string | undefined> => {
      const { status } = await client.get<Stated>(resources.deployments, ref);
      return status?.conditions?.find(({ type }) => type === "Progressing")?.reason;
    };
    await until("the first pod runs", () => runs(1));
    const containers = [{ name: "main", image: image(2), resources: { limits: { "nvidia.com/gpu": "1" } } }];
    await client.mergePatch(resources.deployments, ref, { spec: { template: { spec: { containers } } } });
    await until("the new pod finds no GPU", async () =>
      (await podsOf()).some(({ status }) =>
        status?.conditions?.some((one) => /Insufficient nvidia.com\/gpu/.test(one.message ?? "")),
      ),
    );
    // A rollout that cannot go on is at rest.
    await cluster.settle();
    await until("the rollout is late", async () => (await progress()) === "ProgressDeadlineExceeded");
    assert.ok(await runs(1), "the old pod runs on");
    const { findings } = await cluster.settle();
    assert.deepEqual(findings.map((one) => one.code).sort(), ["pod-unschedulable", "rollout-late"]);
    const rollingUpdate = { maxSurge: 0, maxUnavailable: 1 };
    await client.mergePatch(resources.deployments, ref, { spec: { strategy: { rollingUpdate } } });
    await until("the new pod runs", () => runs(2));
    await until("the rollout is complete", async () => (await progress()) === "NewReplicaSetAvailable");
    assert.equal((await podsOf()).length, 1);
  });
});

test("a job's pods take turns on the GPUs there are", async (t) => {
  const training = objectOf("batch/v1", "Job", "training", {
    completions: 5,
    parallelism: 5,
    template: template(
      {},
      { "nvidia.com/gpu": "1" },
      { restartPolicy: "Never", annotations: { "tranche.dev/run-for": "5s" } },
    ),
  });
  await withCluster(t, { nodes: ["a=T4:2"], objects: [training], clock: fastClock(30) }, async ({ client }) => {
    const ref = { namespace: "default", name: "training" };
    await until("the job is complete", async () => {
      const { items } = await client.list<Pod>(resources.pods);
      const running = items.filter((pod) => pod.status?.phase === "Running");
      assert.ok(running.length <= 2, `${running.length} pods run on two GPUs`);
      const { status } = await client.get<Stated>(resources.jobs, ref);
      return status?.conditions?.some((one) => one.type === "Complete" && status.succeeded === 5);
    });
  });
});
