/**
 * A simulated machine on disk: which GPUs it has and how they were cut last.
 *
 * Real instances are gone after a boot, and NVIDIA's MIG manager cuts them anew (mig-parted, deployments/systemd). A
 * planner that starts from nothing may choose other placements than those that grew over time, and pods would lose their
 * slices; so the machine puts back what stood, before its kubelet comes up. GPUs that were lost come back whole.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errorText, type Finding, finding, type Logger, type Outcome } from "../../base/index.ts";
import { type Gpu, type GpuModel, modelById, type SimulatedDriver } from "../../gpu/index.ts";
import { executePlan, isRecordedLayout, planBack, type RecordedLayout, recordLayout } from "../../partition/index.ts";
import { writeWhole } from "../node/atomic-file.ts";
import { isRecord } from "./control-protocol.ts";

const FILE = "machine.json";
const VERSION = 1;

/** What a machine was when it was switched off. */
export interface KeptMachine {
  /** Number of the machine in its cluster, from 0. */
  readonly ordinal: number;
  /** The name of its node. */
  readonly name: string;
  /** The models of its GPUs, in index order. */
  readonly gpus: readonly GpuModel[];
  /** What the next boot puts back. */
  readonly layouts: readonly RecordedLayout[];
}

/** Reads the machine whose kubelet has its directory at `root`. */
export async function readMachine(root: string, ordinal: number): Promise<Outcome<KeptMachine>> {
  const path = join(root, FILE);
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    const machine = isRecord(value) ? machineOf(value, ordinal) : undefined;
    if (machine !== undefined) return { ok: true, value: machine, findings: [] };
    return { ok: false, findings: [unreadable(path, "it was not written by this version")] };
  } catch (error) {
    return { ok: false, findings: [unreadable(path, errorText(error))] };
  }
}

function machineOf(value: Readonly<Record<string, unknown>>, ordinal: number): KeptMachine | undefined {
  const { version, name, models, layouts } = value;
  if (version !== VERSION || typeof name !== "string" || !Array.isArray(models) || !Array.isArray(layouts))
    return undefined;
  const gpus = models.map((id) => modelById(String(id))).filter((one) => one !== undefined);
  if (gpus.length !== models.length || !layouts.every(isRecordedLayout)) return undefined;
  return { ordinal, name, gpus, layouts };
}

function unreadable(path: string, why: string): Finding {
  const remedy = "remove the directory it is in to be rid of that node, or use another --state-dir";
  return finding("machine-unreadable", { kind: "file", name: path }, `cannot read ${path}: ${why}`, { remedy });
}

export interface MachineFileOptions {
  /** The kubelet's directory. */
  readonly root: string;
  readonly name: string;
  readonly gpus: readonly GpuModel[];
  readonly driver: SimulatedDriver;
  readonly log: Logger;
}

/** Writes a machine down, and again whenever its GPUs are cut anew. */
export class MachineFile {
  readonly #options: MachineFileOptions;
  readonly #path: string;
  /** By GPU; one that is lost keeps what was known of it. */
  readonly #layouts = new Map<string, RecordedLayout>();
  #stopListening: (() => void) | undefined;
  #due = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: MachineFileOptions) {
    this.#options = options;
    this.#path = join(options.root, FILE);
  }

  /** Puts back what stood on GPUs that are still the same, then writes the machine down; throws when it cannot. */
  async boot(before: KeptMachine | undefined): Promise<void> {
    const { driver, gpus } = this.#options;
    for (const layout of before?.layouts ?? []) {
      const gpu = (await driver.list()).find((one) => one.uuid === layout.gpuUuid);
      if (gpu === undefined || gpus[gpu.index]?.id !== before?.gpus[gpu.index]?.id) continue;
      const place = { file: this.#path, line: 1, column: 1 };
      await executePlan(driver, planBack({ gpu, before: layout, holders: new Map(), place }));
    }
    await this.#write();
    this.#stopListening = driver.onChange(({ kind }) => {
      if (kind !== "processes") this.#save();
    });
  }

  /** Resolves when everything known now is on disk. */
  async close(): Promise<void> {
    this.#stopListening?.();
    await this.#writing;
  }

  /** Changes that come while a write is under way share the next one. */
  #save(): void {
    if (this.#due) return;
    this.#due = true;
    this.#writing = this.#writing.then(async () => {
      this.#due = false;
      try {
        await this.#write();
      } catch (error) {
        this.#options.log.error({ file: this.#path, error: errorText(error) }, "machine not written down");
      }
    });
  }

  async #write(): Promise<void> {
    const { name, gpus, driver } = this.#options;
    for (const gpu of await driver.list()) this.#layouts.set(gpu.uuid, layoutAfterBoot(gpu));
    const models = gpus.map(({ id }) => id);
    const value = { version: VERSION, name, models, layouts: [...this.#layouts.values()] };
    await writeWhole(this.#path, `${JSON.stringify(value)}\n`);
  }
}

/** A mode that waits for a reset holds after a boot, and then nothing is cut. */
function layoutAfterBoot(gpu: Gpu): RecordedLayout {
  const now = recordLayout(gpu);
  const migEnabled = gpu.mig?.pending ?? false;
  return migEnabled === now.migEnabled ? now : { ...now, migEnabled, instances: [] };
}
