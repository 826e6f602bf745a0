/** Sizes of a deployment's replica sets (kubernetes, pkg/controller/deployment: rolling_test.go, sync_test.go). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { planDeployment } from "../../src/embedded/controllers/deployment.ts";
import {
  expiredSets,
  newReplicaSet,
  renewedSet,
  revisionNote,
} from "../../src/embedded/controllers/deployment-revision.ts";
import {
  desiredReplicas,
  freshSize,
  leewayOf,
  maxReplicas,
  type Resize,
  scaleSets,
  shrinkOld,
} from "../../src/embedded/controllers/deployment-size.ts";
import type { Deployment, DeploymentStatus } from "../../src/embedded/controllers/types.ts";
import { at, deploymentOf, nowMs, podOf, setOf } from "./controllers-support.ts";

suite("leeway of a rolling update", () => {
  const rows = [
    { name: "surge is rounded up, unavailability down", replicas: 3, surge: "25%", unavailable: "25%", want: "1/0" },
    { name: "numbers count as they are", replicas: 10, surge: 3, unavailable: 2, want: "3/2" },
    {
      name: "where both come out as none, one may be unavailable",
      replicas: 3,
      surge: 0,
      unavailable: "10%",
      want: "0/1",
    },
    { name: "no more than all can be unavailable", replicas: 2, surge: 0, unavailable: 5, want: "0/2" },
    { name: "a deployment of none needs none", replicas: 0, surge: 0, unavailable: "25%", want: "0/0" },
    { name: "all may be unavailable", replicas: 4, surge: "100%", unavailable: "100%", want: "4/4" },
  ];
  for (const { name, replicas, surge, unavailable, want } of rows) {
    test(name, () => {
      const found = leewayOf(deploymentOf({ replicas, maxSurge: surge, maxUnavailable: unavailable }));
      assert.equal(`${found.surge}/${found.unavailable}`, want);
    });
  }
});

suite("the new set grows as far as the surge lets it", () => {
  const rows = [
    { name: "by the surge beside a full old one", replicas: 10, surge: 2, fresh: "0", old: ["10"], want: 2 },
    { name: "not at all when the surge is used up", replicas: 10, surge: 2, fresh: "2", old: ["10"], want: 2 },
    { name: "into what the old one gave up", replicas: 10, surge: 2, fresh: "2", old: ["7"], want: 5 },
    { name: "never beyond what is wanted", replicas: 3, surge: 5, fresh: "1", old: ["1"], want: 3 },
    { name: "shrinks to what is wanted", replicas: 3, surge: 1, fresh: "5", old: ["0"], want: 3 },
    { name: "not while there are too many in all", replicas: 3, surge: 1, fresh: "1", old: ["2", "2"], want: 1 },
  ];
  for (const { name, replicas, surge, fresh, old, want } of rows) {
    test(name, () => {
      const deployment = deploymentOf({ replicas, maxSurge: surge, maxUnavailable: 1 });
      const sets = { fresh: setOf("new", fresh), old: old.map((sizes, index) => setOf(`old-${index}`, sizes)) };
      assert.equal(freshSize(deployment, sets), want);
    });
  }
});

suite("old sets shrink as far as enough stays available", () => {
  const rows = [
    { name: "by what may be unavailable", replicas: 10, unavailable: 2, fresh: "0", old: ["10"], want: "old-0=8" },
    {
      name: "not before the new pods are available",
      replicas: 10,
      unavailable: 0,
      fresh: "2/0",
      old: ["10"],
      want: "",
    },
    {
      name: "by as many as became available",
      replicas: 10,
      unavailable: 0,
      fresh: "2/1",
      old: ["10"],
      want: "old-0=9",
    },
    {
      name: "what is not healthy goes first, the oldest set before others",
      replicas: 10,
      unavailable: 2,
      fresh: "0",
      old: ["3/0", "7/7"],
      want: "old-0=1",
    },
    {
      name: "no more of what is not healthy than pods that are not available yet leave room for",
      replicas: 10,
      unavailable: 2,
      fresh: "2/0",
      old: ["10/5"],
      want: "old-0=8",
    },
    {
      name: "healthy pods follow in the same look",
      replicas: 4,
      unavailable: 2,
      fresh: "4/4",
      old: ["2/1", "2/2"],
      want: "old-0=0 old-1=0",
    },
    { name: "nothing is left to shrink", replicas: 3, unavailable: 1, fresh: "3", old: ["0"], want: "" },
  ];
  for (const { name, replicas, unavailable, fresh, old, want } of rows) {
    test(name, () => {
      const deployment = deploymentOf({ replicas, maxSurge: 2, maxUnavailable: unavailable });
      const sets = { fresh: setOf("new", fresh), old: old.map((sizes, index) => setOf(`old-${index}`, sizes)) };
      assert.equal(text(shrinkOld(deployment, sets)), want);
    });
  }
});

suite("sets follow the deployment's size", () => {
  const made = (replicas: number, surge: number) => ({
    [desiredReplicas]: String(replicas),
    [maxReplicas]: String(replicas + surge),
  });
  const rows = [
    { name: "the only active one takes it all", replicas: 5, before: 3, fresh: "0", old: ["3"], want: "old-0=5" },
    { name: "without an active one the new one does", replicas: 5, before: 0, fresh: "0", old: ["0"], want: "new=5" },
    {
      name: "in the middle of an update all in proportion",
      replicas: 20,
      before: 10,
      fresh: "4",
      old: ["7"],
      want: "new=8 old-0=13",
    },
    { name: "smaller in proportion too", replicas: 5, before: 10, fresh: "4", old: ["7"], want: "new=2 old-0=4" },
    { name: "down to none", replicas: 0, before: 10, fresh: "4", old: ["7"], want: "new=0 old-0=0" },
  ];
  for (const { name, replicas, before, fresh, old, want } of rows) {
    test(name, () => {
      const deployment = deploymentOf({ replicas, maxSurge: 1, maxUnavailable: 1 });
      const notes = made(before, 1);
      const sets = {
        fresh: setOf("new", fresh, notes),
        old: old.map((sizes, index) => setOf(`old-${index}`, sizes, notes)),
      };
      assert.equal(text(scaleSets(deployment, sets)), want);
    });
  }
});

function text(resizes: readonly Resize[]): string {
  return resizes
    .map(({ set, size }) => `${set.metadata.name}=${size}`)
    .sort()
    .join(" ");
}

test("a set that comes back gets the next number and keeps its former one", () => {
  const set = setOf("web-1", "0", { [revisionNote]: "1" });
  const { annotations } = renewedSet(deploymentOf(), set, 3).metadata;
  assert.equal(annotations?.[revisionNote], "3");
  assert.equal(annotations?.["deployment.kubernetes.io/revision-history"], "1");
  assert.equal(renewedSet(deploymentOf(), set, 1), set);
});

test("a new set is named for its template, and another template means another name", () => {
  const one = newReplicaSet(deploymentOf(), 1, 2);
  const other = deploymentOf();
  const changed: Deployment = {
    ...other,
    spec: {
      ...other.spec,
      template: { ...other.spec.template, spec: { containers: [{ name: "main", image: "app:2" }] } },
    },
  };
  assert.match(one.metadata.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{6,10}$/);
  assert.equal(newReplicaSet(deploymentOf(), 2, 1).metadata.name, one.metadata.name);
  assert.notEqual(newReplicaSet(changed, 1, 2).metadata.name, one.metadata.name);
  assert.equal(one.spec.selector.matchLabels?.["pod-template-hash"], one.metadata.labels?.["pod-template-hash"]);
  const collided = { ...deploymentOf(), status: { collisionCount: 1 } };
  assert.notEqual(newReplicaSet(collided, 1, 2).metadata.name, one.metadata.name);
});

test("empty sets beyond the limit of the history go, the lowest numbers first", () => {
  const sets = [3, 1, 2, 4].map((number) =>
    setOf(`web-${number}`, number === 2 ? "1" : "0", { [revisionNote]: `${number}` }),
  );
  const { spec, ...rest } = deploymentOf();
  const deployment = { ...rest, spec: { ...spec, revisionHistoryLimit: 1 } };
  assert.deepEqual(
    expiredSets(deployment, sets).map((set) => set.metadata.name),
    ["web-1", "web-3"],
  );
});

test("Recreate waits for the last old pod to end before the new set comes", () => {
  const deployment = deploymentOf({ replicas: 2, recreate: true });
  const old = setOf("old", "0");
  const owner = { kind: "ReplicaSet", name: "old", uid: "old" };
  const leaving = podOf("p", { owner, isLeaving: true });
  const waits = planDeployment({ deployment, sets: [old], pods: [leaving], nowMs });
  assert.deepEqual(waits.steps, []);
  const goesOn = planDeployment({ deployment, sets: [old], pods: [], nowMs });
  assert.deepEqual(
    goesOn.steps.map((step) => [step.kind, step.kind === "create" && step.set.spec.replicas]),
    [["create", 2]],
  );
});

suite("how a rollout is told", () => {
  const statusAt = (reason: string, sinceMs: number): DeploymentStatus => ({
    observedGeneration: 1,
    replicas: 2,
    updatedReplicas: 1,
    availableReplicas: 1,
    conditions: [{ type: "Progressing", status: "True", reason, lastUpdateTime: at(nowMs - sinceMs) }],
  });
  const told = (sizes: string, status: DeploymentStatus): string => {
    const deployment = { ...deploymentOf({ replicas: 1, maxUnavailable: 0, maxSurge: 1 }), status };
    const fresh = newReplicaSet(deployment, 1, 1);
    const [, available = "0"] = sizes.split("/");
    const set = {
      ...fresh,
      metadata: { ...fresh.metadata, uid: "new", creationTimestamp: at(nowMs) },
      status: { replicas: 1, readyReplicas: Number(available), availableReplicas: Number(available) },
    };
    const sets = sizes.startsWith("alone") ? [set] : [set, setOf("old", "1")];
    const { conditions = [] } = planDeployment({ deployment, sets, pods: [], nowMs }).status;
    const { status: holds, reason } = conditions.find(({ type }) => type === "Progressing") ?? {};
    return `${holds} ${reason}`;
  };
  const rows = [
    { name: "late after its deadline", sizes: "1/0", since: 601_000, want: "False ProgressDeadlineExceeded" },
    { name: "in time before it", sizes: "1/0", since: 599_000, want: "True NewReplicaSetCreated" },
    { name: "progress is told", sizes: "1/1", since: 601_000, want: "True ReplicaSetUpdated" },
    { name: "the end is told", sizes: "alone/1", since: 601_000, want: "True NewReplicaSetAvailable" },
  ];
  for (const { name, sizes, since, want } of rows) {
    test(name, () => assert.equal(told(sizes, statusAt("NewReplicaSetCreated", since)), want));
  }
});
