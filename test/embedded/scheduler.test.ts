import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import fc from "fast-check";
import { silentLogger, systemClock, VirtualClock } from "../../src/base/index.ts";
import { type ApiServer, Scheduler, startApiServer } from "../../src/embedded/index.ts";
import {
  type Condition,
  type KubeApi,
  KubeClient,
  KubeError,
  type KubeEvent,
  type KubeObject,
  type Node,
  type Pod,
  type PodSpec,
  type ResourceType,
  resources,
  type WatchEvent,
  type WatchOptions,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";

const gpu = "nvidia.com/gpu";

let server: ApiServer;
let client: KubeClient;
let scheduler: Scheduler | undefined;

before(async () => {
  server = await startApiServer({ clock: systemClock, log: silentLogger });
  client = new KubeClient({ server: server.url, token: server.token, caData: server.caCert });
});
afterEach(async () => {
  await scheduler?.stop();
  scheduler = undefined;
  await clear();
});
after(async () => {
  await client.close();
  await server.close();
});

async function clear(): Promise<void> {
  for (const pod of await podsNow()) await client.delete(resources.pods, pod.metadata, { gracePeriodSeconds: 0 });
  for (const { metadata } of (await client.list<Node>(resources.nodes)).items) {
    await client.delete(resources.nodes, metadata);
  }
  for (const { metadata } of (await client.list<KubeEvent>(resources.events)).items) {
    await client.delete(resources.events, metadata);
  }
}

function startScheduler(api: KubeApi = client): Scheduler {
  scheduler = new Scheduler(api);
  scheduler.start();
  return scheduler;
}

async function createNode(name: string, gpus: number): Promise<void> {
  const allocatable = { cpu: "8", memory: "16Gi", pods: "20", [gpu]: String(gpus) };
  const conditions: Condition[] = [{ type: "Ready", status: "True" }];
  const status = { capacity: allocatable, allocatable, conditions };
  await client.create<Node>(resources.nodes, { apiVersion: "v1", kind: "Node", metadata: { name } });
  await client.mergePatch(resources.nodes, { name }, { status }, { subresource: "status" });
}

async function createPod(name: string, gpus: number, spec: Partial<PodSpec> = {}): Promise<void> {
  const containers = [{ name: "main", image: "train", resources: { limits: { [gpu]: String(gpus) } } }];
  const metadata = { name, namespace: "default" };
  await client.create<Pod>(resources.pods, { apiVersion: "v1", kind: "Pod", metadata, spec: { containers, ...spec } });
}

async function finish(name: string): Promise<void> {
  await client.mergePatch(resources.pods, { name }, { status: { phase: "Succeeded" } }, { subresource: "status" });
}

async function podsNow(): Promise<readonly Pod[]> {
  return (await client.list<Pod>(resources.pods)).items;
}

function scheduled(pod: Pod): Condition | undefined {
  return pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
}

async function nodeOf(name: string): Promise<string | undefined> {
  return (await client.get<Pod>(resources.pods, { name })).spec.nodeName;
}

async function eventsOf(name: string): Promise<string[]> {
  const { items } = await client.list<KubeEvent>(resources.events, { fieldSelector: `involvedObject.name=${name}` });
  return items.map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

/** Waits until the scheduler rests and every pod has a node or is told why not. */
async function settled(): Promise<void> {
  await until("every pod is considered", async () => {
    const considered = (pod: Pod): boolean => pod.spec.nodeName !== undefined || scheduled(pod)?.status === "False";
    return (await podsNow()).every(considered) && scheduler?.idle() === true;
  });
}

test("binds a pod, and says so in its condition and an event", async () => {
  startScheduler();
  await createNode("a", 1);
  await createPod("first", 1);
  await until("it is bound", async () => (await nodeOf("first")) === "a");
  await settled();
  const pod = await client.get<Pod>(resources.pods, { name: "first" });
  assert.equal(scheduled(pod)?.status, "True");
  assert.deepEqual(await eventsOf("first"), ["Normal Scheduled: Successfully assigned default/first to a"]);
});

test("a fifth pod on four shares waits, is told why, and runs when another ends", async () => {
  await createNode("t4", 4);
  for (const name of ["p1", "p2", "p3", "p4", "p5"]) await createPod(name, 1);
  startScheduler();
  await settled();
  const message =
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. " +
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
  const waiting = (await podsNow()).filter((pod) => pod.spec.nodeName === undefined);
  assert.equal(waiting.length, 1);
  const name = waiting[0]?.metadata.name ?? "";
  const { lastTransitionTime, ...condition } = (waiting[0] && scheduled(waiting[0])) ?? { lastTransitionTime: "" };
  assert.match(lastTransitionTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(condition, { type: "PodScheduled", status: "False", reason: "Unschedulable", message });
  assert.deepEqual(await eventsOf(name), [`Warning FailedScheduling: ${message}`]);
  const other = (await podsNow()).find((pod) => pod.spec.nodeName !== undefined);
  await finish(other?.metadata.name ?? "");
  await until("the fifth is bound", async () => (await nodeOf(name)) === "t4");
  assert.equal(scheduled(await client.get<Pod>(resources.pods, { name }))?.status, "True");
});

test("a node that grows, or is uncordoned, gets who waited for it", async () => {
  await createNode("a", 0);
  await client.mergePatch(resources.nodes, { name: "a" }, { spec: { unschedulable: true } });
  await createPod("p", 2);
  startScheduler();
  await until("it is told", async () => (await eventsOf("p")).some((text) => text.includes("were unschedulable")));
  await client.mergePatch(resources.nodes, { name: "a" }, { spec: { unschedulable: null } });
  await until("it is told anew", async () =>
    (await eventsOf("p")).some((text) => text.includes(`Insufficient ${gpu}`)),
  );
  const status = { allocatable: { [gpu]: "2" } };
  await client.mergePatch(resources.nodes, { name: "a" }, { status }, { subresource: "status" });
  await until("it is bound", async () => (await nodeOf("p")) === "a");
});

test("a pod that waits without a node is bound when one comes", async () => {
  startScheduler();
  await createPod("p", 1);
  await until("it is told", async () => (await eventsOf("p"))[0]?.endsWith("no nodes available to schedule pods"));
  await createNode("a", 1);
  await until("it is bound", async () => (await nodeOf("p")) === "a");
});

test("heartbeats and labels of nodes write nothing to who waits all the same", async () => {
  await createNode("a", 0);
  await createPod("p", 1);
  startScheduler();
  await settled();
  const before = await client.get<Pod>(resources.pods, { name: "p" });
  const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: "2026-01-01T00:00:00Z" }];
  await client.mergePatch(resources.nodes, { name: "a" }, { status: { conditions } }, { subresource: "status" });
  await client.mergePatch(resources.nodes, { name: "a" }, { metadata: { labels: { zone: "z" } } });
  // Once this one is bound, the label has been seen and all pods have been looked at again.
  await createPod("q", 0, { nodeSelector: { zone: "z" } });
  await until("the label counts", async () => (await nodeOf("q")) === "a");
  await settled();
  assert.deepEqual(await client.get<Pod>(resources.pods, { name: "p" }), before);
  assert.equal((await eventsOf("p")).length, 1);
});

/** A node without GPUs, of which the scheduler knows when this resolves. */
async function createKnownNode(name: string): Promise<void> {
  await createNode(name, 0);
  const onlyThere = {
    nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [name] }] }],
  };
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: onlyThere } };
  await createPod(`probe-of-${name}`, 0, { affinity });
  await until("the node is known", async () => (await nodeOf(`probe-of-${name}`)) === name);
}

