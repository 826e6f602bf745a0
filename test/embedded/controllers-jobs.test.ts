/** Jobs against the API server; nobody runs pods. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { jobSpec, namespace, withRig } from "./controllers-rig.ts";

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

test("a job that takes too long ends, and what it ran counts as failed", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("batch/v1", "Job", "work", jobSpec({ activeDeadlineSeconds: 60 }));
    await rig.clock.advance(58_000);
    await rig.rest();
    assert.equal((await rig.names()).length, 1);
    await rig.clock.advance(3000);
    await rig.rest();
    assert.deepEqual(await rig.names(), []);
    assert.equal((await rig.condition("Job", "work", "Failed"))?.reason, "DeadlineExceeded");
    assert.equal((await rig.status("Job", "work"))["failed"], 1);
    assert.deepEqual(await rig.events("DeadlineExceeded"), ["Job was active longer than specified deadline"]);
  });
});

test("a job whose parallelism is lowered lets pods go that count for nothing", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    await rig.apply("batch/v1", "Job", "work", jobSpec({ parallelism: 3, completions: 5, backoffLimit: 0 }));
    assert.equal((await rig.names()).length, 3);
    await rig.patch("Job", "work", { spec: { parallelism: 1 } });
    assert.equal((await rig.names()).length, 1);
    const { active, failed } = await rig.status("Job", "work");
    assert.deepEqual([active, failed], [1, undefined]);
  });
});

test("an indexed job's pods know their index, and one that fails is made anew after a pause", async (t) => {
  await withRig(t, async (rig) => {
    rig.start();
    const spec = { parallelism: 2, completions: 2, completionMode: "Indexed" };
    await rig.apply("batch/v1", "Job", "work", jobSpec(spec));
    const indexKey = "batch.kubernetes.io/job-completion-index";
    const [first, second] = (await rig.pods()).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    assert.ok(first && second);
    assert.match(first.metadata.name, /^work-0-\w{5}$/);
    assert.deepEqual([second.metadata.labels?.[indexKey], second.metadata.annotations?.[indexKey]], ["1", "1"]);
    assert.equal(second.spec.containers[0]?.env?.[0]?.name, "JOB_COMPLETION_INDEX");
    await rig.end(first, "Succeeded");
    await rig.rest();
    await rig.clock.advance(2000);
    await rig.end(second, "Failed");
    await rig.rest();
    assert.equal((await rig.status("Job", "work"))["completedIndexes"], "0");
    assert.equal((await rig.names()).length, 2);
    await rig.clock.advance(11_000);
    await rig.rest();
    const again = (await rig.pods()).filter((pod) => pod.status?.phase === "Pending");
    assert.deepEqual(
      again.map((pod) => pod.metadata.labels?.[indexKey]),
      ["1"],
    );
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
