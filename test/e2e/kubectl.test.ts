/**
 * The real kubectl against the cluster that `tranche up` runs: one row a command.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { until } from "../support/until.ts";
import { type KubectlCluster, startKubectlCluster } from "./support/kubectl-cluster.ts";
import { readingRows } from "./support/kubectl-reading.ts";
import type { Step } from "./support/kubectl-steps.ts";
import { workloadRows } from "./support/kubectl-workloads.ts";
import { writingRows } from "./support/kubectl-writing.ts";

suite("kubectl", { concurrency: 4 }, () => {
  let world: KubectlCluster;
  before(async () => {
    world = await startKubectlCluster();
  });
  after(() => world.stop());
  for (const { name, steps } of [...readingRows, ...writingRows, ...workloadRows]) {
    test(name, async () => {
      for (const step of steps) await obey(world, step);
    });
  }
});

async function obey(world: KubectlCluster, step: Step): Promise<void> {
  const { run, out = [], err = [], env = {} } = step;
  const args = run.split(" ");
  const input = step.input?.map((one) => JSON.stringify(one)).join("\n") ?? "";
  const { code, stdout, stderr } =
    step.meanwhile === undefined
      ? await world.kubectl.run(args, { input, env })
      : await followed(world, step, step.meanwhile);
  const said = `$ kubectl ${run}\n${stdout}${stderr}(exit code ${code})`;
  const unseen = [...out.filter((one) => !one.test(stdout)), ...err.filter((one) => !one.test(stderr))];
  if (code === (step.code ?? 0) && unseen.length === 0) return;
  const events = await world.kubectl.run(["get", "events", "-A"]);
  assert.fail(`${said}\nlooked for: ${unseen.join(", ") || `exit code ${step.code ?? 0}`}\n\n${events.stdout}`);
}

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command that does not end by itself, and `meanwhile` beside it, until it has printed what is looked for. */
async function followed(world: KubectlCluster, { run, out = [] }: Step, meanwhile: readonly Step[]): Promise<Said> {
  const openBefore = world.cluster.api.stats.openWatches;
  const child = world.kubectl.start(run.split(" "));
  let stdout = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    await until(`kubectl ${run} watches`, () => world.cluster.api.stats.openWatches > openBefore);
    for (const step of meanwhile) await obey(world, step);
    await until(`kubectl ${run} prints ${out.join(", ")}`, () => out.every((one) => one.test(stdout))).catch(() => {});
  } finally {
    child.kill();
    await ended;
  }
  return { code: 0, stdout, stderr: "" };
}
