/** The controllers against the API server, with a clock that stands still and nobody who runs pods. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { Controllers } from "../../src/embedded/index.ts";
import {
  type Condition,
  type KubeApi,
  type KubeClient,
  KubeError,
  type KubeEvent,
  type KubeObject,
  type Node,
  type Pod,
  type PodStatus,
  type ResourceType,
  resources,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { podNamed, startHarness } from "./api-support.ts";

const namespace = "default";
const budgets: ResourceType = {
  group: "policy",
  version: "v1",
  plural: "poddisruptionbudgets",
  kind: "PodDisruptionBudget",
  namespaced: true,
};

interface Stated extends KubeObject {
  readonly status?: { readonly [key: string]: unknown; readonly conditions?: readonly Condition[] };
}

/** An API server with controllers. */
class Rig {
  readonly clock: VirtualClock;
  readonly client: KubeClient;
  readonly #revision: () => string;
  #controllers: Controllers | undefined;

  constructor(client: KubeClient, clock: VirtualClock, revision: () => string) {
    this.client = client;
    this.clock = clock;
    this.#revision = revision;
  }

  start(api: KubeApi = this.client): void {
    this.#controllers = new Controllers(api, { clock: this.clock, random: () => 0.5 });
    this.#controllers.start();
  }

  async stop(): Promise<void> {
    await this.#controllers?.stop();
  }

  /** Lets little time pass, until nothing is written any more. */
  async rest(): Promise<void> {
    let quiet = 0;
    let revision = this.#revision();
    await until("the controllers rest", async () => {
      await this.clock.advance(50);
      quiet = this.#controllers?.idle() === true && revision === this.#revision() ? quiet + 1 : 0;
      revision = this.#revision();
      return quiet > 4;
    });
  }

  async apply(apiVersion: string, kind: string, name: string, spec: object): Promise<void> {
    await this.client.create(typeOf(kind), objectOf(apiVersion, kind, name, spec));
    await this.rest();
  }

  async get(kind: string, name: string): Promise<Stated> {
    return await this.client.get<Stated>(typeOf(kind), { namespace, name });
  }

  async status(kind: string, name: string): Promise<NonNullable<Stated["status"]>> {
    return (await this.get(kind, name)).status ?? {};
  }

  async condition(kind: string, name: string, type: string): Promise<Condition | undefined> {
    return (await this.status(kind, name)).conditions?.find((one) => one.type === type);
  }

  async patch(kind: string, name: string, patch: object): Promise<void> {
    await this.client.mergePatch(typeOf(kind), { namespace, name }, patch);
    await this.rest();
  }

  async pods(): Promise<readonly Pod[]> {
    return (await this.client.list<Pod>(resources.pods, { namespace })).items;
  }

  async names(): Promise<readonly string[]> {
    return (await this.pods()).map((pod) => pod.metadata.name).sort();
  }

  /** What a kubelet would write. */
  async setStatus(pod: Pod, status: PodStatus): Promise<void> {
    await this.client.mergePatch(resources.pods, pod.metadata, { status }, { subresource: "status" });
  }

  async end(pod: Pod, phase: "Succeeded" | "Failed"): Promise<void> {
    const startTime = new Date(this.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await this.setStatus(pod, { phase, startTime });
  }

  async makeReady(): Promise<void> {
    const lastTransitionTime = new Date(this.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    for (const pod of await this.pods()) {
      if (pod.status?.phase !== "Pending") continue;
      await this.setStatus(pod, {
        phase: "Running",
        conditions: [{ type: "Ready", status: "True", lastTransitionTime }],
      });
    }
    await this.rest();
  }

  async events(reason: string): Promise<readonly string[]> {
    const { items } = await this.client.list<KubeEvent>(resources.events);
    return items.filter((one) => one.reason === reason).map((one) => one.message);
  }
}

function typeOf(kind: string): ResourceType {
  const found = [...Object.values(resources), budgets].find((one) => one.kind === kind);
  assert.ok(found, kind);
  return found;
}

function objectOf(apiVersion: string, kind: string, name: string, spec: object): KubeObject {
  return Object.assign({ apiVersion, kind, metadata: { name, namespace } }, { spec });
}

async function withRig(t: TestContext, body: (rig: Rig) => Promise<void>): Promise<void> {
  const clock = new VirtualClock(Date.parse("2026-01-01T12:00:00Z"));
  const harness = await startHarness({ clock });
  const rig = new Rig(harness.client, clock, () => harness.server.resourceVersion());
  t.after(async () => {
    await rig.stop();
    await harness.stop();
  });
  await body(rig);
}

const containers = [{ name: "main", image: "registry.example/app:1" }];
const template = (labels: object, more: object = {}) => ({ metadata: { labels }, spec: { containers, ...more } });
const setSpec = (replicas: number) => ({
  replicas,
  selector: { matchLabels: { app: "web" } },
  template: template({ app: "web" }),
});
const jobSpec = (spec: object) => ({ ...spec, template: template({}, { restartPolicy: "Never" }) });

test("a replica set takes an orphan in, lets go of a pod whose label changes, and replaces it", async (t) => {
  await withRig(t, async (rig) => {
    await rig.client.create(
      resources.pods,
      podNamed("orphan", { metadata: { name: "orphan", labels: { app: "web" } } }),
    );
    rig.start();
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(2));
    const orphan = await rig.get("Pod", "orphan");
    assert.equal(orphan.metadata.ownerReferences?.[0]?.name, "web");
    assert.equal((await rig.names()).length, 2);
    await rig.patch("Pod", "orphan", { metadata: { labels: { app: "debug" } } });
    assert.deepEqual((await rig.get("Pod", "orphan")).metadata.ownerReferences ?? [], []);
    assert.equal((await rig.names()).length, 3);
    assert.equal((await rig.status("ReplicaSet", "web"))["replicas"], 2);
  });
});

test("controllers that are replaced make nothing twice", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(3));
    await rig.makeReady();
    const before = await rig.names();
    await rig.stop();
    rig.start();
    await rig.rest();
    assert.deepEqual(await rig.names(), before);
    assert.equal((await rig.client.list(resources.replicaSets)).items.length, 1);
  });
});