test("what changes all the time is told now and then, in the end as it is, and in few events", async () => {
  await createNode("a", 0);
  const pods = ["p", "q"];
  for (const name of pods) await createPod(name, 1);
  let patches = 0;
  const api: KubeApi = {
    ...withBinding((send) => send()),
    mergePatch: async (...args) => {
      patches += 1;
      return await client.mergePatch(...args);
    },
  };
  const clock = new VirtualClock();
  scheduler = new Scheduler(api, { clock });
  scheduler.start();
  const rests = async (): Promise<boolean | undefined> => {
    await clock.advance(1000);
    return scheduler?.idle();
  };
  await until("both are told", () => patches === 2);
  for (let index = 0; index < 10; index += 1) {
    await createKnownNode(`n${index}`);
    await clock.advance(500);
  }
  assert.ok(patches < 16, `${patches} tellings of two pods in five seconds`);
  await until("all is told", rests);
  for (let index = 10; index < 20; index += 1) {
    await createKnownNode(`n${index}`);
    await until("it is told", rests);
  }
  for (const name of pods) {
    const pod = await client.get<Pod>(resources.pods, { name });
    const message = scheduled(pod)?.message ?? "";
    assert.match(message, /^0\/21 nodes are available: 21 Insufficient/);
    const events = await eventsOf(name);
    assert.equal(events.length, 11);
    assert.ok(events.includes(`Warning FailedScheduling: (combined from similar events): ${message}`));
  }
});

