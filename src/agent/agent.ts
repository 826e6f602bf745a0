/**
 * The agent of one node: brings its GPUs to the declared layout, offers their slices to the kubelet, tells what it does.
 *
 * One loop does everything. Whatever changes (labels, ConfigMaps, ClusterPolicy, pods, the driver) only wakes it; each
 * turn reads all there is and sets right what differs, so a missed or doubled wake-up does no harm.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { errorText, type Finding } from "../base/index.ts";
import type { NodeSnapshot } from "../insight/index.ts";
import { DevicePluginHost, PodResourcesClient } from "../kubelet/index.ts";
import type { Device } from "../sharing/index.ts";
import { FeatureLabeller } from "./feature-labels.ts";
import { NodeHealth } from "./health/node-health.ts";
import { HolderBook } from "./holders.ts";
import { AgentInputs } from "./inputs.ts";
import { NodeMps } from "./mps/node-mps.ts";
import { NodeWriter } from "./node-writer.ts";
import { Offering } from "./offering.ts";
import type { NodeAgentOptions } from "./options.ts";
import type { AgentCounts, AgentStatus } from "./status.ts";
import { Trigger } from "./trigger.ts";
import { Turn } from "./turn.ts";
import { RETRY_MS } from "./turn-result.ts";
import { UntoldEvents } from "./untold-events.ts";

/** The longest time between two turns, so that a change made behind the agent's back is noticed. */
const TURN_EVERY_MS = 5_000;
/** The shortest, so that a burst of changes costs one turn. */
const TURN_PAUSE_MS = 20;

