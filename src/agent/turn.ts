/**
 * One turn of the agent: reads all there is, and sets right what differs.
 */
import type { Clock, Finding, Logger } from "../base/index.ts";
import type { GpuDriver } from "../gpu/index.ts";
import type { Node } from "../kube/index.ts";
import { offers } from "../sharing/index.ts";
import { ContainerSide, type ReadHostFiles } from "./container-side.ts";
import { type DesiredState, desiredState, MIG_CONFIG_LABEL } from "./desired.ts";
import type { FeatureLabeller } from "./feature-labels.ts";
import type { NodeHealth } from "./health/node-health.ts";
import { heldElsewhere, overHeld, takenDevices, withHeldShares } from "./held-shares.ts";
import { type HolderBook, isAdmitting } from "./holders.ts";
import type { AgentInputs } from "./inputs.ts";
import { type LastGood, LastGoodMemory, type LastingText } from "./last-good.ts";
import { LinkScores } from "./links.ts";
import type { LocalInputs } from "./local-inputs.ts";
import type { NodeMps } from "./mps/node-mps.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Offering } from "./offering.ts";
import { Repartition } from "./repartition.ts";
import { kubeletBehind, turnBroken } from "./turn-findings.ts";
import { earlier, migState, noTurn, type PluginConfigInForce, RETRY_MS, type TurnResult } from "./turn-result.ts";
import type { UntoldEvents } from "./untold-events.ts";

export interface TurnOptions {
  readonly node: string;
  readonly driver: GpuDriver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readHostFiles: ReadHostFiles;
  /** Where container runtimes look for CDI specs. */
  readonly cdiDirectory: string;
  readonly inputs: AgentInputs;
  readonly holders: HolderBook;
  readonly health: NodeHealth;
  readonly mps: NodeMps;
  readonly offering: Offering;
  readonly labeller: FeatureLabeller;
  readonly writer: NodeWriter;
  readonly events: UntoldEvents;
  /** What is to be said beside what a turn, the health of the GPUs and MPS have to say. */
  otherFindings(): readonly Finding[];
  /** Where the config in force outlives the agent. Default: nowhere. */
  readonly lastGood?: LastingText | undefined;
  /** What command line and files say. Default: nothing. */
  readLocal?(): Promise<LocalInputs>;
}

/** Remembers what the last turn came to; one turn is taken at a time. */
export class Turn {
  readonly #options: TurnOptions;
  readonly #containers: ContainerSide;
  readonly #links: LinkScores;
  readonly #repartition: Repartition;
  readonly #memory: LastGoodMemory | undefined;
  #lastGood: LastGood | undefined;
  #result = noTurn;
  /** What the last turn found that came to its end. */
  #found: readonly Finding[] = [];
  /** Turns in a row that were broken off. */
  #broken = 0;
  #configChanges = 0;

