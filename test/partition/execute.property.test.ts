/**
 * Whatever stands, whoever holds it, whatever is wanted and whichever call fails: nothing held is ever destroyed, and
 * afterwards the GPU is as planned, as before, or the findings say exactly how it is.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  fits,
  type Gpu,
  type MigGeometry,
  type MigProfile,
  modelById,
  type PlacedProfile,
} from "../../src/gpu/index.ts";
import { executePlan, type PartitionPlan, planBack, planGpu, recordLayout } from "../../src/partition/index.ts";
import { FailingDriver, type Failures } from "./support/failing-driver.ts";
import { type Stage, type StageSetup, stageOf, stateText, wantedOf } from "./support/stage.ts";

const models = ["a100-sxm4-40gb", "a30-24gb", "h100-sxm5-80gb", "rtx-pro-6000-blackwell-server"];
const never: Failures = { first: Number.POSITIVE_INFINITY, count: 0, afterEffect: false };

interface Case {
  readonly setup: StageSetup;
  readonly wanted: string;
}

const cases: fc.Arbitrary<Case> = fc.constantFrom(...models).chain((model) => {
  const geometry = geometryOf(model);
  return fc.record({
    setup: fc.oneof(
      { weight: 6, arbitrary: scene(geometry).map((instances) => ({ model, instances }) satisfies StageSetup) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom("off" as const, "off-pending" as const)
          .chain((mode) => fc.constantFrom("", "GPU=ml/whole").map((instances) => ({ model, mode, instances }))),
      },
    ),
    wanted: fc.oneof(
      {
        weight: 6,
        arbitrary: layout(geometry)
          .chain((placed) => fc.tuple(...placed.map(devicesIn)))
          .map(wantedText),
      },
      { weight: 1, arbitrary: fc.constant("off") },
    ),
  });
});

const options = { numRuns: 400 };
const journal = { file: "journal", line: 1, column: 1 };

test("without failures the GPU ends as planned, and planning again leaves at most what is waited for", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ setup, wanted }) => {
      const { stage, plan } = await planned({ setup, wanted });
      const driver = new FailingDriver(stage.driver, never, await holdersStay(stage));
      assert.deepEqual(await executePlan(driver, plan), { result: "done" });
      const after = await stage.gpu();
      assertAsPlanned(after, plan);
      assert.ok(driver.changes <= plan.steps.length);

      const calls = driver.changes;
      assert.deepEqual(await executePlan(driver, plan), { result: "done" });
      assert.equal(driver.changes, calls, "a plan applied twice changes nothing");
      const again = planGpu({ gpu: after, wanted: wantedOf(wanted, after), holders: stage.holders });
      assert.deepEqual(again.steps, []);
      assert.equal(again.complete, plan.complete);
      assert.deepEqual([...again.missing], [...plan.missing]);
    }),
    options,
  );
});

test("a layout that was written down comes back exactly, and going back twice changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ setup, wanted }) => {
      const { stage, plan } = await planned({ setup, wanted });
      const before = await stage.gpu();
      if (before.mig?.current !== before.mig?.pending) return;
      const recorded = recordLayout(before);
      await executePlan(stage.driver, plan);
      const { holders } = stage;
      const back = planBack({ gpu: await stage.gpu(), before: recorded, holders, place: journal });
      if (back.blockers.length > 0) {
        // Who holds the GPU as a whole holds what was cut since, too.
        assert.deepEqual([back.steps, holders.has(before.uuid)], [[], true]);
        return;
      }
      assert.deepEqual([back.complete, back.findings], [true, []]);
      const driver = new FailingDriver(stage.driver, never, await holdersStay(stage));
      assert.deepEqual(await executePlan(driver, back), { result: "done" });
      const after = await stage.gpu();
      assert.equal(stateText(after), stateText(before));
      assert.deepEqual(planBack({ gpu: after, before: recorded, holders, place: journal }).steps, []);
    }),
    options,
  );
});

test("a call that fails once, before or after its effect, at any step: the GPU has its old layout again", async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.boolean(), async (one, afterEffect) => {
      const { plan: first } = await planned(one);
      for (let step = 0; step < first.steps.length; step++) {
        const { stage, plan } = await planned(one);
        const before = stateText(await stage.gpu());
        const driver = new FailingDriver(
          stage.driver,
          { first: step, count: 1, afterEffect },
          await holdersStay(stage),
        );
        const { result } = await executePlan(driver, plan);
        assert.equal(result, "rolled-back", `step ${step}`);
        assert.equal(stateText(await stage.gpu()), before, `step ${step}`);
      }
    }),
    { numRuns: 200 },
  );
});

test("calls that fail on the way back too: the findings say exactly what stands, and a later plan repairs it", async () => {
  let leftOver = 0;
  await fc.assert(
    fc.asyncProperty(cases, fc.integer({ min: 2, max: 40 }), async (one, count) => {
      const { plan: first } = await planned(one);
      for (let step = 0; step < first.steps.length; step++) {
        const { stage, plan } = await planned(one);
        const before = stateText(await stage.gpu());
        const failures = { first: step, count, afterEffect: false };
        const driver = new FailingDriver(stage.driver, failures, await holdersStay(stage));
        const execution = await executePlan(driver, plan);
        const now = await stage.gpu();
        if (execution.result === "rolled-back") assert.equal(stateText(now), before);
        else {
          assert.equal(execution.result, "left-over");
          leftOver += 1;
          const left = execution.findings.find(({ code }) => code === "layout-left-over");
          assert.ok(left);
          assert.equal(left.evidence["stands"], standingNames(now), left.message);
          assert.notEqual(stateText(now), before);
        }
        const repair = planGpu({ gpu: now, wanted: wantedOf(one.wanted, now), holders: stage.holders });
        assert.deepEqual(await executePlan(stage.driver, repair), { result: "done" });
        assert.equal(repair.complete, plan.complete);
      }
    }),
    { numRuns: 120 },
  );
  assert.ok(leftOver > 0, "some executions end half way");
});

async function planned({ setup, wanted }: Case): Promise<{ readonly stage: Stage; readonly plan: PartitionPlan }> {
  const stage = await stageOf(setup);
  const gpu = await stage.gpu();
  return { stage, plan: planGpu({ gpu, wanted: wantedOf(wanted, gpu), holders: stage.holders }) };
}

/** Fails when a held device is gone, or the mode of a held GPU changes. */
async function holdersStay(stage: Stage): Promise<(gpu: Gpu) => void> {
  const before = await stage.gpu();
  const devices = before.instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid));
  const held = devices.filter((uuid) => stage.holders.has(uuid) || stage.holders.has(before.uuid));
  return (gpu) => {
    const standing = new Set(gpu.instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid)));
    for (const uuid of held) assert.ok(standing.has(uuid), `${uuid} is held and gone`);
    if (stage.holders.has(gpu.uuid))
      assert.equal(gpu.mig?.current, before.mig?.current, "the mode of a held GPU changed");
  };
}