test("a scheduler that starts anew tells nothing twice", async () => {
  await createNode("a", 0);
  await createPod("p", 1);
  startScheduler();
  await settled();
  await scheduler?.stop();
  const { revision } = server.stats;
  startScheduler();
  await until("it has looked", () => scheduler?.idle());
  assert.equal(server.stats.revision, revision);
});

test("a more important pod gets its place once the lesser has gone, and both are told", async () => {
  await createNode("a", 1);
  await createPod("lesser", 1);
  startScheduler();
  await until("it is bound", async () => (await nodeOf("lesser")) === "a");
  await createPod("urgent", 1, { priorityClassName: "system-cluster-critical" });
  await settled();
  const urgent = await client.get<Pod>(resources.pods, { name: "urgent" });
  assert.equal(urgent.status?.nominatedNodeName, "a");
  const told = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.";
  assert.ok((await eventsOf("urgent")).includes(`Warning FailedScheduling: ${told}`));
  const lesser = await client.get<Pod>(resources.pods, { name: "lesser" });
  assert.notEqual(lesser.metadata.deletionTimestamp, undefined);
  assert.equal(lesser.metadata.deletionGracePeriodSeconds, 30);
  const { lastTransitionTime, ...target } = lesser.status?.conditions?.find(
    ({ type }) => type === "DisruptionTarget",
  ) ?? { lastTransitionTime: "" };
  assert.match(lastTransitionTime ?? "", /^\d{4}-/);
  assert.deepEqual(target, {
    type: "DisruptionTarget",
    status: "True",
    reason: "PreemptionByScheduler",
    message: "default-scheduler: preempting to accommodate a higher priority pod",
  });
  const preempted = `Normal Preempted: Preempted by pod ${urgent.metadata.uid} on node a`;
  assert.deepEqual(
    (await eventsOf("lesser")).filter((text) => text.includes("Preempted")),
    [preempted],
  );
  // Only the kubelet ends a pod on a node, and there is none here.
  await client.delete(resources.pods, { name: "lesser" }, { gracePeriodSeconds: 0 });
  await until("the place is taken", async () => (await nodeOf("urgent")) === "a");
});

test("a budget decides which of two goes", async () => {
  await createNode("a", 2);
  // Without a budget the one that came last would go.
  for (const name of ["goes", "kept"]) {
    const containers = [{ name: "main", image: "train", resources: { limits: { [gpu]: "1" } } }];
    const metadata = { name, namespace: "default", labels: { app: name } };
    await client.create<Pod>(resources.pods, { apiVersion: "v1", kind: "Pod", metadata, spec: { containers } });
  }
  const budgets = { group: "policy", version: "v1", plural: "poddisruptionbudgets", namespaced: true } as const;
  const type: ResourceType = { ...budgets, kind: "PodDisruptionBudget" };
  const metadata = { name: "keep", namespace: "default" };
  const spec = { minAvailable: 1, selector: { matchLabels: { app: "kept" } } };
  await client.create<KubeObject & { spec: unknown }>(type, {
    apiVersion: "policy/v1",
    kind: type.kind,
    metadata,
    spec,
  });
  startScheduler();
  await until("both are bound", async () => (await podsNow()).every((pod) => pod.spec.nodeName === "a"));
  await createPod("urgent", 1, { priorityClassName: "system-cluster-critical" });
  await settled();
  await client.delete(type, metadata);
  const going = (await podsNow()).filter((pod) => pod.metadata.deletionTimestamp !== undefined);
  assert.deepEqual(
    going.map((pod) => pod.metadata.name),
    ["goes"],
  );
});

test("a gated pod is told so, without an event, and holds up nobody", async () => {
  await createNode("a", 1);
  await createPod("gated", 1, { schedulingGates: [{ name: "example.com/quota" }] });
  startScheduler();
  await createPod("free", 1);
  await until("the other is bound", async () => (await nodeOf("free")) === "a");
  await settled();
  const gated = await client.get<Pod>(resources.pods, { name: "gated" });
  const condition = scheduled(gated);
  assert.equal(condition?.reason, "SchedulingGated");
  assert.equal(condition?.message, "Scheduling is blocked due to non-empty scheduling gates");
  assert.deepEqual(await eventsOf("gated"), []);
});