test("an answer that was lost is no reason to make more pods than wanted", async (t) => {
  await withRig(t, async (rig) => {
    let lost = 0;
    const api = changedApi(rig.client, async (type, object) => {
      const created = await rig.client.create(type, object);
      if (type.kind !== "Pod" || lost > 0) return created;
      lost += 1;
      throw new KubeError("the connection broke", { status: 0, reason: "ConnectionFailed" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(3));
    await rig.clock.advance(1000);
    await rig.rest();
    assert.equal((await rig.names()).length, 3);
    assert.deepEqual(await rig.events("SuccessfulDelete"), []);
  });
});

test("pods that are refused are told of, and tried again when they are let in", async (t) => {
  await withRig(t, async (rig) => {
    let isFull = true;
    const api = changedApi(rig.client, async (type, object) => {
      if (type.kind !== "Pod" || !isFull) return await rig.client.create(type, object);
      throw new KubeError("exceeded quota: gpus", { status: 403, reason: "Forbidden" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "Deployment", "web", setSpec(2));
    const failure = await rig.condition("Deployment", "web", "ReplicaFailure");
    assert.deepEqual([failure?.reason, failure?.message], ["FailedCreate", "exceeded quota: gpus"]);
    assert.deepEqual(await rig.events("FailedCreate"), ["Error creating: exceeded quota: gpus"]);
    isFull = false;
    await rig.clock.advance(60_000);
    await rig.rest();
    assert.equal((await rig.names()).length, 2);
    assert.equal(await rig.condition("Deployment", "web", "ReplicaFailure"), undefined);
  });
});

test("a replica set that is refused is told of on its deployment, and comes when it is let in", async (t) => {
  await withRig(t, async (rig) => {
    let isFull = true;
    const api = changedApi(rig.client, async (type, object) => {
      if (type.kind !== "ReplicaSet" || !isFull) return await rig.client.create(type, object);
      throw new KubeError("too many sets", { status: 403, reason: "Forbidden" });
    });
    rig.start(api);
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    const told = await rig.condition("Deployment", "web", "Progressing");
    assert.equal(told?.reason, "ReplicaSetCreateError");
    assert.match(told?.message ?? "", /^Failed to create new replica set "web-\w+": too many sets$/);
    isFull = false;
    await rig.clock.advance(60_000);
    await rig.rest();
    assert.equal((await rig.names()).length, 1);
  });
});

test("a deployment's set gets another name when its own is taken", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    const [first] = (await rig.client.list(resources.replicaSets)).items;
    assert.ok(first);
    await rig.client.delete(resources.deployments, { namespace, name: "web" }, { propagationPolicy: "Orphan" });
    // What has this name now is not the deployment's, and is of another template.
    await rig.client.delete(resources.replicaSets, first.metadata);
    await rig.rest();
    const labels = { matchLabels: { app: "other" } };
    await rig.apply("apps/v1", "ReplicaSet", first.metadata.name, {
      replicas: 0,
      selector: labels,
      template: template(labels.matchLabels),
    });
    await rig.apply("apps/v1", "Deployment", "web", setSpec(1));
    await rig.clock.advance(1000);
    await rig.rest();
    assert.equal((await rig.status("Deployment", "web"))["collisionCount"], 1);
    const sets = (await rig.client.list(resources.replicaSets)).items;
    const [own] = sets.filter((one) => one.metadata.ownerReferences?.[0]?.kind === "Deployment");
    assert.ok(own && own.metadata.name !== first.metadata.name);
  });
});

test("a pod that fails as soon as it is made is replaced after a pause that grows", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "ReplicaSet", "web", setSpec(1));
    for (const pauseMs of [1000, 2000, 4000]) {
      const before = await rig.names();
      // The API's times have whole seconds.
      await rig.clock.advance(1000 - (rig.clock.now() % 1000));
      for (const pod of await rig.pods()) if (pod.status?.phase === "Pending") await rig.end(pod, "Failed");
      await until("the failure is seen", async () => (await rig.status("ReplicaSet", "web"))["replicas"] === 0);
      await rig.clock.advance(pauseMs / 2);
      assert.deepEqual(await rig.names(), before);
      await rig.clock.advance(pauseMs / 2 + 1000);
      await rig.rest();
      assert.equal((await rig.names()).length, before.length + 1);
    }
  });
});

