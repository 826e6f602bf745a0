/** Planning a change of layout: every state of an A100-40GB to every other mix of profiles. */
import {
  type Gpu,
  geometryWith,
  type MigProfile,
  modelById,
  profileCounts,
  SimulatedDriver,
  validLayouts,
} from "../src/gpu/index.ts";
import { type PlanRequest, planGpu } from "../src/partition/index.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const aimUs = 50;
/** NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with twice the memory. */
const doubleMemory = 9;

const plain = ({ attributes, nvmlProfileId }: MigProfile): boolean =>
  attributes.length === 0 && nvmlProfileId !== doubleMemory;
const withDoubleMemory = ({ attributes }: MigProfile): boolean => attributes.length === 0;

export const rows: readonly BenchRow[] = [
  row("plan one GPU, five plain profiles, nothing held", plain, 0),
  row("plan one GPU, five plain profiles, half held", plain, 0.5),
  row("plan one GPU, with the double-memory 1g, nothing held", withDoubleMemory, 0),
  row("plan one GPU, with the double-memory 1g, half held", withDoubleMemory, 0.5),
];

function row(name: string, keep: (profile: MigProfile) => boolean, heldShare: number): BenchRow {
  return { name, aim: `under ${aimUs} µs`, run: (mode) => measure(mode, keep, heldShare) };
}

async function measure(
  mode: "small" | "full",
  keep: (profile: MigProfile) => boolean,
  heldShare: number,
): Promise<BenchResult> {
  const requests = await requestsOf(keep, heldShare);
  const sample = requests.filter((_, index) => index % (mode === "small" ? 5 : 1) === 0);
  for (const request of sample.slice(0, 2_000)) planGpu(request);
  let operations = 0;
  let complete = 0;
  const timesUs: number[] = [];
  for (const request of sample) {
    const startMs = performance.now();
    const plan = planGpu(request);
    timesUs.push((performance.now() - startMs) * 1_000);
    operations += plan.destroyed.length + plan.created.length;
    if (plan.complete) complete += 1;
  }
  const meanUs = timesUs.reduce((sum, one) => sum + one, 0) / timesUs.length;
  const sorted = timesUs.toSorted((a, b) => a - b);
  const percentileUs = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return {
    figure: `${meanUs.toFixed(1)} µs`,
    met: meanUs < aimUs,
    note: `${sample.length} plans, 99 of 100 under ${percentileUs.toFixed(0)} µs, ${(operations / sample.length).toFixed(2)} operations each, ${Math.round((100 * complete) / sample.length)} of 100 complete at once`,
  };
}

/** From every layout to every other mix; of the instances, a fixed pseudo-random share is held. */
async function requestsOf(keep: (profile: MigProfile) => boolean, heldShare: number): Promise<readonly PlanRequest[]> {
  const model = modelById("a100-sxm4-40gb");
  if (model?.mig === undefined) return [];
  const geometry = geometryWith(model.mig, keep);
  const mixes = new Map<string, ReadonlyMap<string, number>>();
  const gpus: { readonly gpu: Gpu; readonly mix: string }[] = [];
  for (const layout of validLayouts(geometry)) {
    const driver = new SimulatedDriver({ seed: "bench", models: [model] });
    const [empty] = await driver.list();
    if (empty === undefined) continue;
    await driver.setMigMode(empty.uuid, true);
    await driver.resetGpu(empty.uuid);
    for (const { profile, start } of layout) {
      const place = { start, size: profile.memorySlices };
      const { id } = await driver.createGpuInstance(empty.uuid, profile.smiProfileId, place);
      await driver.createComputeInstance(empty.uuid, id, profile.computeInstanceProfiles.at(-1)?.smiProfileId ?? 0);
    }
    const [gpu] = await driver.list();
    const counts = profileCounts(layout);
    const mix = [...counts]
      .map(([name, count]) => `${count}x${name}`)
      .sort()
      .join();
    mixes.set(mix, counts);
    if (gpu !== undefined) gpus.push({ gpu: { ...gpu, profiles: geometry.profiles }, mix });
  }
  let dice = 1;
  const roll = (): number => {
    dice = (Math.imul(dice, 48_271) >>> 0) % 2_147_483_647;
    return dice / 2_147_483_647;
  };
  return gpus.flatMap(({ gpu, mix }) =>
    [...mixes]
      .filter(([other]) => other !== mix)
      .map(([, counts]) => {
        const held = gpu.instances.filter(() => roll() < heldShare).flatMap((one) => one.computeInstances);
        const holders = new Map(held.map(({ uuid }) => [uuid, ["ml/pod"]]));
        const place = { file: "bench.yaml", line: 1, column: 1 };
        return { gpu, wanted: { gpuUuid: gpu.uuid, gpuIndex: 0, migEnabled: true, counts, place }, holders };
      }),
  );
}