test("a pod waits for company, and follows when a bound pod's label makes it welcome", async () => {
  await createNode("a", 4);
  await createPod("host", 1);
  const term = { labelSelector: { matchLabels: { app: "db" } }, topologyKey: "zone" };
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  await createPod("guest", 1, { affinity });
  startScheduler();
  await settled();
  const [told] = await eventsOf("guest");
  assert.match(told ?? "", /1 node\(s\) didn't match pod affinity rules\. preemption: .* is not helpful/);
  await client.mergePatch(resources.nodes, { name: "a" }, { metadata: { labels: { zone: "z" } } });
  await client.mergePatch(resources.pods, { name: "host" }, { metadata: { labels: { app: "db" } } });
  await until("it is bound", async () => (await nodeOf("guest")) === "a");
});

/** The client, but `bind` decides how a binding goes. */
function withBinding(bind: (send: () => Promise<void>) => Promise<void>): KubeApi {
  return {
    get: (...args) => client.get(...args),
    list: (...args) => client.list(...args),
    watch: (...args) => client.watch(...args),
    create: (...args) => client.create(...args),
    update: (...args) => client.update(...args),
    mergePatch: (...args) => client.mergePatch(...args),
    delete: (...args) => client.delete(...args),
    createSubresource: (...args) => bind(() => client.createSubresource(...args)),
  };
}

const lost = (): KubeError => new KubeError("connection reset", { status: 0, reason: "ConnectionFailed" });
const failures = [
  { name: "is refused", error: new KubeError("changed", { status: 409, reason: "Conflict" }), sent: false },
  { name: "does not reach the server", error: lost(), sent: false },
  { name: "is made but its answer is lost", error: lost(), sent: true },
];
for (const { name, error, sent } of failures) {
  test(`a binding that ${name} gives no share twice and leaves no pod behind`, async () => {
    await createNode("a", 1);
    await createNode("b", 1);
    let calls = 0;
    const api = withBinding(async (send) => {
      calls += 1;
      if (calls > 2) return await send();
      if (sent) await send();
      throw error;
    });
    for (const pod of ["p1", "p2", "p3"]) await createPod(pod, 1);
    startScheduler(api);
    await settled();
    const nodes = (await podsNow()).map((pod) => pod.spec.nodeName ?? "waits");
    assert.deepEqual(nodes.sort(), ["a", "b", "waits"]);
  });
}

/** The client, but the first bindings of the pod `bad` are refused, as by a webhook. */
function refusingBad(times: number): { readonly api: KubeApi; readonly refusals: () => number } {
  let refusals = 0;
  const api: KubeApi = {
    ...withBinding((send) => send()),
    createSubresource: async (type, ref, ...rest) => {
      if (ref.name !== "bad" || refusals === times) return await client.createSubresource(type, ref, ...rest);
      refusals += 1;
      throw new KubeError("a webhook denied the request", { status: 403, reason: "Forbidden" });
    },
  };
  return { api, refusals: () => refusals };
}

test("what a pod cannot be bound to goes to another at once", async () => {
  await createNode("a", 1);
  await createPod("bad", 1, { priorityClassName: "system-cluster-critical" });
  await createPod("good", 1);
  const { api } = refusingBad(1);
  scheduler = new Scheduler(api, { clock: new VirtualClock() });
  scheduler.start();
  await until("the other is bound", async () => (await nodeOf("good")) === "a");
});

test("a pod that cannot be bound holds up nobody, and is tried again after a while", async () => {
  await createNode("a", 2);
  const { api, refusals } = refusingBad(3);
  const clock = new VirtualClock();
  await createPod("bad", 1);
  scheduler = new Scheduler(api, { clock });
  scheduler.start();
  await until("it was refused", () => refusals() === 1);
  for (const name of ["good", "better"]) {
    await createPod(name, 0);
    await until("the other is bound", async () => (await nodeOf(name)) === "a");
  }
  assert.equal(refusals(), 1, "what comes meanwhile does not cut its wait short");
  assert.equal(scheduler.idle(), false);
  await until("it is bound in the end", async () => {
    await clock.advance(1000);
    return (await nodeOf("bad")) === "a";
  });
  await until("all is done", () => scheduler?.idle());
});

test("a pod that is deleted while it waits to be tried again is forgotten", async () => {
  await createNode("a", 1);
  const { api, refusals } = refusingBad(1);
  await createPod("bad", 1);
  scheduler = new Scheduler(api, { clock: new VirtualClock() });
  scheduler.start();
  await until("it was refused", () => refusals() === 1);
  await client.delete(resources.pods, { name: "bad" }, { gracePeriodSeconds: 0 });
  await until("nothing is left to do", () => scheduler?.idle());
});

/** Like `api`, but the news that `name` has been bound never come. */
function withoutNewsOf(name: string, api: KubeApi): KubeApi {
  return {
    ...api,
    async *watch<T extends KubeObject>(type: ResourceType, options?: WatchOptions): AsyncGenerator<WatchEvent<T>> {
      for await (const event of client.watch<T>(type, options)) {
        if (event.type !== "MODIFIED" || event.object.metadata.name !== name) yield event;
      }
    },
  };
}

for (const answer of ["comes", "is lost"]) {
  test(`what a pod was given stays given while the watch is slow, if the answer to its binding ${answer}`, async () => {
    await createNode("a", 1);
    let calls = 0;
    const api = withBinding(async (send) => {
      calls += 1;
      await send();
      if (answer === "is lost" && calls === 1) throw lost();
    });
    startScheduler(withoutNewsOf("p1", api));
    await createPod("p1", 1);
    await until("the first is bound", async () => (await nodeOf("p1")) === "a");
    await createPod("p2", 1, { priorityClassName: "system-cluster-critical" });
    await until("the second is considered", async () => {
      const pod = await client.get<Pod>(resources.pods, { name: "p2" });
      return pod.spec.nodeName !== undefined || scheduled(pod)?.status === "False";
    });
    assert.equal(await nodeOf("p2"), undefined);
    assert.equal(scheduler?.idle(), false);
  });
}

type Step =
  | { readonly kind: "create"; readonly gpus: number; readonly urgent: boolean }
  | { readonly kind: "delete" | "finish"; readonly pod: number }
  | { readonly kind: "resize"; readonly node: number; readonly gpus: number }
  | { readonly kind: "compact" | "restart" | "settle" };

const count = fc.nat({ max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("create" as const), gpus: count, urgent: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("delete" as const, "finish" as const), pod: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("resize" as const), node: fc.nat({ max: 1 }), gpus: fc.constant(4) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("compact" as const, "restart" as const, "settle" as const) }),
  },
);

