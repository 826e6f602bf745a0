/**
 * Eviction never takes a budget below its minimum, whatever the order of concurrent evictions, while pods come, go, become
 * ready and fall ill, and the disruption controller keeps the budget's status.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";

import type { Budget, ReplicaSet } from "../../src/embedded/controllers/types.ts";
import { Controllers } from "../../src/embedded/index.ts";
import { disruptionBudgets } from "../../src/embedded/scheduler/budgets.ts";
import { evictPod, KubeError, type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Body, type Harness, startHarness } from "./api-support.ts";

let api: Harness;
let controllers: Controllers;
let runs = 0;

before(async () => {
  api = await startHarness();
  controllers = new Controllers(api.client);
  controllers.start();
});
after(async () => {
  await controllers.stop();
  await api.stop();
});

const replicaSets = { group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet", namespaced: true };
const labels = { app: "guarded" };

type Share = number | string;
interface Wish {
  readonly field: "minAvailable" | "maxUnavailable";
  readonly share: Share;
}

/** How many pods must be healthy, by the words of policy/v1: percentages are of the pods wanted and rounded up. */
function minimumOf({ field, share }: Wish, replicas: number): number {
  const amount = typeof share === "number" ? share : Math.ceil((replicas * Number.parseInt(share, 10)) / 100);
  return field === "minAvailable" ? amount : Math.max(0, replicas - amount);
}

/** What happens to a pod beside evictions; the number picks the pod. */
type Event = { readonly kind: "sicken" | "heal" | "delete" | "finish"; readonly pick: number };

interface Round {
  /** A new wish at the start of the round; `undefined` leaves the budget alone. */
  readonly wish: Wish | undefined;
  readonly evictions: readonly number[];
  readonly events: readonly Event[];
}

const pick = fc.nat({ max: 50 });
const wish: fc.Arbitrary<Wish> = fc.record({
  field: fc.constantFrom("minAvailable", "maxUnavailable"),
  share: fc.oneof(fc.nat({ max: 6 }), fc.constantFrom("0%", "10%", "34%", "50%", "99%", "100%")),
});
const round: fc.Arbitrary<Round> = fc.record({
  wish: fc.option(wish, { nil: undefined }),
  evictions: fc.array(pick, { minLength: 1, maxLength: 8 }),
  events: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    {
      weight: 2,
      arbitrary: fc.array(fc.record({ kind: fc.constantFrom("sicken", "heal", "delete", "finish"), pick }), {
        maxLength: 5,
      }),
    },
  ),
});

/** One namespace with a replica set of pods and a budget. */
class Stage {
  readonly namespace: string;
  readonly replicas: number;

  constructor(replicas: number) {
    runs += 1;
    this.namespace = `budget-${runs}`;
    this.replicas = replicas;
  }

  async build(first: Wish): Promise<void> {
    const { namespace, replicas } = this;
    const spec = { containers: [{ name: "main", image: "registry.example/app:1" }] };
    await api.client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace },
    });
    await api.client.create<ReplicaSet>(replicaSets, {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "set", namespace },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    });
    await api.client.create<Budget>(disruptionBudgets, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "budget", namespace },
      spec: { [first.field]: first.share, selector: { matchLabels: labels } },
    });
    await this.#replacementsRun();
  }

  async pods(): Promise<readonly Pod[]> {
    const { namespace } = this;
    return (await api.client.list<Pod>(resources.pods, { namespace, labelSelector: "app=guarded" })).items;
  }

  budget(): Promise<Budget> {
    return api.client.get<Budget>(disruptionBudgets, { namespace: this.namespace, name: "budget" });
  }

  async wish({ field, share }: Wish): Promise<void> {
    const spec = { minAvailable: null, maxUnavailable: null, [field]: share };
    await api.client.mergePatch(disruptionBudgets, { namespace: this.namespace, name: "budget" }, { spec });
  }

  /** Waits until the replica set has all its pods on a node and the controllers know of everything. */
  async settle(): Promise<Budget> {
    await this.#replacementsRun();
    return until("the budget's status is up to date", async () => {
      const [pods, budget] = [await this.pods(), await this.budget()];
      const { observedGeneration, currentHealthy, disruptedPods = {} } = budget.status ?? {};
      const isKnown = observedGeneration === budget.metadata.generation && Object.keys(disruptedPods).length === 0;
      return isKnown && currentHealthy === pods.filter(isHealthy).length && controllers.idle() && budget;
    });
  }

  /** Binds new pods and lets them run, ready; those that end stay until a `finish`. */
  async #replacementsRun(): Promise<void> {
    await until("all replicas are there", async () => {
      const pods = await this.pods();
      for (const pod of pods.filter(({ spec }) => spec.nodeName === undefined)) await bind(pod);
      return pods.filter((one) => one.metadata.deletionTimestamp === undefined).length === this.replicas;
    });
  }
}

function isHealthy(pod: Pod): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True" && pod.metadata.deletionTimestamp === undefined;
}

async function bind(pod: Pod): Promise<void> {
  const binding = { apiVersion: "v1", kind: "Binding", metadata: pod.metadata, target: { kind: "Node", name: "n1" } };
  await tolerantly(async () => {
    await api.client.createSubresource(resources.pods, pod.metadata, "binding", binding);
    await setReady(pod, true);
  });
}