test("ready pods are available after minReadySeconds", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", { ...setSpec(1), minReadySeconds: 20 });
    await rig.makeReady();
    assert.equal((await rig.status("Deployment", "web"))["readyReplicas"], 1);
    assert.equal((await rig.status("Deployment", "web"))["availableReplicas"], undefined);
    await rig.clock.advance(21_000);
    await rig.rest();
    assert.equal((await rig.status("Deployment", "web"))["availableReplicas"], 1);
  });
});

test("a rollout without progress is late after its deadline, and its old pod stays", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", { ...setSpec(1), progressDeadlineSeconds: 60 });
    await rig.makeReady();
    const [old] = await rig.names();
    const changed = {
      spec: { template: { spec: { containers: [{ ...containers[0], image: "registry.example/app:2" }] } } },
    };
    await rig.patch("Deployment", "web", changed);
    const reason = async () => (await rig.condition("Deployment", "web", "Progressing"))?.reason;
    assert.notEqual(await reason(), "ProgressDeadlineExceeded");
    await rig.clock.advance(62_000);
    await rig.rest();
    assert.equal(await reason(), "ProgressDeadlineExceeded");
    assert.ok((await rig.names()).includes(old ?? ""));
    await rig.makeReady();
    assert.equal(await reason(), "NewReplicaSetAvailable");
    assert.ok(!(await rig.names()).includes(old ?? ""));
  });
});

test("a job that is suspended has no pods, and begins its time when it goes on", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("batch/v1", "Job", "work", jobSpec({ parallelism: 2, completions: 2, suspend: true }));
    assert.deepEqual(await rig.names(), []);
    assert.equal((await rig.status("Job", "work"))["startTime"], undefined);
    await rig.patch("Job", "work", { spec: { suspend: false } });
    assert.equal((await rig.names()).length, 2);
    await rig.patch("Job", "work", { spec: { suspend: true } });
    assert.deepEqual(await rig.names(), []);
    assert.equal((await rig.status("Job", "work"))["failed"], undefined);
    assert.deepEqual(await rig.events("Resumed"), ["Job resumed"]);
  });
});

test("a job's end is counted though its pod is deleted at once, and the job goes when its time is over", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("batch/v1", "Job", "work", jobSpec({ ttlSecondsAfterFinished: 30 }));
    const [pod] = await rig.pods();
    assert.ok(pod);
    await rig.end(pod, "Succeeded");
    await rig.client.delete(resources.pods, pod.metadata);
    await rig.rest();
    const status = await rig.status("Job", "work");
    assert.deepEqual([status["succeeded"], status["failed"]], [1, undefined]);
    assert.equal((await rig.condition("Job", "work", "Complete"))?.status, "True");
    assert.deepEqual(await rig.names(), []);
    await rig.clock.advance(31_000);
    await rig.rest();
    assert.deepEqual((await rig.client.list(resources.jobs)).items, []);
  });
});

test("pods of a job that was deleted do not stay for their finalizer", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("batch/v1", "Job", "work", jobSpec({ parallelism: 3, completions: 3 }));
    assert.equal((await rig.names()).length, 3);
    const ref = { namespace, name: "work" };
    await rig.client.delete(resources.jobs, ref, { propagationPolicy: "Background" });
    await until("the pods are gone", async () => {
      await rig.rest();
      return (await rig.names()).length === 0;
    });
  });
});

