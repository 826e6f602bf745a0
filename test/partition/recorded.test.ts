/** Layouts that are written down: which are read back, and what cannot be gone back to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecordedLayout, planBack, type RecordedLayout, recordLayout } from "../../src/partition/index.ts";
import { stageOf } from "./support/stage.ts";

const place = { file: "journal", line: 1, column: 1 };

async function recorded(): Promise<RecordedLayout> {
  const stage = await stageOf({ model: "a100-sxm4-40gb", instances: "3g.20gb@4(1c.3g.20gb,1c.3g.20gb) 1g.5gb@0" });
  return recordLayout(await stage.gpu());
}

test("a layout is read back from its JSON; with any part of it gone or of another type it is none", async () => {
  const layout = await recorded();
  assert.ok(isRecordedLayout(JSON.parse(JSON.stringify(layout))));
  const [instance] = layout.instances;
  const broken: readonly unknown[] = [
    null,
    [],
    {},
    ...Object.keys(layout).map((key) => ({ ...layout, [key]: null })),
    ...Object.keys(instance ?? {}).map((key) => ({ ...layout, instances: [{ ...instance, [key]: null }] })),
    { ...layout, instances: [{ ...instance, computeInstances: [{ profile: "1g.5gb" }] }] },
    { ...layout, instances: [{ ...instance, placement: { start: 0 } }] },
  ];
  for (const one of broken) assert.equal(isRecordedLayout(one), false, JSON.stringify(one));
});

test("compute instances where none can stand are not gone back to, and nothing is said to be done", async () => {
  const layout = await recorded();
  const instances = layout.instances.map((one) => ({
    ...one,
    computeInstances: one.computeInstances.map((device) => ({ ...device, start: 6 })),
  }));
  const stage = await stageOf({ model: "a100-sxm4-40gb" });
  const plan = planBack({ gpu: await stage.gpu(), before: { ...layout, instances }, holders: new Map(), place });
  assert.deepEqual(
    [plan.complete, plan.steps, plan.findings.map(({ code }) => code)],
    [false, [], ["mig-geometry-unknown"]],
  );
});