  constructor(options: TurnOptions) {
    const { node, driver, clock, log, cdiDirectory, holders, health, mps, offering } = options;
    this.#options = options;
    this.#containers = new ContainerSide({ node, driver, cdiDirectory, holders, log });
    this.#memory = options.lastGood && new LastGoodMemory(options.lastGood, log);
    this.#links = new LinkScores(driver);
    this.#repartition = new Repartition({
      node,
      driver,
      holders,
      withdrawal: offering,
      clock,
      log,
      illGpu: (gpuUuid) => health.illGpu(gpuUuid),
      onReset: (gpuUuid) => health.noteReset(gpuUuid),
      beforeChange: (deviceUuids) => mps.release(deviceUuids),
      onPlan: (_plan, lines) => this.#tellPlan(lines),
    });
  }

  /** What the last turn came to, or the one under way knows already. */
  get result(): TurnResult {
    return this.#result;
  }

  /** How often another device-plugin config came into force. */
  get configChanges(): number {
    return this.#configChanges;
  }

  /**
   * Takes a turn. Throws what API, kubelet and driver throw when they are away or the signal fires; unless it has fired,
   * the result tells that too.
   */
  async take(signal: AbortSignal): Promise<void> {
    try {
      this.#result = await this.#setRight(signal);
      this.#found = this.#result.findings;
      this.#broken = 0;
    } catch (error) {
      if (!signal.aborted) await this.#breakOff(error);
      throw error;
    }
  }

  /** Events tell of it only when it happens again: a kubelet that restarts is away for one turn. */
  async #breakOff(error: unknown): Promise<void> {
    const broken = turnBroken(this.#options.node, error);
    this.#result = { ...this.#result, confirmed: false, findings: [broken] };
    this.#broken += 1;
    const node = this.#options.inputs.read()?.node;
    if (this.#broken > 1 && node !== undefined) await this.#tell(node, [...this.#found, broken]);
  }

  async #tell(node: Node, findings: readonly Finding[]): Promise<void> {
    const { writer, health, mps, otherFindings } = this.#options;
    await writer.writeFindings(node, [...findings, ...health.problems(), ...mps.findings(), ...otherFindings()]);
  }

  /** One turn: layouts first, then what is offered, then what is told. */
  async #setRight(signal: AbortSignal): Promise<TurnResult> {
    const { node, health, holders, mps, offering, labeller, writer, events } = this.#options;
    const local = await this.#options.readLocal?.();
    const fromApi = this.#options.inputs.read();
    if (fromApi === undefined) return this.#result;
    const inputs = local === undefined ? fromApi : { ...fromApi, local };
    health.noteBoot(inputs.node.status?.nodeInfo?.["bootID"]);
    const seen = await health.look();
    if (seen.length === 0 && !health.answers) return this.#withoutDriver(inputs.node);
    this.#lastGood ??= await this.#memory?.recall();
    const desired = desiredState(inputs, seen, this.#lastGood);
    this.#lastGood = desired;
    await this.#memory?.keep(desired);
    health.follow(desired.xidRules);
    const registered = await this.#acknowledge(inputs.node, desired.migConfigName);
    const change = await this.#repartition.run(desired.wanted, signal);
    const gpus = await health.look();
    const { settings, imex, pluginConfig } = desired;
    const host = await this.#options.readHostFiles(settings, gpus);
    const made = offers({ gpus, config: pluginConfig, settings, nodeName: node, migMinors: host.migMinors });
    const { allocations, isComplete } = await holders.presumed();
    const offered = withHeldShares(made.offers, allocations, offering.offers);
    const side = await this.#containers.prepare({ gpus, offers: offered, settings, imex, host });
    await mps.follow(offered, settings.mpsRoot);
    await offering.publish({
      offers: offered,
      settings,
      pairScore: await this.#links.scores(gpus),
      facts: side.facts,
      withheld: change.withheld,
      unusable: side.unusable,
      taken: takenDevices(offered, allocations),
    });
    await this.#containers.settle();
    const labelled = await labeller.update({ node: registered, gpus, desired });
    const confirmed = await offering.confirmed(signal);
    const findings = [...desired.findings, ...change.findings, ...made.findings, ...side.findings, ...labelled];
    const named = allocations.filter((one) => !isAdmitting(one));
    findings.push(...overHeld(offered, named, node), ...heldElsewhere(offered, named, node));
    if (!confirmed) findings.push(kubeletBehind(node));
    const state = migState(desired.refused, confirmed, change.state);
    const migConfig = desired.migConfigName === undefined ? undefined : { name: desired.migConfigName, state };
    await writer.writeState(registered, migConfig?.state);
    const inForce = this.#configInForce(desired);
    await writer.writePluginConfig(inputs.node, inForce);
    await this.#tell(inputs.node, findings);
    await events.tell();
    // For the next error: who holds what it concerns.
    await holders.allocations();
    return {
      findings,
      migLabel: inputs.node.metadata.labels?.[MIG_CONFIG_LABEL],
      migConfig,
      pluginConfig: inForce,
      confirmed,
      retryInMs:
        confirmed && health.answers && isComplete ? earlier(change.retryInMs, health.nextLookInMs()) : RETRY_MS,
    };
  }

  /** The driver has not answered since the agent started: there is nothing to decide upon, and nothing to offer. */
  async #withoutDriver(registered: Node): Promise<TurnResult> {
    await this.#tell(registered, []);
    return { ...this.#result, findings: [], retryInMs: RETRY_MS };
  }

  #configInForce({ pluginConfigName: name, pluginConfigHash: hash }: DesiredState): PluginConfigInForce {
    const before = this.#result.pluginConfig;
    if (before !== undefined && before.name === name && before.hash === hash) return before;
    const { clock, log, node } = this.#options;
    log.info({ node, config: name, hash }, "config in force");
    if (before !== undefined) this.#configChanges += 1;
    return { name, hash, sinceMs: clock.now() };
  }

  /**
   * Takes back what was told of the config before, as soon as there is another one: whoever sets the label and then
   * waits for success must not find that of the last config. Returns the node as it is then.
   */
  async #acknowledge(registered: Node, name: string | undefined): Promise<Node> {
    if (name === undefined || name === this.#result.migConfig?.name) return registered;
    const node = await this.#options.writer.writeState(registered, "pending");
    this.#result = { ...this.#result, migConfig: { name, state: "pending" } };
    return node;
  }

  /** The plan goes into an event as it was made, before anything is done. */
  #tellPlan(lines: readonly string[]): void {
    const message = lines.map((line) => line.trim().replaceAll(/\s+/g, " ")).join("; ");
    this.#options.events.add("node", { reason: "Repartition", message, severity: "info" });
    void this.#options.events.tell();
  }
}