/** Lives from `start` to `stop`. */
export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #inputs: AgentInputs;
  readonly #host: DevicePluginHost;
  readonly #podResources: PodResourcesClient;
  readonly #holders: HolderBook;
  readonly #offering: Offering;
  readonly #health: NodeHealth;
  readonly #mps: NodeMps;
  readonly #writer: NodeWriter;
  readonly #labeller: FeatureLabeller;
  readonly #events: UntoldEvents;
  readonly #turn: Turn;
  readonly #trigger: Trigger;
  readonly #ending = new AbortController();
  /** Fires when the last turn is over: a change that is taken back must still learn who holds what. */
  readonly #ended = new AbortController();
  #running: Promise<void> | undefined;
  #busy = true;
  #turnSinceMs: number | undefined;
  #lastTurnMs: number | undefined;
  #turns = 0;
  #brokenTurns = 0;

  constructor(options: NodeAgentOptions) {
    const { node, driver, api, kubeletRoot, clock, log, configNamespace } = options;
    this.#options = options;
    this.#trigger = new Trigger(clock);
    this.#inputs = new AgentInputs({ node, api, clock, log, configNamespace, onChange: () => this.wake() });
    this.#host = new DevicePluginHost({
      directory: options.devicePluginDirectory ?? join(kubeletRoot, "device-plugins"),
      clock,
      log,
    });
    this.#podResources = new PodResourcesClient({
      socketPath: options.podResourcesSocket ?? join(kubeletRoot, "pod-resources", "kubelet.sock"),
      clock,
      signal: this.#ended.signal,
    });
    this.#holders = new HolderBook(this.#podResources, clock, () => this.#inputs.admittedPods());
    this.#writer = new NodeWriter({ node, api, clock, log });
    this.#labeller = new FeatureLabeller({ node, driver, api, clock, log, ...options.features });
    this.#events = new UntoldEvents({
      objectOf: (about) =>
        about === "node" ? this.#inputs.read()?.node : this.#inputs.pod(about.namespace, about.name),
      write: (about, event) => this.#writer.writeEvent(about, event),
    });
    const [holders, host, podResources] = [this.#holders, this.#host, this.#podResources];
    this.#health = new NodeHealth({
      node,
      driver,
      clock,
      log,
      allocations: () => holders.latest,
      askHolders: () => holders.allocations(),
      events: this.#events,
      onChange: () => this.#onHealth(),
    });
    this.#mps = new NodeMps({
      node,
      machine: options.mps,
      clock,
      log,
      holders: () => holders.holders(),
      events: this.#events,
      onChange: () => this.#onHealth(),
    });
    this.#offering = new Offering({
      host,
      podResources,
      holders,
      clock,
      isHealthy: (device) => this.#isFit(device),
      randomUuid: randomUUID,
    });
    this.#turn = new Turn({
      ...options,
      inputs: this.#inputs,
      holders,
      health: this.#health,
      mps: this.#mps,
      offering: this.#offering,
      labeller: this.#labeller,
      writer: this.#writer,
      events: this.#events,
      otherFindings: () => this.#otherFindings(),
    });
  }

  /** Begins to follow the API and the kubelet; resolves at once. */
  start(): void {
    this.#host.start(this.#ending.signal);
    this.#running = this.#run(this.#ending.signal);
  }

  /** Ends the loop and the device plugins; what pods hold stays theirs. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#mps.stop();
    this.#ended.abort();
    await this.#events.tell();
    await this.#labeller.stop();
    await this.#host.stop();
    this.#podResources.close();
  }

  /** Makes the next turn come at once. */
  wake(): void {
    this.#trigger.set();
  }

  status(): AgentStatus {
    const health = this.#health;
    const plugins = new Map(this.#host.status().map((one) => [one.resource, one]));
    const resources = this.#offering.offers.map(({ resource, devices }) => ({
      resource,
      devices: devices.length,
      healthy: devices.filter((device) => this.#isFit(device)).length,
      registered: plugins.get(resource)?.registeredSinceMs !== undefined,
    }));
    return {
      turnSinceMs: this.#turnSinceMs,
      lastTurnMs: this.#lastTurnMs,
      ready: health.answers && this.#turn.result.confirmed,
      driverAnswers: health.answers,
      pluginConfig: this.#turn.result.pluginConfig,
      resources,
      mpsClients: this.#mps.clients(),
      counts: this.#counts(),
      findings: this.#findings(),
    };
  }

  /** Whether the agent has acted upon everything it knows of and waits. */
  idle(): boolean {
    return !this.#busy && !this.#trigger.pending && !this.#health.busy && !this.#events.busy && !this.#mps.busy;
  }

  /**
   * What the node looks like now, read afresh from driver and kubelet; where one of them does not answer, what it told
   * last. Never rejects.
   */
  async snapshot(): Promise<NodeSnapshot> {
    const { node, driver } = this.#options;
    const gpus = await this.#health.current();
    const processes = await Promise.all(
      gpus.map(async ({ uuid }) => [uuid, await driver.processes(uuid).catch(() => [])] as const),
    );
    const { migLabel, migConfig, pluginConfig } = this.#turn.result;
    const { offers } = this.#offering;
    const ill = offers.flatMap((offer) => offer.devices.filter((device) => !this.#isFit(device)));
    return {
      node,
      simulated: driver.simulated,
      gpus,
      processes: new Map(processes),
      offers,
      unhealthy: new Set(ill.map((device) => device.uuid)),
      allocations: await this.#holders.allocations().catch(() => this.#holders.latest),
      migLabel,
      migConfig,
      pluginConfig: pluginConfig?.name,
      findings: this.#findings(),
    };
  }

  /** Whether a pod may get the device. */
  #isFit(device: Device): boolean {
    return this.#health.isHealthy(device) && this.#mps.isReady(device);
  }

  #counts(): AgentCounts {
    return {
      turns: this.#turns,
      brokenTurns: this.#brokenTurns,
      configChanges: this.#turn.configChanges,
      allocations: this.#offering.allocations,
      registrations: this.#host.registrations,
      xids: this.#health.xids,
    };
  }

  #findings(): readonly Finding[] {
    const health = this.#health;
    return [
      ...this.#turn.result.findings,
      ...health.problems(),
      ...health.illnesses(),
      ...this.#mps.findings(),
      ...this.#otherFindings(),
    ];
  }

  #otherFindings(): readonly Finding[] {
    return [...this.#host.findings(), ...(this.#options.ownFindings?.() ?? [])];
  }

  async #run(signal: AbortSignal): Promise<void> {
    const following = Promise.all([this.#inputs.run(signal), this.#health.run(signal)]);
    const { clock, log, node } = this.#options;
    try {
      await this.#inputs.synced;
      for (;;) {
        this.#busy = true;
        this.#turnSinceMs = clock.now();
        let waitMs = TURN_EVERY_MS;
        try {
          await this.#turn.take(signal);
          waitMs = Math.min(waitMs, this.#turn.result.retryInMs ?? waitMs);
        } catch (error) {
          if (signal.aborted) break;
          log.warn({ node, error: errorText(error) }, "turn broken off");
          this.#brokenTurns += 1;
          waitMs = RETRY_MS;
        }
        this.#busy = false;
        this.#turns += 1;
        this.#turnSinceMs = undefined;
        this.#lastTurnMs = clock.now();
        this.#options.onTurn?.();
        await this.#trigger.wait(waitMs, signal);
        this.#busy = true;
        await clock.sleep(TURN_PAUSE_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await following;
    }
  }

  /** The kubelet hears of it at once, however long the turn under way may take; the next turn sees to the rest. */
  #onHealth(): void {
    const { log, node } = this.#options;
    this.#offering.refresh().catch((error: unknown) => {
      // The turn that follows makes all lists anew.
      log.warn({ node, error: errorText(error) }, "devices not reported");
    });
    this.#trigger.set();
  }
}