async function take(one: Step, index: number): Promise<void> {
  switch (one.kind) {
    case "create":
      return await createPod(`p${index}`, one.gpus, one.urgent ? { priorityClassName: "system-cluster-critical" } : {});
    case "delete":
    case "finish": {
      const pods = await podsNow();
      const pod = pods[one.pod % Math.max(1, pods.length)];
      if (pod === undefined) return;
      if (one.kind === "finish") return await finish(pod.metadata.name);
      return await client.delete(resources.pods, pod.metadata, { gracePeriodSeconds: 0 });
    }
    case "resize": {
      const status = { allocatable: { [gpu]: String(one.gpus) } };
      await client.mergePatch(resources.nodes, { name: `n${one.node}` }, { status }, { subresource: "status" });
      return;
    }
    case "compact":
      return server.compact();
    case "restart":
      await scheduler?.stop();
      startScheduler();
      return;
    case "settle":
      return await settled();
  }
}

/** What each node has left; fails when one gives more than it has. */
async function leftOver(): Promise<Map<string, number>> {
  const pods = await podsNow();
  const { items: nodes } = await client.list<Node>(resources.nodes);
  const left = new Map(nodes.map((node) => [node.metadata.name, Number(node.status?.allocatable?.[gpu] ?? 0)]));
  for (const pod of pods) {
    const node = pod.spec.nodeName;
    if (node === undefined || pod.status?.phase === "Succeeded") continue;
    left.set(node, (left.get(node) ?? 0) - wish(pod));
  }
  for (const [node, count] of left) assert.ok(count >= 0, `${node} gives ${-count} more than it has`);
  return left;
}

function wish(pod: Pod): number {
  return Number(pod.spec.containers[0]?.resources?.limits?.[gpu] ?? 0);
}

test("whatever comes and goes, no node gives more than it has, and nobody waits who would fit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      await createNode("n0", 2);
      await createNode("n1", 3);
      startScheduler();
      for (const [index, one] of steps.entries()) {
        await take(one, index);
        await leftOver();
      }
      await until("nobody waits who would fit", async () => {
        await endEvicted();
        const most = Math.max(...(await leftOver()).values());
        const waiting = (await podsNow()).filter((pod) => pod.spec.nodeName === undefined && !isDone(pod));
        return scheduler?.idle() === true && waiting.every((pod) => wish(pod) > most && isTold(pod));
      });
      await scheduler?.stop();
      await clear();
    }),
    { numRuns: 15 },
  );
});

/** What the kubelet does with pods whose deletion has begun. */
async function endEvicted(): Promise<void> {
  for (const { metadata } of await podsNow()) {
    if (metadata.deletionTimestamp === undefined) continue;
    await client.delete(resources.pods, metadata, { gracePeriodSeconds: 0 });
  }
}

function isDone(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded";
}

function isTold(pod: Pod): boolean {
  return scheduled(pod)?.reason === "Unschedulable";
}
