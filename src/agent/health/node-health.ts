/**
 * The health of one node's GPUs: asks and follows the driver, keeps the book, tells every change in events.
 */
import { type Clock, errorText, type Finding, finding, type Logger } from "../../base/index.ts";
import { DriverError, type Gpu, type GpuDriver, type XidEvent } from "../../gpu/index.ts";
import type { Allocation } from "../../kubelet/index.ts";
import type { Device } from "../../sharing/index.ts";
import { uuidOf } from "../holders.ts";
import type { PodName, UntoldEvents } from "../untold-events.ts";
import { HealthBook, type HealthChange, type Illness } from "./health-book.ts";
import { illnessRemedy, illnessText, placeName, recoveryText } from "./health-text.ts";
import { type XidRules, xidRules } from "./xid-rules.ts";
import { XidWatch } from "./xid-watch.ts";

export interface NodeHealthOptions {
  readonly node: string;
  readonly driver: Pick<GpuDriver, "list" | "xidEvents">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who holds what, as the kubelet told last. */
  allocations(): readonly Allocation[];
  /** Asks the kubelet anew who holds what; rejects while it is away. */
  askHolders(): Promise<unknown>;
  readonly events: Pick<UntoldEvents, "add" | "tell">;
  /** Called when the health of a device has changed. */
  onChange(): void;
}

export class NodeHealth {
  readonly #options: NodeHealthOptions;
  readonly #book = new HealthBook();
  readonly #watch: XidWatch;
  #rules: XidRules = xidRules(new Map());
  #problem: DriverError | undefined;
  #bootId: string | undefined;
  #xids = 0;
  /** How many changes have yet to become events. */
  #untold = 0;
  #telling: Promise<void> = Promise.resolve();

  constructor(options: NodeHealthOptions) {
    this.#options = options;
    const { driver, clock, log } = options;
    this.#watch = new XidWatch({ driver, clock, log, onXid: (event) => this.#onXid(event) });
  }

  /** Follows the driver's errors until the signal fires. */
  run(signal: AbortSignal): Promise<void> {
    return this.#watch.run(signal);
  }

  isHealthy(device: Pick<Device, "uuid" | "gpuUuid">): boolean {
    return this.#book.isHealthy(device);
  }

  /** Whether there are changes that are no events yet. */
  get busy(): boolean {
    return this.#untold > 0;
  }

  /** How many errors the driver has told of, whether they count or not. */
  get xids(): number {
    return this.#xids;
  }

  /** Whether the driver answered when it was last asked. */
  get answers(): boolean {
    return this.#book.answers;
  }

  /** The GPU as it was last seen if it is unhealthy as a whole, so that it must be left as it is. */
  illGpu(gpuUuid: string): Gpu | undefined {
    return this.#book.isIll(gpuUuid) ? this.#book.gpu(gpuUuid) : undefined;
  }

