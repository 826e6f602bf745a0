/**
 * Plans and their execution as transcripts: `testdata/*.txt`.
 *
 * `gpu MODEL [off|on-pending|off-pending|no-reset] INSTANCE…` sets the scene (notation: `support/stage.ts`), `fail CALL
 * CODE [AFTER [TIMES]]` makes driver calls fail, `plan WANTED…` prints the plan and its findings, `execute` carries it
 * out and prints the result and what stands. `UPDATE_TRANSCRIPTS=1` rewrites what is expected.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { findingLine } from "../../src/base/index.ts";
import type { DriverMethod, InjectedFault } from "../../src/gpu/index.ts";
import { executePlan, type PartitionPlan, planGpu, planText } from "../../src/partition/index.ts";
import { type Stage, stageOf, stateText, wantedOf } from "./support/stage.ts";

const folder = new URL("testdata/", import.meta.url);
const separator = "----";

for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt"))) {
  const path = new URL(file, folder);
  const blocks = readFileSync(path, "utf8").trimEnd().split("\n\n");
  const answers = blocks.map(() => "");
  for (const [index, block] of blocks.entries()) {
    const [asked = "", expected = ""] = `${block}\n`.split(`\n${separator}\n`).map((part) => part.trimEnd());
    const title = asked
      .split("\n")
      .filter((line) => line.startsWith("#"))
      .map((line) => line.slice(2))
      .join(" ");
    test(`${file}: ${title}`, async () => {
      const answer = await play(asked.split("\n").filter((line) => !line.startsWith("#")));
      answers[index] = `${asked}\n${separator}\n${answer}`;
      if (process.env["UPDATE_TRANSCRIPTS"] === undefined) assert.equal(answer, expected);
    });
  }
  if (process.env["UPDATE_TRANSCRIPTS"] !== undefined) {
    test(`${file}: rewritten`, () => writeFileSync(path, `${answers.join("\n\n")}\n`));
  }
}

async function play(lines: readonly string[]): Promise<string> {
  let stage: Stage | undefined;
  let plan: PartitionPlan | undefined;
  let resettable = true;
  const output: string[] = [];
  for (const line of lines) {
    const [command = "", ...words] = line.split(/ +/);
    if (command === "gpu") {
      resettable = !words.includes("no-reset");
      stage = await setScene(words, resettable);
      continue;
    }
    assert.ok(stage, "the first line sets the scene");
    if (command === "fail") stage.driver.failCall(faultOf(words));
    else if (command === "plan") {
      const gpu = await stage.gpu();
      plan = planGpu({ gpu, wanted: wantedOf(words.join(" "), gpu), holders: stage.holders, resettable });
      output.push(...planText(plan), ...plan.findings.map(findingLine));
    } else {
      assert.equal(command, "execute");
      assert.ok(plan, "a plan comes before its execution");
      const execution = await executePlan(stage.driver, plan);
      output.push(
        `${execution.result}: ${await stage.gpu().then(stateText, () => "the driver does not tell what stands")}`,
      );
      if (execution.result !== "done") output.push(...execution.findings.map(findingLine));
    }
  }
  return output.join("\n").replaceAll(/GPU-[0-9a-f-]{36}/g, "GPU-…");
}

function setScene([model = "", ...words]: readonly string[], resettable: boolean): Promise<Stage> {
  const modes = ["off", "on-pending", "off-pending"] as const;
  const mode = modes.find((one) => words.includes(one)) ?? "on";
  const instances = words.filter((word) => word.includes("@") || word.startsWith("GPU=")).join(" ");
  return stageOf({ model, mode, instances, resettable });
}

const calls: readonly DriverMethod[] = [
  "list",
  "gpu",
  "setMigMode",
  "resetGpu",
  "createGpuInstance",
  "destroyGpuInstance",
  "createComputeInstance",
  "destroyComputeInstance",
];

function faultOf([call = "", code = "", after = "0", times = "1"]: readonly string[]): InjectedFault {
  const method = calls.find((one) => one === call);
  assert.ok(method, `no call ${call}`);
  const nvmlCode = (["in-use", "insufficient-resources", "gpu-is-lost", "unknown"] as const).find(
    (one) => one === code,
  );
  assert.ok(nvmlCode, `no code ${code}`);
  return {
    call: method,
    nvmlCode,
    afterCalls: Number(after),
    times: times === "ever" ? Number.POSITIVE_INFINITY : Number(times),
  };
}
