/** Plans are the best there are: against published averages and against a search through every layout. */
import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import {
  type Gpu,
  geometryWith,
  type Layout,
  layoutSpace,
  type MigProfile,
  modelById,
  profileCounts,
  SimulatedDriver,
  validLayouts,
} from "../../src/gpu/index.ts";
import { bestChoice } from "../../src/partition/choice.ts";
import { mixedChoice } from "../../src/partition/choice-mixed.ts";
import { planGpu } from "../../src/partition/index.ts";
import { type DeviceCounts, geometryOf, heldDevices, situationOf, standingOf } from "../../src/partition/situation.ts";
import { slowAnswer } from "./support/slow-twin.ts";

/** NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with twice the memory. */
const doubleMemory = 9;
const a100 = modelById("a100-sxm4-40gb") ?? assert.fail("no A100");

interface Case {
  readonly gpu: Gpu;
  readonly wanted: ReadonlyMap<string, number>;
}

const sets = [
  {
    name: "the five plain profiles",
    keep: ({ attributes, nvmlProfileId }: MigProfile) => attributes.length === 0 && nvmlProfileId !== doubleMemory,
    pairs: 10_692,
    averages: ["3.91", "6.54"],
    sampleEvery: 5,
  },
  {
    name: "the plain profiles and the double-memory 1g",
    keep: ({ attributes }: MigProfile) => attributes.length === 0,
    pairs: 54_872,
    averages: ["4.34", "7.05"],
    sampleEvery: 59,
  },
];

for (const { name, keep, pairs, averages, sampleEvery } of sets) {
  suite(`A100-40GB with ${name}`, () => {
    let layouts: readonly Layout[] = [];
    let cases: readonly Case[] = [];
    before(async () => {
      const geometry = geometryWith(a100.mig ?? assert.fail("no MIG"), keep);
      layouts = validLayouts(geometry);
      cases = await casesOf(layouts, geometry.profiles);
      layouts = [[], ...layouts];
    });

    test(`destroy and create operations average ${averages[0]}, clearing and creating anew ${averages[1]}`, () => {
      let operations = 0;
      let cleared = 0;
      for (const { gpu, wanted } of cases) {
        const plan = planOf(gpu, wanted, new Map());
        assert.ok(plan.complete);
        operations += plan.destroyed.length + plan.created.length;
        cleared += gpu.instances.length + [...wanted.values()].reduce((sum, count) => sum + count, 0);
      }
      assert.equal(cases.length, pairs);
      assert.deepEqual(
        [operations, cleared].map((sum) => (sum / cases.length).toFixed(2)),
        averages,
      );
    });

    test("no layout that a search through all of them finds takes fewer operations", () => {
      for (const { gpu, wanted } of cases.filter((_, index) => index % sampleEvery === 0)) {
        const plan = planOf(gpu, wanted, new Map());
        const { operations } = slowAnswer(layouts, gpu, { wanted, held: new Set() });
        assert.equal(plan.destroyed.length + plan.created.length, operations);
      }
    });

    test("with a random half busy, none is touched, and what can be had beside them is had by the fewest calls", () => {
      const random = randomFrom(20_240_817);
      let complete = 0;
      const sample = cases.filter((_, index) => index % sampleEvery === 0);
      for (const { gpu, wanted } of sample) {
        const busy = gpu.instances.filter(() => random() < 0.5);
        const names = busy.map(({ profile, placement }) => `${profile.name}@${placement.start}`);
        const holders = new Map(busy.map(({ computeInstances }) => [computeInstances[0]?.uuid ?? "", ["ml/a"]]));
        const plan = planOf(gpu, wanted, holders);
        const slow = slowAnswer(layouts, gpu, { wanted, held: new Set(names) });
        const kept = plan.kept.map(({ profile, placement }) => `${profile.name}@${placement.start}`);
        const missing = [...plan.missing.values()].reduce((sum, count) => sum + count, 0);
        const total = [...wanted.values()].reduce((sum, count) => sum + count, 0);
        assert.ok(names.every((held) => kept.includes(held)));
        assert.equal(plan.complete, slow.operations !== undefined);
        assert.equal(total - missing, slow.mostStanding);
        assert.equal(plan.destroyed.length + plan.created.length, slow.operations ?? slow.operationsToMost);
        assert.equal(plan.blockers.length, plan.complete ? 0 : slow.fewestInTheWay);
        if (plan.complete) complete += 1;
      }
      assert.ok(complete > 0 && complete < sample.length);
    });

    test("the search that also knows narrower compute instances finds layouts as good", () => {
      const random = randomFrom(7);
      for (const { gpu, wanted } of cases.filter((_, index) => index % (sampleEvery * 40) === 0)) {
        const geometry = geometryOf(gpu) ?? assert.fail("no geometry");
        const standing = standingOf(layoutSpace(geometry), gpu) ?? assert.fail("no slots");
        const counts: DeviceCounts = geometry.profiles.map(({ name: profile, computeInstanceProfiles }) =>
          computeInstanceProfiles.map((one) => (one.name === profile ? (wanted.get(profile) ?? 0) : 0)),
        );
        const busy = gpu.instances.filter(() => random() < 0.5).flatMap(({ computeInstances }) => computeInstances);
        const held = heldDevices(gpu, standing, new Map(busy.map(({ uuid }) => [uuid, ["ml/a"]])));
        const situation = situationOf(geometry, standing, counts);
        const { target, stood, devices } = bestChoice(situation, held);
        const other = mixedChoice(situation, held);
        assert.deepEqual(
          { target: other.target, stood: other.stood, devices: other.devices },
          { target, stood, devices },
        );
      }
    });
  });
}

function planOf(gpu: Gpu, wanted: ReadonlyMap<string, number>, holders: ReadonlyMap<string, readonly string[]>) {
  const place = { file: "mig.yaml", line: 1, column: 1 };
  return planGpu({ gpu, wanted: { gpuUuid: gpu.uuid, gpuIndex: 0, migEnabled: true, counts: wanted, place }, holders });
}

/** From every layout to every other mix of profiles. */
async function casesOf(layouts: readonly Layout[], profiles: readonly MigProfile[]): Promise<readonly Case[]> {
  const mixes = new Map<string, ReadonlyMap<string, number>>();
  const gpus: { readonly gpu: Gpu; readonly key: string }[] = [];
  for (const layout of layouts) {
    const counts = profileCounts(layout);
    const key = [...counts]
      .map(([name, count]) => `${count}x${name}`)
      .sort()
      .join();
    mixes.set(key, counts);
    gpus.push({ gpu: { ...(await gpuWith(layout)), profiles }, key });
  }
  return gpus.flatMap(({ gpu, key }) => {
    return [...mixes].filter(([other]) => other !== key).map(([, wanted]) => ({ gpu, wanted }));
  });
}

async function gpuWith(layout: Layout): Promise<Gpu> {
  const driver = new SimulatedDriver({ seed: "optimal", models: [a100] });
  const { uuid } = (await driver.list())[0] ?? assert.fail("no GPU");
  await driver.setMigMode(uuid, true);
  await driver.resetGpu(uuid);
  for (const { profile, start } of layout) {
    const made = await driver.createGpuInstance(uuid, profile.smiProfileId, { start, size: profile.memorySlices });
    await driver.createComputeInstance(uuid, made.id, profile.computeInstanceProfiles.at(-1)?.smiProfileId ?? -1);
  }
  return (await driver.list())[0] ?? assert.fail("no GPU");
}

/** Mulberry32: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