async function setReady({ metadata }: Pod, ready: boolean): Promise<void> {
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  const { uid } = metadata;
  const patch = { metadata: { uid }, status: { phase: "Running", conditions } };
  await api.client.mergePatch(resources.pods, metadata, patch, { subresource: "status" });
}

/** Runs a write; that its object has gone or changed meanwhile is part of the game. */
async function tolerantly(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    assert.ok(error instanceof KubeError && [404, 409].includes(error.status), String(error));
  }
}

async function happen(pods: readonly Pod[], { kind, pick: index }: Event): Promise<void> {
  const pod = pods[index % pods.length];
  if (pod === undefined) return;
  if (kind === "sicken" || kind === "heal") await tolerantly(() => setReady(pod, kind === "heal"));
  else {
    const options = kind === "finish" ? { gracePeriodSeconds: 0 } : {};
    await tolerantly(() => api.client.delete(resources.pods, pod.metadata, options));
  }
}

/** Evicts; whether the pod was let go. */
async function tryEvict(pod: Pod): Promise<boolean> {
  try {
    await evictPod(api.client, pod.metadata);
    return true;
  } catch (error) {
    assert.ok(error instanceof KubeError && [404, 429].includes(error.status), String(error));
    return false;
  }
}

/** What a watch of pods told, one after the other: how many are healthy, and who took a healthy one away. */
interface Loss {
  readonly pod: string;
  readonly evicted: boolean;
  readonly healthyAfter: number;
}

function lossesIn(events: readonly { readonly type: string; readonly object: Body }[]): readonly Loss[] {
  const healthy = new Set<string>();
  return events.flatMap(({ type, object }) => {
    const pod: Pod = JSON.parse(JSON.stringify(object));
    const uid = pod.metadata.uid ?? "";
    const was = healthy.has(uid);
    if (type !== "DELETED" && isHealthy(pod)) healthy.add(uid);
    else healthy.delete(uid);
    if (!was || healthy.has(uid)) return [];
    const evicted = pod.metadata.deletionTimestamp !== undefined && hasTarget(pod);
    return [{ pod: pod.metadata.name, evicted, healthyAfter: healthy.size }];
  });
}

function hasTarget(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some(({ reason }) => reason === "EvictionByEvictionAPI");
}

/** Picks different pods. */
function chosen(pods: readonly Pod[], picks: readonly number[]): readonly Pod[] {
  const indices = new Set(picks.map((one) => one % Math.max(1, pods.length)));
  return [...indices].flatMap((index) => pods[index] ?? []);
}

async function play(stage: Stage, present: Wish, { wish: next, evictions, events }: Round): Promise<Wish> {
  const budget = await stage.settle();
  const pods = await stage.pods();
  const current = next ?? present;
  if (next !== undefined) await stage.wish(next);
  const watch = api.watch(`/api/v1/namespaces/${stage.namespace}/pods?watch=1`);
  await until("the watch tells what there is", () => watch.events.length >= pods.length);
  const results = await Promise.all([
    ...chosen(pods, evictions).map(async (pod) => (await tryEvict(pod)) && isHealthy(pod)),
    ...events.map(async (one) => {
      await happen(pods, one);
      return false;
    }),
  ]);
  const known = api.server.resourceVersion();
  await api.client.mergePatch(resources.pods, await marked(stage), { metadata: { annotations: { mark: known } } });
  await until("the watch has told everything", () =>
    watch.events.some(({ object }) => String(object["metadata"]?.["annotations"]?.["mark"]) === known),
  );
  watch.close();
  const minimum = minimumOf(current, stage.replicas);
  let others = 0;
  for (const loss of lossesIn(watch.events)) {
    if (!loss.evicted) others += 1;
    // What falls ill while an eviction is decided cannot be known yet; no eviction adds to that.
    else assert.ok(loss.healthyAfter + others >= minimum, describe({ loss, others, minimum, current }));
  }
  if (events.length === 0 && next === undefined) {
    const healthy = chosen(pods, evictions).filter(isHealthy).length;
    const wanted = Math.min(healthy, budget.status?.disruptionsAllowed ?? 0);
    assert.equal(results.filter(Boolean).length, wanted, describe({ budget: budget.status ?? {}, current }));
  }
  return current;
}

/** A pod that only marks how far a watch has come. */
async function marked({ namespace }: Stage): Promise<Pod["metadata"]> {
  const metadata = { name: "mark", namespace };
  const spec = { containers: [{ name: "main", image: "registry.example/app:1" }] };
  await tolerantly(() => api.client.create<Pod>(resources.pods, { apiVersion: "v1", kind: "Pod", metadata, spec }));
  return metadata;
}

function describe(what: object): string {
  return JSON.stringify(what);
}

test("evictions stay within the budget, and use all that it allows", async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 6 }),
    wish,
    fc.array(round, { minLength: 1, maxLength: 4 }),
    async (replicas, first, rounds) => {
      const stage = new Stage(replicas);
      await stage.build(first);
      let current = first;
      for (const one of rounds) current = await play(stage, current, one);
      await api.client.delete(resources.namespaces, { name: stage.namespace });
    },
  );
  await fc.assert(property, { numRuns: 15 });
});
