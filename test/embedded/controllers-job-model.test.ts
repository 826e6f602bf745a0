/**
 * Random ends of a job's pods, with a controller that may break off between any two writes: every end is counted once,
 * and the job ends as its counts say.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { finishedCondition, planJob } from "../../src/embedded/controllers/job.ts";
import { indexKey, isTracked, trackingFinalizer } from "../../src/embedded/controllers/job-pods.ts";
import { hasEnded, isActive } from "../../src/embedded/controllers/pod-state.ts";
import type { Job } from "../../src/embedded/controllers/types.ts";
import type { Pod } from "../../src/kube/index.ts";
import { at, nowMs, podOf } from "./controllers-support.ts";

type Event =
  /** The controller looks, and stops after so many writes. */
  | { readonly kind: "look"; readonly writes: number }
  | { readonly kind: "succeed" | "fail" | "delete"; readonly pod: number }
  | { readonly kind: "kubelet" };

const pod = fc.nat({ max: 20 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("look" as const), writes: fc.nat({ max: 5 }) }) },
  fc.record({ kind: fc.constantFrom("succeed" as const, "fail" as const, "delete" as const), pod }),
  fc.record({ kind: fc.constant("kubelet" as const) }),
);
const spec = fc.record({
  parallelism: fc.integer({ min: 1, max: 3 }),
  completions: fc.integer({ min: 1, max: 4 }),
  backoffLimit: fc.nat({ max: 3 }),
  completionMode: fc.constantFrom("NonIndexed" as const, "Indexed" as const),
});

class World {
  job: Job;
  pods: Pod[] = [];
  /** How pods ended, by name; those deleted while they ran are `deleted`. */
  readonly ends = new Map<string, "succeeded" | "failed" | "deleted">();
  readonly indexesDone = new Set<string>();
  #nowMs = nowMs;
  #made = 0;

  constructor(options: Partial<Job["spec"]>) {
    const template = { spec: { containers: [{ name: "main" }], restartPolicy: "Never" as const } };
    const metadata = { name: "work", namespace: "default", uid: "work", generation: 1 };
    this.job = { apiVersion: "batch/v1", kind: "Job", metadata, spec: { ...options, template } };
  }

  happen(what: Event): void {
    if (what.kind === "look") this.look(what.writes);
    else if (what.kind === "kubelet") this.endLeaving();
    else this.#touch(what.kind, what.pod);
  }

  #touch(what: "succeed" | "fail" | "delete", index: number): void {
    const running = this.pods.filter((one) => what === "delete" || isActive(one));
    const target = running[index % Math.max(1, running.length)];
    if (target === undefined) return;
    if (what === "delete") this.#delete(target);
    else this.#end(target, what === "succeed" ? "Succeeded" : "Failed");
  }

  #end(target: Pod, phase: "Succeeded" | "Failed"): void {
    const { name } = target.metadata;
    const state = { terminated: { exitCode: phase === "Succeeded" ? 0 : 1, finishedAt: at(this.#nowMs) } };
    const status = { name: "main", state, ready: false, restartCount: 0, image: "", imageID: "" };
    this.#replace({ ...target, status: { phase, containerStatuses: [status] } });
    if (!this.ends.has(name)) this.ends.set(name, phase === "Succeeded" ? "succeeded" : "failed");
    if (phase === "Succeeded") this.indexesDone.add(target.metadata.annotations?.[indexKey] ?? name);
  }

  /** As the API does: at once where no finalizer holds it and nothing runs. */
  #delete(target: Pod): void {
    if (!this.ends.has(target.metadata.name)) this.ends.set(target.metadata.name, "deleted");
    const metadata = { ...target.metadata, deletionTimestamp: target.metadata.deletionTimestamp ?? at(this.#nowMs) };
    if (!isTracked(target) && hasEnded(target)) this.pods = this.pods.filter((one) => one !== target);
    else this.#replace({ ...target, metadata });
  }

  #release(target: Pod): void {
    const now = this.pods.find((one) => one.metadata.uid === target.metadata.uid);
    if (now === undefined) return;
    const { finalizers: _, ...metadata } = now.metadata;
    this.#replace({ ...now, metadata });
    const isGone = metadata.deletionTimestamp !== undefined && hasEnded(now);
    if (isGone) this.pods = this.pods.filter((one) => one.metadata.uid !== target.metadata.uid);
  }

  #replace(next: Pod): void {
    this.pods = this.pods.map((one) => (one.metadata.uid === next.metadata.uid ? next : one));
  }

  /** The kubelet stops what is on its way out and lets go of it. */
  endLeaving(): void {
    for (const one of this.pods.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)) {
      if (!hasEnded(one)) this.#replace({ ...one, status: { phase: "Failed" } });
    }
    this.pods = this.pods.filter((one) => one.metadata.deletionTimestamp === undefined || isTracked(one));
  }

  look(writes: number): void {
    // Long enough for any back-off to be over.
    this.#nowMs += 700_000;
    const plan = planJob({ job: this.job, pods: this.pods, nowMs: this.#nowMs });
    assert.deepEqual(plan.discard, [], "nothing here makes a pod superfluous");
    const effects = [
      () => {
        this.job = { ...this.job, status: plan.status };
      },
      ...plan.release.map((one) => () => this.#release(one)),
      ...plan.abort.map((one) => () => this.#delete(one)),
      ...plan.create.map((index) => () => this.#create(index)),
    ];
    for (const effect of effects.slice(0, writes)) effect();
    const active = this.pods.filter(isActive).length;
    assert.ok(active <= (this.job.spec.parallelism ?? 1), `${active} pods run at a time`);
  }

  #create(index: number | undefined): void {
    this.#made += 1;
    const annotations: Record<string, string> = index === undefined ? {} : { [indexKey]: String(index) };
    const running = this.pods.filter(isActive).map(({ metadata }) => metadata.annotations?.[indexKey]);
    assert.ok(index === undefined || !running.includes(String(index)), `index ${index} runs twice`);
    this.pods.push(podOf(`pod-${this.#made}`, { annotations, finalizers: [trackingFinalizer] }));
  }

  count(...ends: readonly string[]): number {
    return [...this.ends.values()].filter((one) => ends.includes(one)).length;
  }
}

test("every pod is counted once, and the job ends as its counts say", () => {
  fc.assert(
    fc.property(spec, fc.array(event, { maxLength: 60 }), (options, events) => {
      const world = new World(options);
      for (const one of events) world.happen(one);
      for (let round = 0; round < 40; round += 1) {
        world.look(100);
        for (let index = 0; index < 4; index += 1) world.happen({ kind: "succeed", pod: index });
        world.endLeaving();
      }
      const { status } = world.job;
      const told = JSON.stringify({ status, ends: [...world.ends] });
      const end = finishedCondition(world.job)?.type;
      const { succeeded = 0, failed = 0 } = status ?? {};
      assert.equal(world.pods.filter(isTracked).length, 0, told);
      if (options.completionMode === "Indexed") {
        assert.equal(succeeded, world.indexesDone.size, told);
      } else {
        assert.ok(succeeded >= world.count("succeeded") && failed >= world.count("failed"), told);
        assert.equal(succeeded + failed, world.ends.size, told);
      }
      assert.equal(end, failed > options.backoffLimit ? "Failed" : "Complete", told);
      if (end === "Complete") assert.ok(succeeded >= options.completions, told);
    }),
    { numRuns: 400 },
  );
});
