/** Plans with narrower compute instances, against a search through all sequences of driver calls on an A30. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Gpu, modelById } from "../../src/gpu/index.ts";
import { planGpu } from "../../src/partition/index.ts";
import { stageOf, wantedOf } from "./support/stage.ts";

const profiles = (modelById("a30-24gb")?.mig?.profiles ?? []).filter(({ attributes }) => attributes.length === 0);

/** GPU instances by `profile@start`, each with its devices as `device/start`, sorted. */
type State = ReadonlyMap<string, readonly string[]>;

const scenes = fc.array(fc.constantFrom("", "1g", "2g", "4g"), { minLength: 4, maxLength: 4 }).chain((cells) => {
  const places: string[] = [];
  for (let start = 0; start < 4; ) {
    const width = Number(cells[start]?.[0] ?? "0");
    const profile = profiles.find(({ memorySlices, starts }) => memorySlices === width && starts.includes(start));
    if (profile !== undefined && start + width <= 4) places.push(`${profile.name}@${start}`);
    start += profile === undefined ? 1 : width;
  }
  return fc.tuple(...places.map((place) => contentOf(place))).map((instances) => instances.join(" "));
});

const wishes = fc
  .array(fc.constantFrom(...profiles.flatMap((one) => one.computeInstanceProfiles.map(({ name }) => name))), {
    maxLength: 4,
  })
  .map((names) => [...new Set(names)].map((name) => `${names.filter((one) => one === name).length}x${name}`).join(" "));

test("no sequence of driver calls does better: most wanted devices, then fewest GPU instances, then fewest calls", async () => {
  let waiting = 0;
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(scenes, wishes, async (instances, wish) => {
      const stage = await stageOf({ model: "a30-24gb", instances });
      const gpu = { ...(await stage.gpu()), profiles };
      const wanted = wantedOf(wish, gpu);
      const plan = planGpu({ gpu, wanted, holders: stage.holders });
      if (plan.findings.some(({ severity }) => severity === "error")) return;
      const standing = counted(stateOf(gpu));
      if (sameCounts(standing, wanted.counts)) {
        assert.equal(plan.steps.filter(({ kind }) => kind !== "destroy-gpu-instance").length, 0);
        return;
      }
      const best = slowBest(gpu, wanted.counts, stage.holders);
      const missing = [...plan.missing.values()].reduce((sum, count) => sum + count, 0);
      const total = [...wanted.counts.values()].reduce((sum, count) => sum + count, 0);
      const got = [total - missing, plan.kept.length + plan.created.length, plan.steps.length];
      assert.deepEqual(got, best);
      if (!plan.complete) waiting += 1;
      if (plan.steps.some((step) => "name" in step && step.name.includes("c."))) cut += 1;
    }),
    { numRuns: 250 },
  );
  assert.ok(waiting > 0 && cut > 0, `${waiting} wait, ${cut} with narrow devices`);
});

/** Wanted devices that stand, GPU instances and calls of the best state that calls can lead to. */
function slowBest(gpu: Gpu, wanted: ReadonlyMap<string, number>, holders: ReadonlyMap<string, unknown>): number[] {
  const held = new Set(
    gpu.instances.flatMap(({ profile, placement, computeInstances }) =>
      computeInstances
        .filter(({ uuid }) => holders.has(uuid))
        .map((one) => `${profile.name}@${placement.start} ${one.profile}/${one.placement.start}`),
    ),
  );
  const heldCounts = new Map<string, number>();
  for (const name of held) add(heldCounts, name.slice(name.indexOf(" ") + 1, name.indexOf("/")));
  let best = [-1, 0, 0];
  let level = [stateOf(gpu)];
  const seen = new Set(level.map(keyOf));
  for (let calls = 0; level.length > 0; calls++) {
    for (const state of level) {
      const counts = counted(state);
      const surplus = [...counts].some(([name, n]) => n > Math.max(wanted.get(name) ?? 0, heldCounts.get(name) ?? 0));
      if (surplus || [...state.values()].some((devices) => devices.length === 0)) continue;
      const stood = [...counts].reduce((sum, [name, count]) => sum + Math.min(count, wanted.get(name) ?? 0), 0);
      if (compare([stood, -state.size, -calls], [best[0] ?? 0, -(best[1] ?? 0), -(best[2] ?? 0)]) > 0) {
        best = [stood, state.size, calls];
      }
    }
    const next: State[] = [];
    for (const one of level.flatMap((state) => neighbours(state, held))) {
      const key = keyOf(one);
      if (seen.has(key)) continue;
      seen.add(key);
      next.push(one);
    }
    level = next;
  }
  return best;
}

