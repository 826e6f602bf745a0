/**
 * The way back: brings a GPU from whatever a failed change left to exactly what stood before.
 *
 * It does not undo steps but compares what is with what was, so it can be begun anywhere and repeated. The same
 * placements give the same UUIDs again, so pods and kubelet see the devices they knew.
 */
import { type Finding, finding, type Logger } from "../base/index.ts";
import type { Gpu, GpuDriver, GpuInstance } from "../gpu/index.ts";
import { gpuBlockers } from "./blockers.ts";
import { computeMask, movesTo } from "./compute.ts";
import { driverFinding } from "./driver-finding.ts";
import { standingText, unlikeBefore } from "./observe.ts";
import { gpuSubject } from "./plan-draft.ts";
import type { Holders } from "./situation.ts";

export interface RestoreOptions {
  readonly log: Logger;
  readonly holders: (() => Promise<Holders>) | undefined;
}

/** A call on the way back that fails once may succeed when the others are done. */
const passes = 2;

/** Findings about what could not be brought back; none when the GPU is exactly as in `before`. */
export async function restore(
  driver: GpuDriver,
  before: Gpu,
  { log, holders }: RestoreOptions,
): Promise<readonly Finding[]> {
  let failures: readonly Finding[] = [];
  let now: Gpu | undefined;
  for (let pass = 1; pass <= passes; pass++) {
    const way = new WayBack(driver, before, holders);
    now = await way.go();
    failures = way.failures;
    if (now !== undefined && unlikeBefore(now, before) === undefined) return [];
    log.warn({ gpu: before.index, pass, failures }, "not back yet");
  }
  return [...failures, leftOver(before, now)];
}

/** One attempt: every call that can be made is made, and those that fail are noted. */
class WayBack {
  readonly failures: Finding[] = [];
  readonly #driver: GpuDriver;
  readonly #before: Gpu;
  readonly #holders: (() => Promise<Holders>) | undefined;

  constructor(driver: GpuDriver, before: Gpu, holders: (() => Promise<Holders>) | undefined) {
    this.#driver = driver;
    this.#before = before;
    this.#holders = holders;
  }

  /** What stands in the end, `undefined` when the driver does not tell. */
  async go(): Promise<Gpu | undefined> {
    await this.#mode();
    await this.#clear();
    await this.#instances();
    await this.#computeInstances();
    return this.#look();
  }