  /** When to look again although nothing happens; `undefined` when nothing is over by itself. */
  nextLookInMs(): number | undefined {
    const { nextCalmMs } = this.#book;
    return nextCalmMs === undefined ? undefined : Math.max(0, nextCalmMs - this.#options.clock.now());
  }

  /** From now on these rules decide which errors count; what is unhealthy already stays so. */
  follow(rules: XidRules): void {
    this.#rules = rules;
  }

  /** Notes the node's boot id: another one than before means that its GPUs have started anew. */
  noteBoot(bootId: string | undefined): void {
    if (bootId === undefined || bootId === this.#bootId) return;
    if (this.#bootId !== undefined) this.#changed(this.#book.rebooted());
    this.#bootId = bootId;
  }

  noteReset(gpuUuid: string): void {
    this.#changed(this.#book.reset(gpuUuid));
  }

  /**
   * Asks the driver and ends what is over by now. Returns every GPU, also those the driver does not list any more, and
   * none when it has never answered.
   */
  async look(): Promise<readonly Gpu[]> {
    const { driver, clock } = this.#options;
    const before = this.#book.answers;
    try {
      this.#changed(this.#book.listed(await driver.list()));
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#book.silent();
      this.#problem = error;
    }
    if (before !== this.#book.answers) this.#onAnswer();
    this.#changed(this.#book.calm(clock.now()));
    return this.#book.gpus;
  }

  /** What the driver lists, and what it listed before; changes nothing. Never throws. */
  async current(): Promise<readonly Gpu[]> {
    const listed = await this.#options.driver.list().catch(() => []);
    const uuids = new Set(listed.map((one) => one.uuid));
    const others = this.#book.gpus.filter((one) => !uuids.has(one.uuid));
    return [...listed, ...others].sort((a, b) => a.index - b.index);
  }

  /** What is wrong with single GPUs; told in events as it happened. */
  illnesses(): readonly Finding[] {
    return this.#book.illnesses().map((illness) => {
      const { gpuUuid, devices, xid } = illness;
      const gpu = this.#book.gpu(gpuUuid);
      const subject = { kind: "gpu", name: `${this.#options.node} GPU ${gpu?.index ?? gpuUuid}` } as const;
      return finding("gpu-unhealthy", subject, this.#illText(illness), {
        remedy: illnessRemedy(illness, gpu),
        evidence: { gpuUuid, xid, devices: devices === undefined ? undefined : [...devices] },
      });
    });
  }

  /** What is wrong with the driver as a whole. */
  problems(): readonly Finding[] {
    const subject = { kind: "node", name: this.#options.node } as const;
    const problems: Finding[] = [];
    if (this.#problem !== undefined) {
      const message = `the GPU driver does not answer, so no device is given to pods: ${errorText(this.#problem)}`;
      const remedy = `${this.#problem.remedy}; devices are given again when it answers`;
      problems.push(finding("driver-unreachable", subject, message, { remedy }));
    }
    if (this.#problem === undefined && this.#watch.problem !== undefined) {
      const message = `XID errors are not seen: ${this.#watch.problem}`;
      const remedy = "check that the agent may read the driver's events; it goes on trying";
      problems.push(finding("gpu-health-unwatched", subject, message, { remedy }));
    }
    return problems;
  }

  #onXid(event: XidEvent): void {
    const { clock, log, node } = this.#options;
    const { gpuUuid, xid } = event;
    this.#xids += 1;
    const isCounted = this.#rules.counts(xid);
    log.warn({ node, gpuUuid, xid, isCounted }, "XID error");
    if (isCounted) this.#changed(this.#book.raised(event, clock.now()));
  }

  #onAnswer(): void {
    const { events, onChange } = this.#options;
    if (this.#book.answers) {
      this.#watch.hurry();
      events.add("node", { reason: "DriverReachable", message: "the GPU driver answers again", severity: "info" });
      void events.tell();
    }
    onChange();
  }

  #changed(changes: readonly HealthChange[]): void {
    if (changes.length === 0) return;
    const { askHolders, events, onChange } = this.#options;
    onChange();
    this.#untold += 1;
    this.#telling = this.#telling.then(async () => {
      // A pod may hold the device that came after the last look. What was told then counts while the kubelet is away.
      await askHolders().catch(() => {});
      for (const change of changes) this.#addEvents(change);
      this.#untold -= 1;
      void events.tell();
    });
  }

  /** One event about the node, and one about each pod that holds something of it. */
  #addEvents(change: HealthChange): void {
    const { node, events } = this.#options;
    const { gpuUuid, devices } = change.kind === "ill" ? change.illness : change;
    const gpu = this.#book.gpu(gpuUuid);
    const name = placeName(gpuUuid, gpu, devices);
    if (change.kind === "ill") {
      const { illness } = change;
      const told = { reason: "GpuUnhealthy", severity: "error" } as const;
      events.add("node", { ...told, message: `${this.#illText(illness)}; ${illnessRemedy(illness, gpu)}` });
      const message = `${name} of ${node}, which this pod holds, is unhealthy: ${illnessText(illness)}`;
      for (const pod of this.#holders(gpuUuid, devices)) events.add(pod, { ...told, message });
    } else {
      const told = { reason: "GpuHealthy", severity: "info" } as const;
      const why = recoveryText(change);
      events.add("node", { ...told, message: `${name} is healthy again${why}` });
      const message = `${name} of ${node} is healthy again${why}`;
      for (const pod of this.#holders(gpuUuid, devices)) events.add(pod, { ...told, message });
    }
  }

  #illText(illness: Illness): string {
    const { gpuUuid, devices } = illness;
    const pods = this.#holders(gpuUuid, devices).map(({ namespace, name }) => `${namespace}/${name}`);
    const held = pods.length === 0 ? "" : `; held by ${pods.join(", ")}`;
    return `${placeName(gpuUuid, this.#book.gpu(gpuUuid), devices)} is unhealthy: ${illnessText(illness)}${held}`;
  }

  /** The pods that hold these devices, or any of the GPU, sorted. */
  #holders(gpuUuid: string, devices: ReadonlySet<string> | undefined): readonly PodName[] {
    const instances = this.#book.gpu(gpuUuid)?.instances ?? [];
    const parts = instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid));
    const concerned = devices ?? new Set([gpuUuid, ...parts]);
    const holding = this.#options
      .allocations()
      .filter(({ deviceIds }) => deviceIds.some((id) => concerned.has(uuidOf(id))));
    const names = new Map(holding.map(({ namespace, pod: name }) => [`${namespace}/${name}`, { namespace, name }]));
    return [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pod]) => pod);
  }
}
