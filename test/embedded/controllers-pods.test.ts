/** Which pods go first, when failed ones are replaced, and who owns which. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatIndexes, parseIndexes } from "../../src/embedded/controllers/index-set.ts";
import { planJob } from "../../src/embedded/controllers/job.ts";
import { backOffMs } from "../../src/embedded/controllers/job-pods.ts";
import { claim } from "../../src/embedded/controllers/owners.ts";
import { podsToDelete } from "../../src/embedded/controllers/rank.ts";
import { creationPauseMs } from "../../src/embedded/controllers/replica-set.ts";
import type { Job } from "../../src/embedded/controllers/types.ts";
import { parseLabelSelector } from "../../src/kube/index.ts";
import { nowMs, type PodOptions, podOf, setOf } from "./controllers-support.ts";

suite("of two pods, the one that goes first (ActivePodsWithRanks)", () => {
  const ready = { readyFor: 50_000 } as const;
  const rows: readonly { readonly name: string; readonly first: PodOptions; readonly second: PodOptions }[] = [
    { name: "one without a node", first: { node: "" }, second: { phase: "Pending" } },
    { name: "a pending one", first: { phase: "Pending" }, second: {} },
    { name: "one that is not ready", first: {}, second: ready },
    {
      name: "the cheaper one",
      first: { ...ready, annotations: { "controller.kubernetes.io/pod-deletion-cost": "-5" } },
      second: ready,
    },
    {
      name: "one that shares its node with another",
      first: { ...ready, node: "crowded" },
      second: { ...ready, node: "b" },
    },
    { name: "one that became ready far later", first: { readyFor: 1000 }, second: { readyFor: 3_000_000 } },
    { name: "one whose container was restarted more often", first: { ...ready, restarts: 3 }, second: ready },
    { name: "the far younger one", first: { ...ready, age: 1000 }, second: { ...ready, age: 3_000_000 } },
    { name: "not ready counts more than young", first: { age: 3_000_000 }, second: { ...ready, age: 1000 } },
  ];
  for (const { name, first, second } of rows) {
    test(name, () => {
      // Names, which are UIDs here, would decide the other way round.
      const pods = [podOf("a", second), podOf("b", first)];
      const neighbours = [...pods, podOf("c", { node: "crowded" })];
      assert.deepEqual(
        podsToDelete(pods, 1, { neighbours, nowMs }).map((pod) => pod.metadata.name),
        ["b"],
      );
    });
  }
  test("ages of one order of magnitude are alike, and the UID decides", () => {
    const pods = [podOf("b", { ...ready, age: 40_000 }), podOf("a", { ...ready, age: 60_000 })];
    assert.deepEqual(
      podsToDelete(pods, 1, { neighbours: pods, nowMs }).map((pod) => pod.metadata.name),
      ["a"],
    );
  });
});

suite("pause before a pod that failed is replaced", () => {
  const failed = (...ages: readonly number[]) =>
    ages.map((age, index) => podOf(`p${index}`, { phase: "Failed", exitCode: 1, readyFor: age }));
  const rows = [
    { name: "none without failures", pods: failed(), set: 0, job: 0 },
    { name: "after the first", pods: failed(0), set: 1000, job: 10_000 },
    { name: "doubled with each", pods: failed(0, 5000, 9000), set: 4000, job: 40_000 },
    { name: "less as time passes", pods: failed(400, 5000), set: 1600, job: 19_600 },
    { name: "bounded", pods: failed(...Array.from({ length: 30 }, () => 0)), set: 300_000, job: 600_000 },
    { name: "old failures of a replica set are forgotten", pods: failed(700_000), set: 0, job: 0 },
  ];
  for (const { name, pods, set, job } of rows) {
    test(name, () => {
      const seen = [creationPauseMs(pods, nowMs), backOffMs(pods, nowMs)];
      // The API's times have whole seconds.
      assert.ok(Math.abs((seen[0] ?? 0) - set) < 1000 && Math.abs((seen[1] ?? 0) - job) < 1000, String(seen));
    });
  }
  test("a success of a job ends the count", () => {
    const done = podOf("ok", { phase: "Succeeded", exitCode: 0, readyFor: 3000 });
    assert.equal(backOffMs([...failed(9000, 8000), done], nowMs), 0);
  });
});

suite("completion indexes", () => {
  const rows = [
    { indexes: [], text: "" },
    { indexes: [3], text: "3" },
    { indexes: [1, 0], text: "0,1" },
    { indexes: [0, 1, 2, 5, 7, 8], text: "0-2,5,7,8" },
  ];
  for (const { indexes, text } of rows) {
    test(`are written as "${text}" and read again`, () => {
      assert.equal(formatIndexes(indexes), text);
      assert.deepEqual(
        [...parseIndexes(text, 10)],
        indexes.toSorted((a, b) => a - b),
      );
    });
  }
});

test("only the indexes that are needed are looked at, however many there are", () => {
  const spec = {
    completionMode: "Indexed" as const,
    completions: 1_000_000_000,
    parallelism: 2,
    template: { spec: { containers: [], restartPolicy: "Never" as const } },
  };
  const metadata = { name: "work", namespace: "default", uid: "work", generation: 1 };
  const job: Job = { apiVersion: "batch/v1", kind: "Job", metadata, spec };
  assert.deepEqual(planJob({ job, pods: [], nowMs }).create, [0, 1]);
  assert.deepEqual([...parseIndexes("1,3-4000000000", 5)], [1, 3, 4]);
});

suite("an owner takes in what it selects and lets go what it does not", () => {
  const set = setOf("mine", "1");
  const mine = { kind: "ReplicaSet", name: "mine", uid: "mine" };
  const other = { kind: "ReplicaSet", name: "other", uid: "other" };
  const labels = { app: "web" };
  const rows = [
    { name: "its own", pod: podOf("p", { labels, owner: mine }), want: "owned" },
    { name: "an orphan that it selects", pod: podOf("p", { labels }), want: "adopt" },
    { name: "an orphan on its way out", pod: podOf("p", { labels, isLeaving: true }), want: "nothing" },
    { name: "an orphan that it does not select", pod: podOf("p"), want: "nothing" },
    { name: "another's", pod: podOf("p", { labels, owner: other }), want: "nothing" },
    { name: "its own with other labels", pod: podOf("p", { owner: mine }), want: "release" },
  ];
  for (const { name, pod, want } of rows) {
    test(name, () => {
      const found = claim(set, parseLabelSelector(set.spec.selector), [pod]);
      const seen = Object.entries(found).flatMap(([what, pods]) => (pods.length > 0 ? [what] : []));
      assert.equal(seen.join() || "nothing", want);
    });
  }
});
