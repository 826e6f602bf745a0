/**
 * A simulated GPU in any state, from one line of text.
 *
 * `3g.20gb@4=ml/train-0` is an instance with one device that takes it whole, held by a pod; `3g.20gb@4()` has none;
 * `3g.20gb@4(1c.3g.20gb,1c.3g.20gb=ml/a)` has two narrower ones, and `-1c.3g.20gb` among them leaves its place free.
 * `GPU=ml/x` is a pod that holds the GPU as a whole.
 */
import assert from "node:assert/strict";
import type { WantedMig } from "../../../src/config/index.ts";
import { type Gpu, type GpuInstance, modelById, SimulatedDriver } from "../../../src/gpu/index.ts";

export interface Stage {
  readonly driver: SimulatedDriver;
  readonly holders: ReadonlyMap<string, readonly string[]>;
  /** The GPU as it is now. */
  gpu(): Promise<Gpu>;
}

/** Everything a GPU can start from. */
export interface StageSetup {
  readonly model: string;
  /** Default `on`; `on-pending` and `off-pending` have the other mode pending, on Ampere. */
  readonly mode?: "on" | "off" | "on-pending" | "off-pending";
  readonly instances?: string;
  readonly resettable?: boolean;
  /** How many GPUs of the model the node has; the first is set up. Default 1. */
  readonly gpus?: number;
}

export async function stageOf({
  model,
  mode = "on",
  instances = "",
  resettable = true,
  gpus = 1,
}: StageSetup): Promise<Stage> {
  const driver = new SimulatedDriver({ seed: "test", models: Array.from({ length: gpus }, () => modelOf(model)) });
  const gpu = async (): Promise<Gpu> => (await driver.list())[0] ?? assert.fail("no GPU");
  const { uuid } = await gpu();
  if (mode.startsWith("on")) {
    const { current } = await driver.setMigMode(uuid, true);
    if (!current) await driver.resetGpu(uuid);
  }
  const holders = new Map<string, readonly string[]>();
  for (const word of instances.split(" ").filter((one) => one !== "")) {
    if (word.startsWith("GPU=")) holders.set(uuid, word.slice(4).split("+"));
    else await addInstance({ driver, gpu, holders }, word);
  }
  if (mode.endsWith("-pending")) await driver.setMigMode(uuid, mode === "off-pending");
  return { driver: resettable ? driver : unresettable(driver), holders, gpu };
}

/** `7x1g.5gb 1x3g.20gb`, or `off`. */
export function wantedOf(text: string, gpu: Gpu): WantedMig {
  const counts = new Map<string, number>();
  if (text !== "off") {
    for (const word of text.split(" ").filter((one) => one !== "")) {
      const [, count = "1", name = ""] = /^(?:(\d+)x)?(.+)$/.exec(word) ?? [];
      counts.set(name, Number(count));
    }
  }
  const place = { file: "mig.yaml", line: 5, column: 3 };
  return { gpuUuid: gpu.uuid, gpuIndex: gpu.index, migEnabled: text !== "off", counts, place };
}

/** What stands, in the notation above but for holders; two GPUs with the same text are in the same state. */
export function stateText({ mig, instances }: Gpu): string {
  const mode = mig === undefined ? "none" : `${onOff(mig.current)}${mig.current === mig.pending ? "" : " (pending)"}`;
  return [`MIG ${mode}`, ...instances.map(instanceText)].join(" ");
}

function instanceText({ profile, placement, computeInstances }: GpuInstance): string {
  const name = `${profile.name}@${placement.start}`;
  const [only] = computeInstances;
  if (computeInstances.length === 1 && only?.profile === profile.name) return name;
  return `${name}(${computeInstances.map((one) => `${one.profile}/${one.placement.start}`).join()})`;
}

function onOff(enabled: boolean): string {
  return enabled ? "on" : "off";
}

function unresettable(driver: SimulatedDriver): SimulatedDriver {
  driver.failCall({ call: "resetGpu", times: Number.POSITIVE_INFINITY, nvmlCode: "not-supported" });
  return driver;
}

async function addInstance(
  { driver, gpu, holders }: Pick<Stage, "driver" | "gpu"> & { readonly holders: Map<string, readonly string[]> },
  word: string,
): Promise<void> {
  const { uuid, profiles } = await gpu();
  const [, name = "", start = "", inner, pods] = /^([^@]+)@(\d+)(?:\((.*)\))?(?:=(.+))?$/.exec(word) ?? [];
  const profile = profiles.find((one) => one.name === name) ?? assert.fail(`no profile ${name} for ${word}`);
  const placement = { start: Number(start), size: profile.memorySlices };
  const { id } = await driver.createGpuInstance(uuid, profile.smiProfileId, placement);
  const devices = inner === undefined ? [`${name}${pods === undefined ? "" : `=${pods}`}`] : inner.split(",");
  const fillers: number[] = [];
  for (const device of devices.filter((one) => one !== "")) {
    const [, gap = "", deviceName = "", holding] = /^(-?)([^=]+)(?:=(.+))?$/.exec(device) ?? [];
    const found = profile.computeInstanceProfiles.find((one) => one.name === deviceName);
    const made = await driver.createComputeInstance(uuid, id, found?.smiProfileId ?? assert.fail(`no ${deviceName}`));
    if (gap === "-") fillers.push(made.id);
    if (holding !== undefined) holders.set(made.uuid, holding.split("+"));
  }
  for (const filler of fillers) await driver.destroyComputeInstance(uuid, id, filler);
}

function modelOf(id: string): NonNullable<ReturnType<typeof modelById>> {
  return modelById(id) ?? assert.fail(`no model ${id}`);
}
