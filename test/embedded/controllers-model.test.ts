/**
 * Random changes of a deployment and of its pods, against what must hold whatever happens.
 *
 * The world is the pure functions and a list of pods; statuses of replica sets are renewed before the deployment looks,
 * since with stale ones no controller can promise availability.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planDeployment } from "../../src/embedded/controllers/deployment.ts";
import { leewayOf, sizeOf, sumOfSizes, wantedReplicas } from "../../src/embedded/controllers/deployment-size.ts";
import { isActive, isReady } from "../../src/embedded/controllers/pod-state.ts";
import { planReplicaSet, replicaSetStatus } from "../../src/embedded/controllers/replica-set.ts";
import type { Deployment, ReplicaSet } from "../../src/embedded/controllers/types.ts";
import type { Pod } from "../../src/kube/index.ts";
import { at, deploymentOf, nowMs, podOf } from "./controllers-support.ts";

type Event =
  | { readonly kind: "scale"; readonly replicas: number }
  | { readonly kind: "template"; readonly image: string }
  | { readonly kind: "leeway"; readonly surge: number; readonly unavailable: number }
  | { readonly kind: "pause" | "resume" }
  | { readonly kind: "look" }
  | { readonly kind: "ready" | "unready" | "fail" | "delete"; readonly pod: number };

const pods = fc.nat({ max: 30 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("scale" as const), replicas: fc.nat({ max: 8 }) }),
  fc.record({ kind: fc.constant("template" as const), image: fc.constantFrom("app:1", "app:2", "app:3") }),
  fc.record({ kind: fc.constant("leeway" as const), surge: fc.nat({ max: 3 }), unavailable: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constantFrom("pause" as const, "resume" as const) }),
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("look" as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("ready" as const), pod: pods }) },
  fc.record({ kind: fc.constantFrom("unready" as const, "fail" as const, "delete" as const), pod: pods }),
);

class World {
  deployment: Deployment = deploymentOf({ replicas: 3, maxSurge: 1, maxUnavailable: 1 });
  sets: ReplicaSet[] = [];
  pods: Pod[] = [];
  #nowMs = nowMs;
  #made = 0;

  happen(what: Event): void {
    if (what.kind === "look") this.look();
    else if ("pod" in what) this.#touch(what.kind, what.pod);
    else this.#change(changed(this.deployment.spec, what));
  }

  #change(spec: Deployment["spec"]): void {
    const { metadata } = this.deployment;
    this.deployment = {
      ...this.deployment,
      spec,
      metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 },
    };
  }

  #touch(what: "ready" | "unready" | "fail" | "delete", index: number): void {
    const pod = this.pods[index % Math.max(1, this.pods.length)];
    if (pod === undefined) return;
    const others = this.pods.filter((one) => one !== pod);
    if (what === "delete") this.pods = others;
    else if (what === "fail")
      this.pods = [...others, { ...pod, status: { ...pod.status, phase: "Failed", conditions: [] } }];
    else this.pods = [...others, withReadiness(pod, what === "ready" ? "True" : "False")];
  }

  available(): number {
    return this.pods.filter((pod) => isActive(pod) && isReady(pod)).length;
  }

  /** Replica sets say what they have, the deployment decides, replica sets follow. */
  look(): void {
    this.#renewStatuses();
    this.#decide();
    this.#follow();
  }

  #renewStatuses(): void {
    this.sets = this.sets.map((set) => {
      const active = this.#podsOf(set).filter(isActive);
      return { ...set, status: replicaSetStatus(set, active, { nowMs: this.#nowMs, failure: undefined }) };
    });
  }

  #decide(): void {
    const before = { sum: sumOfSizes(this.sets) };
    const plan = planDeployment({ deployment: this.deployment, sets: this.sets, pods: this.pods, nowMs: this.#nowMs });
    for (const step of plan.steps) {
      switch (step.kind) {
        case "create": {
          this.#made += 1;
          const { metadata } = step.set;
          const made = { uid: `set-${this.#made}`, generation: 1, creationTimestamp: at(nowMs + this.#made * 1000) };
          this.sets.push({ ...step.set, metadata: { ...metadata, ...made } });
          break;
        }
        case "update":
          this.sets = this.sets.map((one) => (one.metadata.uid === step.set.metadata.uid ? step.set : one));
          break;
        case "delete":
          assert.equal(this.#podsOf(step.set).filter(isActive).length, 0, "a set with pods is deleted");
          this.sets = this.sets.filter((one) => one.metadata.uid !== step.set.metadata.uid);
          break;
        case "note":
          break;
      }
    }
    this.deployment = { ...this.deployment, status: plan.status };
    const most = wantedReplicas(this.deployment) + leewayOf(this.deployment).surge;
    const sum = sumOfSizes(this.sets);
    assert.ok(sum <= Math.max(most, before.sum), `${sum} pods wanted, more than ${most} and than ${before.sum} before`);
  }

  #follow(): void {
    const before = this.available();
    const least = wantedReplicas(this.deployment) - leewayOf(this.deployment).unavailable;
    for (const set of this.sets) {
      const own = this.#podsOf(set);
      const active = own.filter(isActive);
      const plan = planReplicaSet({
        set,
        active,
        failed: [],
        neighbours: this.pods.filter(isActive),
        nowMs: this.#nowMs,
      });
      const removed = new Set(plan.remove);
      this.pods = this.pods.filter((pod) => !removed.has(pod));
      for (let count = 0; count < plan.create; count += 1) {
        this.#made += 1;
        const { name, uid = "" } = set.metadata;
        this.pods.push(
          podOf(`pod-${this.#made}`, { owner: { kind: "ReplicaSet", name, uid }, labels: { app: "web" } }),
        );
      }
    }
    const after = this.available();
    assert.ok(after >= Math.min(before, least), `${after} pods available of ${before}, at least ${least} must stay`);
  }

  #podsOf(set: ReplicaSet): readonly Pod[] {
    return this.pods.filter((pod) => pod.metadata.ownerReferences?.[0]?.uid === set.metadata.uid);
  }
}

type Change = Exclude<Event, { readonly pod: number } | { readonly kind: "look" }>;

function changed(spec: Deployment["spec"], what: Change): Deployment["spec"] {
  switch (what.kind) {
    case "scale":
      return { ...spec, replicas: what.replicas };
    case "template": {
      const template = { ...spec.template, spec: { containers: [{ name: "main", image: what.image }] } };
      return { ...spec, template };
    }
    case "leeway": {
      const { surge, unavailable: maxUnavailable } = what;
      // The API refuses both as 0.
      const rollingUpdate = { maxSurge: Math.max(surge, 1 - maxUnavailable), maxUnavailable };
      return { ...spec, strategy: { type: "RollingUpdate", rollingUpdate } };
    }
    case "pause":
    case "resume":
      return { ...spec, paused: what.kind === "pause" };
  }
}

function withReadiness(pod: Pod, status: "True" | "False"): Pod {
  const conditions = [{ type: "Ready", status, lastTransitionTime: at(nowMs) }];
  return { ...pod, status: { ...pod.status, conditions } };
}

test("a rolling update never goes beyond its leeway, and ends when pods become ready", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const world = new World();
      for (const one of events) world.happen(one);
      world.happen({ kind: "resume" });
      for (let round = 0; round < 60; round += 1) {
        world.pods = world.pods.map((pod) => (isActive(pod) ? withReadiness(pod, "True") : pod));
        world.look();
      }
      const wanted = wantedReplicas(world.deployment);
      const image = world.deployment.spec.template.spec.containers[0]?.image;
      const fresh = world.sets.filter((set) => set.spec.template.spec.containers[0]?.image === image);
      assert.deepEqual(fresh.map(sizeOf), [wanted]);
      assert.equal(sumOfSizes(world.sets), wanted);
      assert.equal(world.available(), wanted);
      const { conditions = [] } = world.deployment.status ?? {};
      const reason = conditions.find(({ type }) => type === "Progressing")?.reason;
      assert.equal(reason, "NewReplicaSetAvailable");
    }),
    { numRuns: 300 },
  );
});
