/** A node of simulated GPUs with the agent's repartition and offering on it, and a fake kubelet at their ports. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { type AdmittedPod, HolderBook } from "../../../src/agent/holders.ts";
import { Offering } from "../../../src/agent/offering.ts";
import { Repartition, type RepartitionResult } from "../../../src/agent/repartition.ts";
import { findingLine, silentLogger, VirtualClock } from "../../../src/base/index.ts";
import { parseMigParted, type WantedMig, wantedMig } from "../../../src/config/index.ts";
import { type Gpu, modelById, SimulatedDriver } from "../../../src/gpu/index.ts";
import { planText } from "../../../src/partition/index.ts";
import { offers } from "../../../src/sharing/index.ts";
import { type ConfigParts, config, settings } from "../../sharing/fixtures.ts";
import { FakeKubelet } from "./fake-kubelet.ts";

export interface NodeOptions extends ConfigParts {
  /** Catalogue ids; default one A100-80GB. */
  readonly models?: readonly string[];
  readonly resettable?: boolean;
}

export class SmallNode {
  readonly clock = new VirtualClock(1_000_000);
  readonly kubelet = new FakeKubelet();
  readonly driver: SimulatedDriver;
  readonly holders: HolderBook;
  readonly offering: Offering;
  readonly repartition: Repartition;
  /** The first line of every plan that was executed. */
  readonly plans: string[] = [];
  /** Pods that the Kubernetes API shows as admitted. */
  admitted: readonly AdmittedPod[] = [];
  /** UUIDs of GPUs and MIG devices that are unhealthy. */
  readonly ill = new Set<string>();
  /** The GPUs that plans have reset, as the agent is told. */
  readonly resets: string[] = [];
  /** The GPUs as the agent has seen them last. */
  seen: readonly Gpu[] = [];
  readonly #parts: ConfigParts;

  constructor({ models = ["a100-sxm4-80gb"], resettable = true, ...parts }: NodeOptions = {}) {
    this.#parts = parts;
    const found = models.map((id) => modelById(id) ?? assert.fail(`no model ${id}`));
    this.driver = new SimulatedDriver({ models: found, seed: "node-a", resettable });
    const { clock, kubelet, driver } = this;
    this.holders = new HolderBook(kubelet, clock, () => this.admitted);
    const { holders } = this;
    let requests = 0;
    this.offering = new Offering({
      host: kubelet,
      podResources: kubelet,
      holders,
      clock,
      isHealthy: ({ uuid, gpuUuid }) => !this.ill.has(uuid) && !this.ill.has(gpuUuid),
      randomUuid: () => {
        requests += 1;
        return `uuid-${requests}`;
      },
    });
    this.repartition = new Repartition({
      node: "node-a",
      driver,
      holders,
      withdrawal: this.offering,
      clock,
      log: silentLogger,
      illGpu: (uuid) => (this.ill.has(uuid) ? this.seen.find((one) => one.uuid === uuid) : undefined),
      beforeChange: async () => {},
      onReset: (uuid) => this.resets.push(uuid),
      onPlan: (plan) => this.plans.push(planText(plan)[0] ?? ""),
    });
  }

  /** Offers what stands now, as the agent does at the end of a turn. */
  async publish(withheld: readonly string[] = []): Promise<void> {
    const gpus = await this.driver.list();
    const offered = offers({
      gpus,
      config: config(this.#parts),
      settings: { ...settings, migStrategy: "mixed" },
      nodeName: "node-a",
    });
    const facts = { presentControlNodes: new Set<string>() };
    await this.offering.publish({
      offers: offered.offers,
      settings,
      pairScore: () => 0,
      facts,
      withheld,
      unusable: [],
      taken: new Set(),
    });
  }

  /** Brings the GPUs to a wish and offers what stands then, as one turn of the agent does. */
  async turn(wish: string, signal: AbortSignal = new AbortController().signal): Promise<RepartitionResult> {
    this.seen = await this.driver.list();
    const wanted = await this.wanted(wish);
    const result = await this.repartition.run(wanted, signal);
    await this.publish(result.withheld);
    return result;
  }

  /** Lets time pass until the work is done. */
  async pass<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const end = work.finally(() => {
      over = true;
    });
    end.catch(() => {});
    while (!over) {
      await turn();
      if (!over) await this.clock.advance(100);
    }
    return end;
  }

  /** `off`, `7x1g.10gb`, `1x3g.40gb 2x1g.10gb` for every GPU that can do MIG, or `0: 7x1g.10gb; 1: off`; `` is no wish at all. */
  async wanted(wish: string): Promise<readonly WantedMig[]> {
    if (wish === "") return [];
    const entries = wish.includes(":") ? wish.split("; ") : [`all: ${wish}`];
    const lines = entries
      .filter((entry) => entry !== "")
      .flatMap((entry) => {
        const [devices = "", counts = ""] = entry.split(": ");
        const head = [
          `  - devices: ${devices === "all" ? "all" : `[${devices}]`}`,
          `    mig-enabled: ${counts !== "off"}`,
        ];
        if (counts === "off") return head;
        const profiles = counts.split(" ").map((one) => one.split("x"));
        return [...head, "    mig-devices:", ...profiles.map(([count, name]) => `      ${name}: ${count}`)];
      });
    const file = parseMigParted(["version: v1", "mig-configs:", "  wish:", ...lines, ""].join("\n"), "wish.yaml");
    assert.ok(file.ok, file.findings.map(findingLine).join("\n"));
    const wished = file.value.configs.get("wish") ?? assert.fail("no wish");
    return wantedMig(wished, await this.driver.list()).wanted;
  }

  /** `3g.40gb@4 1g.10gb@0`, `MIG off`, of every GPU, joined by ` | `. */
  async layout(): Promise<string> {
    const gpus = await this.driver.list();
    return gpus
      .map(({ mig, instances }) => {
        if (mig?.current !== true) return "MIG off";
        return instances.map((one) => `${one.profile.name}@${one.placement.start}`).join(" ") || "empty";
      })
      .join(" | ");
  }
}
