/**
 * Simulated GPUs that outlive a command: their state is read from a file at the start and written after each change,
 * so that a command that is killed leaves what it did, as on hardware.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errorText, type Finding, finding, isErrno, type Outcome } from "../../base/index.ts";
import { type Gpu, type GpuDriver, type GpuModel, modelById, SimulatedDriver } from "../../gpu/index.ts";
import { executePlan, isRecordedLayout, planBack, type RecordedLayout, recordLayout } from "../../partition/index.ts";
import { parseGpus } from "../up/nodes.ts";
import { writeWhole } from "./atomic-file.ts";

const FILE = "simulated-gpus.json";
const VERSION = 1;
/** Tells the UUIDs of these GPUs from those of clusters. */
const SEED = "this-node";
const DEFAULT_GPUS = "A100-80GB";

interface SavedGpus {
  readonly version: typeof VERSION;
  /** Ids of catalogue models, in index order. */
  readonly models: readonly string[];
  readonly layouts: readonly RecordedLayout[];
  /** Indexes of GPUs whose other MIG mode waits for a reset. */
  readonly modePending: readonly number[];
}

/** Simulated GPUs, and what MPS there is on them. */
export interface SimulatedNode {
  readonly driver: GpuDriver;
  readonly mps: SimulatedDriver["mps"];
}

/**
 * The simulated GPUs of this machine. `wanted` names models as `--simulated-gpus` does; other GPUs than those of before
 * start uncut.
 */
export async function openSimulatedNode(stateDir: string, wanted: string | undefined): Promise<Outcome<SimulatedNode>> {
  const path = join(stateDir, FILE);
  const saved = await readSaved(path);
  if (!saved.ok) return saved;
  const models = await modelsOf(wanted, saved.value);
  if (!models.ok) return models;
  const driver = new SimulatedDriver({ seed: SEED, models: models.value });
  const same = saved.value?.models.join() === models.value.map(({ id }) => id).join();
  if (saved.value !== undefined && same) await restoreGpus(driver, saved.value, path);
  else if (wanted !== undefined) {
    try {
      await save(path, models.value, await driver.list());
    } catch (error) {
      return { ok: false, findings: [unusable(stateDir, errorText(error))] };
    }
  }
  const value = { driver: savedAfterChanges(driver, models.value, path), mps: driver.mps };
  return { ok: true, value, findings: [] };
}

async function modelsOf(
  wanted: string | undefined,
  saved: SavedGpus | undefined,
): Promise<Outcome<readonly GpuModel[]>> {
  if (wanted === undefined && saved !== undefined) {
    return { ok: true, value: saved.models.map(modelById).filter((one) => one !== undefined), findings: [] };
  }
  return parseGpus(wanted ?? DEFAULT_GPUS, { kind: "command", name: "--simulated-gpus" }, undefined);
}

async function restoreGpus(driver: SimulatedDriver, saved: SavedGpus, path: string): Promise<void> {
  for (const before of saved.layouts) {
    const gpu = (await driver.list())[before.gpuIndex];
    if (gpu === undefined) continue;
    const place = { file: path, line: 1, column: 1 };
    await executePlan(driver, planBack({ gpu, before, holders: new Map(), place }));
  }
  const gpus = await driver.list();
  for (const index of saved.modePending) {
    const gpu = gpus[index];
    if (gpu?.mig !== undefined) await driver.setMigMode(gpu.uuid, !gpu.mig.current);
  }
}

async function readSaved(path: string): Promise<Outcome<SavedGpus | undefined>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return { ok: true, value: undefined, findings: [] };
    return { ok: false, findings: [unreadable(path, errorText(error))] };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isSaved(value)) return { ok: true, value, findings: [] };
    return { ok: false, findings: [unreadable(path, "it was not written by this version")] };
  } catch (error) {
    return { ok: false, findings: [unreadable(path, errorText(error))] };
  }
}

function isSaved(value: unknown): value is SavedGpus {
  return (
    typeof value === "object" &&
    value !== null &&
    "version" in value &&
    value.version === VERSION &&
    "models" in value &&
    Array.isArray(value.models) &&
    value.models.every((one) => typeof one === "string" && modelById(one) !== undefined) &&
    "layouts" in value &&
    Array.isArray(value.layouts) &&
    value.layouts.every(isRecordedLayout) &&
    "modePending" in value &&
    Array.isArray(value.modePending)
  );
}

function unusable(stateDir: string, why: string): Finding {
  const message = `cannot keep simulated GPUs in ${stateDir}: ${why}`;
  const remedy = "choose a directory you may write with --state-dir";
  return finding("state-dir-unusable", { kind: "file", name: stateDir }, message, { remedy });
}

function unreadable(path: string, why: string): Finding {
  return finding("simulated-gpus-unreadable", { kind: "file", name: path }, `cannot read ${path}: ${why}`, {
    remedy: "remove the file to start with uncut GPUs, or name another --state-dir",
  });
}

/** The driver, but each call that changes something has been written down when it returns. */
function savedAfterChanges(driver: SimulatedDriver, models: readonly GpuModel[], path: string): GpuDriver {
  // One after the other, so that no older state is written over a newer one.
  let writing: Promise<void> = Promise.resolve();
  const saved = async <T>(call: Promise<T>): Promise<T> => {
    const result = await call;
    writing = writing.then(async () => save(path, models, await driver.list()));
    await writing;
    return result;
  };
  return {
    driverVersion: driver.driverVersion,
    simulated: true,
    list: () => driver.list(),
    gpu: (gpu) => driver.gpu(gpu),
    nodeFacts: () => driver.nodeFacts(),
    processes: (gpu) => driver.processes(gpu),
    link: (gpu, other) => driver.link(gpu, other),
    xidEvents: (signal) => driver.xidEvents(signal),
    setMigMode: (gpu, enabled) => saved(driver.setMigMode(gpu, enabled)),
    resetGpu: (gpu) => saved(driver.resetGpu(gpu)),
    createGpuInstance: (gpu, profile, placement) => saved(driver.createGpuInstance(gpu, profile, placement)),
    destroyGpuInstance: (gpu, id) => saved(driver.destroyGpuInstance(gpu, id)),
    createComputeInstance: (gpu, id, profile) => saved(driver.createComputeInstance(gpu, id, profile)),
    destroyComputeInstance: (gpu, id, compute) => saved(driver.destroyComputeInstance(gpu, id, compute)),
  };
}

async function save(path: string, models: readonly GpuModel[], gpus: readonly Gpu[]): Promise<void> {
  const state: SavedGpus = {
    version: VERSION,
    models: models.map(({ id }) => id),
    layouts: gpus.map(recordLayout),
    modePending: gpus.filter(({ mig }) => mig?.current !== mig?.pending).map(({ index }) => index),
  };
  await writeWhole(path, `${JSON.stringify(state)}\n`);
}