  /** A mode that was changed is changed back, with a reset where the hardware wants one; then a pending one is set. */
  async #mode(): Promise<void> {
    const was = this.#before.mig;
    const now = await this.#look();
    const is = now?.mig;
    if (was === undefined || now === undefined || is === undefined) return;
    const { uuid } = this.#before;
    if (is.current !== was.current) {
      // A mode takes everything on the GPU away, so that nobody may hold any of it.
      const held = await this.#held(now);
      if (held === undefined || held.size > 0) return;
      const set = await this.#try(`turn MIG ${was.current ? "on" : "off"} again`, () =>
        this.#driver.setMigMode(uuid, was.current),
      );
      if (set !== undefined && set.current !== was.current) {
        await this.#try("reset the GPU", () => this.#driver.resetGpu(uuid));
      }
    }
    if ((await this.#look())?.mig?.pending !== was.pending) {
      await this.#try("set the MIG mode that was pending", () => this.#driver.setMigMode(uuid, was.pending));
    }
  }

  /** Destroys what did not stand before, unless a pod has got hold of it. */
  async #clear(): Promise<void> {
    const gpu = await this.#look();
    if (gpu === undefined) return;
    const added = gpu.instances.filter((one) => counterpart(this.#before, one) === undefined);
    if (added.length === 0) return;
    const held = await this.#held(gpu);
    if (held === undefined) return;
    for (const instance of added) {
      if (held.has(gpu.uuid) || instance.computeInstances.some(({ uuid }) => held.has(uuid))) continue;
      for (const device of instance.computeInstances) {
        await this.#try(`destroy compute instance ${device.profile}@${instance.placement.start}`, () =>
          this.#driver.destroyComputeInstance(gpu.uuid, instance.id, device.id),
        );
      }
      await this.#try(`destroy GPU instance ${nameOf(instance)}`, () =>
        this.#driver.destroyGpuInstance(gpu.uuid, instance.id),
      );
    }
  }

  async #instances(): Promise<void> {
    const gpu = await this.#look();
    if (gpu === undefined) return;
    for (const instance of this.#before.instances) {
      if (counterpart(gpu, instance) !== undefined) continue;
      await this.#try(`create GPU instance ${nameOf(instance)}`, () =>
        this.#driver.createGpuInstance(gpu.uuid, instance.profile.smiProfileId, instance.placement),
      );
    }
  }

  /** Every GPU instance gets its compute instances at their old starts, by the moves that lead there. */
  async #computeInstances(): Promise<void> {
    const gpu = await this.#look();
    if (gpu === undefined) return;
    for (const was of this.#before.instances) {
      const is = counterpart(gpu, was);
      if (is !== undefined) await this.#refill(gpu, is, was);
    }
  }

  async #refill(gpu: Gpu, is: GpuInstance, was: GpuInstance): Promise<void> {
    const { profile } = was;
    const [from, to] = [computeMask(profile, is.computeInstances), computeMask(profile, was.computeInstances)];
    if (from === undefined || to === undefined || from === to) return;
    const held = await this.#held(gpu);
    if (held === undefined) return;
    const ids = new Map(is.computeInstances.map((one) => [`${one.profile}/${one.placement.start}`, one]));
    for (const move of movesTo(profile, from, to) ?? []) {
      const { smiProfileId = -1, name = "" } =
        profile.computeInstanceProfiles[move.kind === "create" ? move.computeProfile : move.slot.kind] ?? {};
      if (move.kind === "create") {
        const made = await this.#try(`create compute instance ${name}@${is.placement.start}`, () =>
          this.#driver.createComputeInstance(gpu.uuid, is.id, smiProfileId),
        );
        if (made === undefined) return;
        ids.set(`${made.profile}/${made.placement.start}`, made);
        continue;
      }
      const device = ids.get(`${name}/${move.slot.start}`);
      if (device === undefined || held.has(device.uuid)) return;
      const gone = await this.#try(
        `destroy compute instance ${name}@${is.placement.start}/${move.slot.start}`,
        async () => {
          await this.#driver.destroyComputeInstance(gpu.uuid, is.id, device.id);
          return true;
        },
      );
      if (gone === undefined) return;
    }
  }

  /** UUIDs that pods hold; `undefined` when that cannot be told, and then nothing may be destroyed. */
  async #held(gpu: Gpu): Promise<ReadonlySet<string> | undefined> {
    if (this.#holders === undefined) return new Set();
    const holders = await this.#try("read who holds what", this.#holders);
    return holders && new Set(gpuBlockers(gpu, holders).map(({ deviceUuid }) => deviceUuid));
  }

  async #look(): Promise<Gpu | undefined> {
    return this.#try("read the GPU", () => this.#driver.gpu(this.#before.uuid));
  }

  async #try<T>(what: string, call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      const { index, uuid } = this.#before;
      const failure = driverFinding({ gpuIndex: index, gpuUuid: uuid }, `go back: ${what}`, error);
      if (!this.failures.some(({ message }) => message === failure.message)) this.failures.push(failure);
      return undefined;
    }
  }
}

function counterpart(gpu: Gpu, { profile, placement }: GpuInstance): GpuInstance | undefined {
  return gpu.instances.find(
    (one) => one.profile.smiProfileId === profile.smiProfileId && one.placement.start === placement.start,
  );
}

function nameOf({ profile, placement }: GpuInstance): string {
  return `${profile.name}@${placement.start}`;
}

function leftOver(before: Gpu, now: Gpu | undefined): Finding {
  const gpu = `GPU ${before.index}`;
  const remedy = `the change is tried again; if that does not help, drain the node and reset ${gpu} (nvidia-smi --gpu-reset -i ${before.index}) or reboot`;
  if (now === undefined) {
    const message = `${gpu} could not be brought back, and what stands on it cannot be read; before: ${standingText(before)}`;
    return finding("layout-left-over", gpuSubject(before), message, { remedy });
  }
  const message = `${gpu} could not be brought back: ${unlikeBefore(now, before)}; what stands: ${standingText(now)}`;
  return finding("layout-left-over", gpuSubject(before), message, {
    evidence: { stands: standingText(now), before: standingText(before) },
    remedy,
  });
}
