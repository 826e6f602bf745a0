import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClusterState } from "../../src/embedded/scheduler/cluster-state.ts";
import { decide } from "../../src/embedded/scheduler/pass.ts";
import type { Pod } from "../../src/kube/index.ts";
import { apps, nodeOf, podOf } from "./scheduler-support.ts";

/** The obvious twin: who is where, added up anew each time it is asked. */
interface Twin {
  readonly nodes: Map<string, number>;
  readonly pods: Map<string, TwinPod>;
}

interface TwinPod {
  readonly pod: Pod;
  readonly gpus: number;
  readonly priority: number;
  readonly app: string;
  /** Whose nodes it keeps off, and who keep off its own; empty for nobody. */
  readonly avoids: string;
  node: string | undefined;
  isBound: boolean;
  isLeaving: boolean;
}

type Step =
  | { readonly kind: "create"; readonly gpus: number; readonly priority: number; readonly app: string; avoids: string }
  | { readonly kind: "confirm" | "fail" | "delete" | "leave"; readonly index: number }
  | { readonly kind: "resize"; readonly node: number; readonly gpus: number };

const names = fc.constantFrom("red", "blue");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      gpus: fc.nat({ max: 3 }),
      priority: fc.nat({ max: 2 }),
      app: names,
      avoids: fc.oneof({ weight: 3, arbitrary: fc.constant("") }, names),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("confirm" as const, "fail" as const, "delete" as const, "leave" as const),
      index: fc.nat(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("resize" as const),
      node: fc.nat({ max: 2 }),
      gpus: fc.integer({ min: 2, max: 5 }),
    }),
  },
);

function create(one: Extract<Step, { kind: "create" }>, name: string): TwinPod {
  const { gpus, priority, app, avoids } = one;
  const term = { labelSelector: apps(avoids), topologyKey: "kubernetes.io/hostname" };
  const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  const spec = avoids === "" ? {} : { affinity };
  const pod = podOf(name, gpus, { labels: { app }, priority, spec });
  return { pod, gpus, priority, app, avoids, node: undefined, isBound: false, isLeaving: false };
}

function isOn(name: string): (one: TwinPod) => boolean {
  return ({ node }) => node === name;
}

/** Whether a pod may stand beside those on the node, and there is enough for it. */
function fits(twin: Twin, one: TwinPod, node: string): boolean {
  const others = [...twin.pods.values()].filter((other) => other !== one && isOn(node)(other));
  const used = others.reduce((sum, { gpus }) => sum + gpus, 0);
  const enough = one.gpus === 0 || used + one.gpus <= (twin.nodes.get(node) ?? 0);
  return enough && others.every((other) => one.avoids !== other.app && other.avoids !== one.app);
}

function take(one: Exclude<Step, { kind: "create" }>, twin: Twin, state: ClusterState): void {
  if (one.kind === "resize") {
    const name = `n${one.node}`;
    twin.nodes.set(name, one.gpus);
    state.setNode(nodeOf(name, one.gpus));
    return;
  }
  const able: Record<typeof one.kind, (pod: TwinPod) => boolean> = {
    confirm: ({ node, isBound }) => node !== undefined && !isBound,
    fail: ({ node, isBound }) => node !== undefined && !isBound,
    delete: () => true,
    leave: ({ isLeaving }) => isLeaving,
  };
  const among = [...twin.pods.values()].filter(able[one.kind]);
  const chosen = among[one.index % Math.max(1, among.length)];
  if (chosen === undefined) return;
  if (one.kind === "confirm") confirm(chosen, state);
  else if (one.kind === "fail") {
    chosen.node = undefined;
    state.release(chosen.pod.metadata.name);
  } else remove(chosen, twin, state);
}

function confirm(one: TwinPod, state: ClusterState): void {
  one.isBound = true;
  state.setPod({ ...one.pod, spec: { ...one.pod.spec, nodeName: one.node ?? "" } });
}

function remove(one: TwinPod, twin: Twin, state: ClusterState): void {
  twin.pods.delete(one.pod.metadata.name);
  state.removePod(one.pod.metadata.name);
}

/** One pass, checked as it is applied. Returns whether it moved anything. */
function pass(twin: Twin, state: ClusterState): boolean {
  let moved = false;
  for (const decision of decide(state)) {
    const one = twin.pods.get(decision.pod.metadata.name);
    assert.ok(one !== undefined && one.node === undefined, "only who waits is decided on");
    if (decision.kind === "bind") {
      assert.ok(fits(twin, one, decision.node), `${decision.pod.metadata.name} does not fit ${decision.node}`);
      one.node = decision.node;
      moved = true;
    } else if (decision.kind === "wait") {
      for (const victim of decision.victims) {
        const going = twin.pods.get(victim.metadata.name);
        assert.ok(going !== undefined && going.priority < one.priority, "only lesser pods are evicted");
        assert.equal(going.node, decision.nominatedNode, "victims are on the node they are evicted for");
        assert.equal(going.isLeaving, false, "nobody is evicted twice");
        going.isLeaving = true;
        moved = true;
      }
    }
  }
  return moved;
}

/** Evictions happen and bindings succeed until nothing moves. */
function settle(twin: Twin, state: ClusterState): void {
  for (let round = 0; pass(twin, state) || [...twin.pods.values()].some((one) => one.isLeaving); round++) {
    // Each round places or evicts somebody, so there are not many.
    assert.ok(round < 200, "it comes to rest");
    for (const one of [...twin.pods.values()]) {
      if (one.isLeaving) remove(one, twin, state);
      else if (one.node !== undefined && !one.isBound) confirm(one, state);
    }
  }
}

test("whatever happens, nodes hold what they have, apart stays apart, and only lesser pods make way", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const twin: Twin = { nodes: new Map(), pods: new Map() };
      const state = new ClusterState();
      for (const [index, gpus] of [3, 4, 2].entries()) take({ kind: "resize", node: index, gpus }, twin, state);
      for (const [index, one] of steps.entries()) {
        if (one.kind === "create") {
          const created = create(one, `p${index}`);
          twin.pods.set(created.pod.metadata.name, created);
          state.setPod(created.pod);
        } else take(one, twin, state);
        if (index % 3 === 0) pass(twin, state);
      }
      settle(twin, state);
      for (const one of twin.pods.values()) {
        if (one.node !== undefined) continue;
        const where = [...twin.nodes.keys()].find((node) => fits(twin, one, node));
        assert.equal(where, undefined, `${one.pod.metadata.name} waits but fits`);
      }
    }),
    { numRuns: 400 },
  );
});
