/** A node with an agent as a process, what happens to it, and what must hold after each step. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { PodResourcesClient } from "../../../src/kubelet/index.ts";
import { AgentMachine } from "../../support/agent-machine.ts";
import { cleanUp } from "../../support/clean-up.ts";
import { pod } from "../../support/manifests.ts";
import type { TrancheProcess } from "../../support/tranche-process.ts";
import { until } from "../../support/until.ts";
import { EditedConfig, firstObjects } from "./agent-config.ts";
import { countDifferences, idDifferences } from "./agent-differences.ts";
import { FaultyGpus } from "./agent-gpus.ts";
import { AgentModel, layouts, shareConfigs, uuidOf } from "./agent-model.ts";
import type { Step } from "./agent-steps.ts";

/** A change that broke off is tried again after some seconds. */
const DEADLINE_MS = 30_000;

interface Parts {
  readonly machine: AgentMachine;
  readonly gpus: FaultyGpus;
  readonly kubelet: PodResourcesClient;
}

interface RunningAgent {
  readonly process: TrancheProcess;
  readonly url: string;
}

export class AgentWorld {
  readonly #machine: AgentMachine;
  readonly #gpus: FaultyGpus;
  readonly #kubelet: PodResourcesClient;
  readonly #config: EditedConfig;
  readonly #model = new AgentModel();
  #agent: RunningAgent | undefined;
  /** Steps until the agent is started again. */
  #awayFor = 0;
  #hasRested = true;
  #pods = 0;

  private constructor({ machine, gpus, kubelet }: Parts) {
    this.#machine = machine;
    this.#gpus = gpus;
    this.#kubelet = kubelet;
    this.#config = new EditedConfig(machine);
  }

  static async start(t: TestContext): Promise<AgentWorld> {
    const gpus = await FaultyGpus.start(t);
    const startProcess = (): never => assert.fail("no pod here asks for memory");
    const driver = { list: () => gpus.driver.list(), startProcess, endProcess: () => {} };
    const machine = await AgentMachine.start(t, { objects: firstObjects, driver });
    const kubelet = new PodResourcesClient({ socketPath: join(machine.kubeletRoot, "pod-resources", "kubelet.sock") });
    cleanUp(t, () => kubelet.close());
    return new AgentWorld({ machine, gpus, kubelet });
  }

  /** What the agent said last. */
  lastWords(): string {
    return this.#agent?.process.progress.split("\n").slice(-15).join("\n") ?? "";
  }