test("a failure policy ends a job at a fatal exit code and does not count a disruption", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    const rules = [
      { action: "FailJob", onExitCodes: { operator: "In", values: [42] } },
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    ];
    await rig.apply("batch/v1", "Job", "work", jobSpec({ backoffLimit: 0, podFailurePolicy: { rules } }));
    const [first] = await rig.pods();
    assert.ok(first);
    const conditions = [{ type: "DisruptionTarget", status: "True" as const }];
    await rig.setStatus(first, { phase: "Failed", conditions });
    await rig.clock.advance(11_000);
    await rig.rest();
    assert.equal((await rig.status("Job", "work"))["failed"], undefined);
    const second = (await rig.pods()).find((pod) => pod.metadata.uid !== first.metadata.uid);
    assert.ok(second);
    const state = { terminated: { exitCode: 42 } };
    const main = { name: "main", state, ready: false, restartCount: 0, image: "", imageID: "" };
    await rig.setStatus(second, { phase: "Failed", containerStatuses: [main] });
    await rig.rest();
    const failed = await rig.condition("Job", "work", "Failed");
    assert.equal(failed?.reason, "PodFailurePolicy");
    assert.match(
      failed?.message ?? "",
      /^Container main for pod default\/work-\w+ failed with exit code 42 matching FailJob rule at index 0$/,
    );
  });
});

test("a daemon set follows the nodes: new ones, taints, and those that go", async (t) => {
  await withRig(t, async (rig) => {
    const node = (name: string): Node => ({ apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} });
    await rig.client.create(resources.nodes, node("a"));
    rig.start();
    const selector = { matchLabels: { app: "agent" } };
    await rig.apply("apps/v1", "DaemonSet", "agent", { selector, template: template({ app: "agent" }) });
    assert.equal((await rig.names()).length, 1);
    await rig.client.create(resources.nodes, node("b"));
    await rig.rest();
    assert.equal((await rig.names()).length, 2);
    await rig.patch("Node", "b", { spec: { unschedulable: true } });
    assert.equal((await rig.status("DaemonSet", "agent"))["desiredNumberScheduled"], 2);
    await rig.patch("Node", "b", { spec: { taints: [{ key: "reserved", effect: "NoSchedule" }] } });
    const { desiredNumberScheduled, numberMisscheduled } = await rig.status("DaemonSet", "agent");
    assert.deepEqual([desiredNumberScheduled, numberMisscheduled], [1, 1]);
    await rig.patch("Node", "b", { spec: { taints: [{ key: "broken", effect: "NoExecute" }] } });
    assert.equal((await rig.names()).length, 1);
  });
});

test("a daemon's pod that fails is replaced, the second time after a pause", async (t) => {
  await withRig(t, async (rig) => {
    await rig.client.create<Node>(resources.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "a" },
      spec: {},
    });
    rig.start();
    const selector = { matchLabels: { app: "agent" } };
    await rig.apply("apps/v1", "DaemonSet", "agent", { selector, template: template({ app: "agent" }) });
    const failNow = async (): Promise<string> => {
      const [pod] = await rig.pods();
      assert.ok(pod);
      await rig.end(pod, "Failed");
      return pod.metadata.name;
    };
    const first = await failNow();
    await rig.rest();
    assert.ok(!(await rig.names()).includes(first));
    const second = await failNow();
    await until("the second failure is told", async () => (await rig.status("Pod", second))["phase"] === "Failed");
    assert.deepEqual(await rig.names(), [second]);
    await rig.clock.advance(5000);
    await rig.rest();
    assert.ok(!(await rig.names()).includes(second));
    assert.equal((await rig.events("FailedDaemonPod")).length, 2);
  });
});

test("a budget counts what the deployment wants, and is told again when that changes", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("apps/v1", "Deployment", "web", setSpec(4));
    await rig.makeReady();
    const spec = { maxUnavailable: "50%", selector: { matchLabels: { app: "web" } } };
    await rig.apply("policy/v1", "PodDisruptionBudget", "web", spec);
    assert.equal((await rig.status("PodDisruptionBudget", "web"))["disruptionsAllowed"], 2);
    await rig.patch("Deployment", "web", { spec: { replicas: 6 } });
    const { expectedPods, desiredHealthy, disruptionsAllowed } = await rig.status("PodDisruptionBudget", "web");
    assert.deepEqual([expectedPods, desiredHealthy, disruptionsAllowed], [6, 3, 1]);
  });
});

/** The client with another way to create. */
function changedApi(
  client: KubeClient,
  create: <T extends KubeObject>(type: ResourceType, object: T) => Promise<T>,
): KubeApi {
  return new Proxy(client, {
    get: (target, property) => {
      if (property === "create") return create;
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