function assertAsPlanned(gpu: Gpu, plan: PartitionPlan): void {
  assert.equal(gpu.mig?.current, plan.migEnabled);
  const wanted = [...plan.kept, ...plan.created].map(
    ({ profile, placement, computeInstances }) => `${profile.name}@${placement.start} ${[...computeInstances].sort()}`,
  );
  const standing = gpu.instances.map(
    ({ profile, placement, computeInstances }) =>
      `${profile.name}@${placement.start} ${computeInstances.map((one) => one.profile).sort()}`,
  );
  assert.deepEqual(standing.sort(), wanted.sort());
}

function standingNames({ instances }: Gpu): string {
  if (instances.length === 0) return "nothing";
  return instances
    .map(({ profile, placement, computeInstances }) => {
      const names = computeInstances.map((one) => one.profile);
      const name = `${profile.name}@${placement.start}`;
      if (names.length === 1 && names[0] === profile.name) return name;
      return `${name} (${names.length === 0 ? "no compute instance" : names.join(", ")})`;
    })
    .join(", ");
}

/** A valid layout: placements in random order, as many as fit. */
function layout(geometry: MigGeometry): fc.Arbitrary<readonly PlacedProfile[]> {
  const slots = geometry.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile, start })));
  return fc.tuple(fc.shuffledSubarray(slots, { minLength: slots.length }), fc.nat(7)).map(([order, most]) => {
    const placed: PlacedProfile[] = [];
    for (const slot of order) if (placed.length < most && fits(geometry, placed, slot)) placed.push(slot);
    return placed;
  });
}

/** A layout in the notation of `stageOf`, with devices of any width, some of them held, some GPU instances empty. */
function scene(geometry: MigGeometry): fc.Arbitrary<string> {
  return layout(geometry).chain((placed) =>
    fc
      .tuple(
        ...placed.map((one) =>
          fc.tuple(fc.constant(one), devicesIn(one), fc.array(fc.nat(5), { minLength: 7, maxLength: 7 })),
        ),
      )
      .map((instances) =>
        instances
          .map(([{ profile, start }, devices, dice]) => {
            const inner = devices.map((name, index) => {
              const roll = dice[index] ?? 0;
              if (roll === 0) return `-${name}`;
              return roll < 3 ? `${name}=ml/pod-${start}-${index}` : name;
            });
            return `${profile.name}@${start}(${inner.join(",")})`;
          })
          .join(" "),
      ),
  );
}

/** Devices that fit into a GPU instance in the order given: usually the one that takes it whole. */
function devicesIn({ profile }: PlacedProfile): fc.Arbitrary<readonly string[]> {
  const widths = profile.computeInstanceProfiles.filter(({ name }) => name !== profile.name);
  if (widths.length === 0) return fc.constant([profile.name]);
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant([profile.name]) },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.constantFrom(...widths), { minLength: 1, maxLength: 7 })
        .map((wish) => filled(profile, wish)),
    },
  );
}

/** As many of `wish` as the driver would create, each at its first free start. */
function filled(profile: MigProfile, wish: MigProfile["computeInstanceProfiles"]): readonly string[] {
  const taken = new Set<number>();
  const names: string[] = [];
  for (const { name, starts, size, maxInstances } of wish) {
    const cells = (start: number): number[] => Array.from({ length: size }, (_, index) => start + index);
    const start = starts.find((one) => cells(one).every((cell) => !taken.has(cell)));
    if (start === undefined || taken.size + size > profile.computeSlices) continue;
    if (names.filter((one) => one === name).length >= maxInstances) continue;
    for (const cell of cells(start)) taken.add(cell);
    names.push(name);
  }
  return names;
}

function wantedText(instances: readonly (readonly string[])[]): string {
  const counts = new Map<string, number>();
  for (const name of instances.flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count}x${name}`).join(" ");
}

function geometryOf(id: string): MigGeometry {
  return modelById(id)?.mig ?? assert.fail(`no geometry for ${id}`);
}