  /** The first config and the first layout, everything healthy, as `calm` leaves it, and some pods. */
  async begin(): Promise<void> {
    if (this.#agent === undefined) await this.#startAgent();
    await this.#config.editShares(shareConfigs[0]);
    await this.#config.editLayout(layouts[0]);
    await this.#config.label("cut");
    await this.#check("the beginning");
    for (const which of [0, 1, 2]) await this.#addPod(which);
  }

  async do(step: Step): Promise<void> {
    if (needsRest(step) && !this.#hasRested) await this.#check(`before ${JSON.stringify(step)}`);
    await this.#take(step);
    if (this.#agent === undefined) {
      if (this.#awayFor === 0) await this.#startAgent();
      this.#awayFor -= 1;
    }
    this.#hasRested = step.rests;
    if (step.rests) await this.#check(JSON.stringify(step));
  }

  /** All that was wrong is over, and all pods end: the node is as its config says. */
  async calm(): Promise<void> {
    await this.#driverComes();
    for (const index of this.#gpus.lost) await this.#find(index);
    if (this.#model.ill.size > 0 && this.#agent !== undefined) await this.#endAgent("SIGTERM");
    if (this.#agent === undefined) await this.#startAgent();
    for (const name of [...this.#model.pods.keys()]) await this.#endPod(name);
    if (this.#config.shares === undefined) await this.#config.editShares(shareConfigs[1]);
    if (this.#config.layout === undefined) await this.#config.editLayout(layouts[1]);
    await this.#check("calm");
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case "kill":
      case "end":
        if (this.#agent === undefined) return;
        await this.#endAgent(step.kind === "kill" ? "SIGKILL" : "SIGTERM");
        this.#awayFor = step.awayFor;
        return;
      case "hang up":
        return this.#hangUp();
      case "restart kubelet":
        return this.#machine.kubelet.restart();
      case "driver goes":
        this.#model.isDriverUp = false;
        await this.#gpus.unload();
        return this.#hangUp();
      case "driver comes":
        return this.#driverComes();
      case "invalid shares":
        return this.#config.editShares(undefined);
      case "shares":
        return this.#config.editShares(shareConfigs[step.which % shareConfigs.length]);
      case "invalid mig":
        return this.#config.editLayout(undefined);
      case "layout":
        return this.#config.editLayout(layouts[step.which % layouts.length]);
      case "label":
        return this.#config.label(step.config);
      case "xid":
        return this.#raise(step.xid, step.gpu, step.instance);
      case "lose":
        return this.#lose(step.gpu);
      case "find":
        return this.#find(step.gpu);
      case "pod":
        return this.#addPod(step.which);
      case "end pod": {
        const names = [...this.#model.pods.keys()];
        const name = names[step.which % names.length];
        return name === undefined ? undefined : this.#endPod(name);
      }
      default:
        return step satisfies never;
    }
  }

  async #startAgent(): Promise<void> {
    const options = [...this.#gpus.options, "--fail-on-init-error=false", "--listen", "127.0.0.1:0"];
    const process = await this.#machine.startAgent(...options);
    this.#model.agentStarts();
    this.#agent = { process, url: await process.says(/endpoints at (\S+)/) };
  }

  async #endAgent(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const process = this.#agent?.process;
    process?.signal(signal);
    const end = await process?.end();
    this.#agent = undefined;
    this.#model.agentEnds();
    if (signal === "SIGTERM") assert.deepEqual(end, { code: 0, signal: null });
  }

  /** The agent looks by itself, too, within five seconds. */
  async #hangUp(): Promise<void> {
    this.#agent?.process.signal("SIGHUP");
  }

  async #driverComes(): Promise<void> {
    if (this.#gpus.isLoaded) return;
    await this.#gpus.load();
    this.#model.driverComes();
    await this.#hangUp();
  }

  async #lose(index: number): Promise<void> {
    const gpu = this.#model.gpu(index);
    // Of a GPU that is ill already nobody could see whether the agent has noticed.
    if (this.#model.isIll(gpu) || !this.#gpus.isLoaded) return;
    await this.#gpus.lose(index);
    this.#model.lost.add(gpu.uuid);
    await this.#hangUp();
  }

  async #find(index: number): Promise<void> {
    await this.#gpus.find(index);
    const { uuid } = this.#model.gpu(index);
    this.#model.lost.delete(uuid);
    this.#model.unseen.delete(uuid);
    await this.#hangUp();
  }

  async #raise(xid: number, index: number, instance: number | undefined): Promise<void> {
    const gpu = this.#model.gpu(index);
    if (this.#agent === undefined || !this.#gpus.isLoaded || this.#model.lost.has(gpu.uuid)) return;
    // A slice of a GPU that is being changed may be gone before its error comes, which is then one of the whole GPU.
    const isNamed = instance !== undefined && this.#changing() !== gpu.uuid;
    const part = isNamed ? gpu.instances[instance]?.computeInstances[0] : undefined;
    const before = await this.#xids();
    // What is raised while the agent opens the library, or begins to wait anew, is missed, as it would be by anybody.
    await this.#soon(`the agent sees XID ${xid} of GPU ${index}`, async () => {
      await this.#gpus.raise(xid, gpu, part);
      const isSeen = async (): Promise<boolean> => (await this.#xids()) > before;
      return until("it is seen", isSeen, 1_000).catch(() => false);
    });
    if (xid !== 31) this.#model.ill.add(part?.uuid ?? gpu.uuid);
  }

  /** How many errors the agent has seen. */
  async #xids(): Promise<number> {
    const metrics = await this.#metrics();
    return Number(/^tranche_agent_xid_errors_total (\d+)$/m.exec(metrics)?.[1] ?? assert.fail(metrics));
  }

  async #metrics(): Promise<string> {
    return (await fetch(`${this.#agent?.url}/metrics`)).text();
  }

  /** A pod for one of the resources of which there is something free; it must run. */
  async #addPod(which: number): Promise<void> {
    const free = this.#model.expected.filter(({ healthy, held }) => healthy > held.length);
    // What stands on a GPU that is being changed may be gone before the pod comes.
    const changing = this.#changing();
    const lasting = free.filter(({ gpuUuid }) => gpuUuid !== changing).map(({ resource }) => resource);
    const names = [...new Set(lasting)].filter((resource) => this.#model.schedulerSees(resource, changing) > 0);
    const resource = names[which % names.length];
    if (resource === undefined) return;
    this.#pods += 1;
    const name = `pod-${this.#pods}`;
    await this.#machine.create(pod(name, { [resource]: "1" }));
    await this.#machine.podsBecome("Running", name);
    const [id, ...others] = this.#machine.held()[name] ?? [];
    assert.ok(id !== undefined && others.length === 0, `${name} got ${[id, ...others]}`);
    const got = free.find((one) => one.resource === resource && one.uuid === uuidOf(id));
    assert.ok(got !== undefined, `${name} got ${id}, which is not free and healthy`);
    assert.ok(!got.held.includes(id), `${name} got ${id}, which another pod holds`);
    this.#model.pods.set(name, { resource, id });
  }

  /** The GPU that is not yet as its config says. */
  #changing(): string | undefined {
    return this.#config.isMet(this.#model.profiles(0)) ? undefined : this.#model.gpu(0).uuid;
  }

  async #endPod(name: string): Promise<void> {
    await this.#machine.deletePod(name);
    this.#model.pods.delete(name);
  }

  /** Everything that must hold, now or soon. */
  async #check(when: string): Promise<void> {
    const model = this.#model;
    this.#hasRested = true;
    await this.#podsRun(when);
    await this.#look();
    assert.deepEqual(model.homeless, [], `devices that pods hold are gone after ${when}`);
    if (this.#agent === undefined || !model.isDriverKnown) return;
    await this.#configIsInForce(when);
    await this.#isCutAsWanted(when);
    let seen: readonly string[] = [];
    const areRight = async (): Promise<boolean> => {
      await this.#look();
      const node = await this.#machine.node();
      const shown = await this.#kubelet.allocatable().catch(() => new Map());
      seen = [...idDifferences(model.expected, shown), ...countDifferences(model.expected, node)];
      return seen.length === 0;
    };
    await this.#soon(`after ${when} the kubelet's books are right`, areRight, () => seen.join("\n"));
    await this.#podsRun(when);
    assert.deepEqual(model.homeless, [], `devices that pods hold are gone after ${when}`);
  }

  /** GPUs that cannot be seen now stay as they were. */
  async #look(): Promise<void> {
    const listed = this.#gpus.isLoaded ? await this.#gpus.driver.list() : [];
    const uuids = new Set(listed.map(({ uuid }) => uuid));
    const others = this.#model.gpus.filter(({ uuid }) => !uuids.has(uuid));
    this.#model.gpus = [...listed, ...others].sort((a, b) => a.index - b.index);
  }

  async #configIsInForce(when: string): Promise<void> {
    let metrics = "";
    const inForce = await until(
      `after ${when} the config is in force`,
      async () => {
        metrics = await this.#metrics();
        return this.#config.inForceBy(metrics);
      },
      DEADLINE_MS,
    ).catch((error: unknown) => {
      throw new Error(/.*config_since.*\{.*/.exec(metrics)?.[0] ?? "none is", { cause: error });
    });
    this.#model.inForce = inForce;
  }

  /** A GPU that nobody holds and that is well becomes what its config says. */
  async #isCutAsWanted(when: string): Promise<void> {
    const model = this.#model;
    if (!model.isCuttable(model.gpu(0))) return;
    const isMet = async (): Promise<boolean> => {
      await this.#look();
      return this.#config.isMet(model.profiles(0));
    };
    await this.#soon(`after ${when} GPU 0 is cut as it should be`, isMet, () => `it is ${model.profiles(0)}`);
  }

  /** No pod was hurt, and the kubelet's books have what each one holds; no device is in two hands. */
  async #podsRun(when: string): Promise<void> {
    // A kubelet that has just started knows its pods a little later.
    const held = (): string => JSON.stringify(Object.entries(this.#machine.held()).sort());
    const want = JSON.stringify([...this.#model.pods].map(([name, { id }]) => [name, [id]]).sort());
    await this.#soon(`after ${when} the kubelet knows ${want}`, async () => held() === want, held);
    for (const name of this.#model.pods.keys()) {
      const { phase, containerStatuses = [] } = (await this.#machine.pod(name))?.status ?? {};
      assert.deepEqual([phase, containerStatuses[0]?.restartCount], ["Running", 0], `${name} after ${when}`);
    }
  }

  /** `seen` tells what is there instead. */
  async #soon(what: string, probe: () => Promise<boolean>, seen = (): string => "it is not so"): Promise<void> {
    await until(what, probe, DEADLINE_MS).catch((error: unknown) => {
      throw new Error(seen(), { cause: error });
    });
  }
}

/** Steps whose outcome depends on where the node stands. */
function needsRest({ kind }: Step): boolean {
  return kind === "pod" || kind === "xid" || kind === "lose" || kind === "find" || kind === "driver goes";
}