/** Every state one driver call away. */
function neighbours(state: State, held: ReadonlySet<string>): State[] {
  const found: State[] = [];
  for (const profile of profiles) {
    for (const start of profile.starts) {
      if (fitsIn(state, start, profile.memorySlices)) found.push(new Map([...state, [`${profile.name}@${start}`, []]]));
    }
  }
  for (const [instance, devices] of state) {
    const profile = profiles.find(({ name }) => instance.startsWith(`${name}@`)) ?? assert.fail(instance);
    if (devices.length === 0) found.push(new Map([...state].filter(([one]) => one !== instance)));
    for (const device of devices) {
      if (held.has(`${instance} ${device}`)) continue;
      found.push(new Map([...state, [instance, devices.filter((one) => one !== device)]]));
    }
    const taken = devices.flatMap((device) => {
      const [name = "", start = ""] = device.split("/");
      const size = profile.computeInstanceProfiles.find((one) => one.name === name)?.size ?? 0;
      return Array.from({ length: size }, (_, index) => Number(start) + index);
    });
    for (const { name, starts, size } of profile.computeInstanceProfiles) {
      const start = starts.find((one) => taken.every((cell) => cell < one || cell >= one + size));
      if (start !== undefined) found.push(new Map([...state, [instance, [...devices, `${name}/${start}`].sort()]]));
    }
  }
  return found;
}

function fitsIn(state: State, start: number, size: number): boolean {
  return [...state.keys()].every((instance) => {
    const [name, at = ""] = instance.split("@");
    const other = profiles.find((one) => one.name === name)?.memorySlices ?? 0;
    return start + size <= Number(at) || Number(at) + other <= start;
  });
}

function stateOf({ instances }: Gpu): State {
  return new Map(
    instances.map(({ profile, placement, computeInstances }) => [
      `${profile.name}@${placement.start}`,
      computeInstances.map((one) => `${one.profile}/${one.placement.start}`).sort(),
    ]),
  );
}

function counted(state: State): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const device of [...state.values()].flat()) add(counts, device.slice(0, device.indexOf("/")));
  return counts;
}

function sameCounts(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([name, count]) => b.get(name) === count);
}

function keyOf(state: State): string {
  return [...state]
    .map(([instance, devices]) => `${instance}(${devices.join()})`)
    .sort()
    .join(" ");
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, one] of a.entries()) {
    const difference = one - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Devices of a random width in a GPU instance, some held, some only leaving a gap. */
function contentOf(place: string): fc.Arbitrary<string> {
  const profile = profiles.find(({ name }) => place.startsWith(`${name}@`)) ?? assert.fail(place);
  return fc
    .tuple(fc.constantFrom(...profile.computeInstanceProfiles), fc.array(fc.nat(4), { minLength: 4, maxLength: 4 }))
    .map(([{ name, maxInstances }, dice]) => {
      const devices = Array.from({ length: maxInstances }, (_, index) => {
        const roll = dice[index] ?? 0;
        if (roll === 0) return `-${name}`;
        return roll === 1 ? `${name}=ml/pod-${index}` : name;
      });
      return `${place}(${devices.join()})`;
    });
}
