/**
 * One node of the embedded cluster: its GPUs, its kubelet and the agent that runs on it now.
 *
 * Driver and kubelet stay the same objects for as long as the cluster lives. An agent is a process of the machine: it
 * lives once, and a reboot brings another. Whoever needs it asks the node each time.
 */
import { NodeAgent } from "../../agent/index.ts";
import type { Clock, Logger } from "../../base/index.ts";
import { cdiDirectoryOf, KubeletStandIn } from "../../embedded/index.ts";
import { type GpuModel, SimulatedDriver } from "../../gpu/index.ts";
import type { NodeSnapshot } from "../../insight/index.ts";
import type { KubeApi, Pod } from "../../kube/index.ts";
import { type KeptMachine, MachineFile } from "./machine-file.ts";
import { SIMULATED_MACHINE } from "./nodes.ts";
import { simulatedHostFiles } from "./simulated-files.ts";

export interface ClusterNodeOptions {
  readonly name: string;
  /** Number of the node in its cluster, from 0. */
  readonly ordinal: number;
  readonly gpus: readonly GpuModel[];
  /** The kubelet's directory on this node. */
  readonly rootDirectory: string;
  /** Whether the machine outlives the cluster; `undefined` when it does not. */
  readonly keeping: Keeping | undefined;
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is known of the machine when it is switched on again. */
export interface Keeping {
  /** `undefined` for a new machine. */
  readonly before: KeptMachine | undefined;
  /** The pods that were on it. */
  readonly pods: readonly Pod[];
}

/** How often an agent is asked whether it has had its first turn. */
const AGENT_POLL_MS = 5;

/** Lives from `switchOn` and `startKubelet` to `stopKubelet`; the agent runs from `startAgent` to `stopAgent`. */
export class ClusterNode {
  readonly name: string;
  readonly driver: SimulatedDriver;
  readonly kubelet: KubeletStandIn;
  readonly #options: ClusterNodeOptions;
  #agent: NodeAgent;
  #agentState: "not started" | "running" | "stopped" = "not started";
  #changes = 0;
  /** The end of the last change to the machine: one at a time, and a stop waits for it. */
  #lastChange: Promise<unknown> = Promise.resolve();
  readonly #machineFile: MachineFile | undefined;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ending = new AbortController();
  #lettingIn: Promise<void> = Promise.resolve();

  constructor(options: ClusterNodeOptions) {
    const { name, ordinal, gpus, rootDirectory, keeping, api, clock, log } = options;
    this.name = name;
    this.#options = options;
    this.driver = new SimulatedDriver({ models: gpus, seed: name });
    const { driver } = this;
    if (keeping !== undefined) this.#machineFile = new MachineFile({ root: rootDirectory, name, gpus, driver, log });
    const earlierPods = keeping?.pods ?? [];
    // Pods that come back would be refused before the plugins have registered; a new machine has none.
    const returning = earlierPods.length === 0 ? {} : { earlierPods, admitAfter: this.#ready.promise };
    this.kubelet = new KubeletStandIn({ name, ordinal, rootDirectory, api, driver, clock, log, ...returning });
    this.#agent = this.#newAgent();
  }

  /** The agent of the machine's present boot. */
  get agent(): NodeAgent {
    return this.#agent;
  }

  /** Switches the machine on: its GPUs are cut as they were, and it is written down. Throws when that cannot be done. */
  async switchOn(): Promise<void> {
    await this.#machineFile?.boot(this.#options.keeping?.before);
  }

  /** Serves the kubelet's sockets and begins to register the node; throws when the sockets cannot be made. */
  startKubelet(): Promise<void> {
    return this.kubelet.start();
  }

  /** Starts the agent; pods of an earlier run are let in when it has had its first turn. */
  startAgent(): void {
    this.#agentState = "running";
    this.#agent.start();
    this.#lettingIn = this.#letPodsIn(this.#ending.signal);
  }

  /** Ends the agent, once a change to the machine that is under way is over. */
  async stopAgent(): Promise<void> {
    this.#ending.abort();
    await this.#lettingIn;
    await this.#inTurn(async () => {
      if (this.#agentState === "running") await this.#agent.stop();
      this.#agentState = "stopped";
    });
  }

  /** Ends the kubelet and all containers. */
  stopKubelet(): Promise<void> {
    return this.#inTurn(async () => {
      await this.kubelet.stop();
      await this.#machineFile?.close();
    });
  }

  /** Replaces the kubelet's process; containers run on, plugins have to register again. */
  restartKubelet(): Promise<void> {
    return this.#inTurn(() => this.kubelet.restart());
  }

  /**
   * Reboots the machine as a power cut does: containers end, the GPUs lose what a reboot takes from them, the kubelet
   * comes up, and then an agent that knows nothing of the one before.
   */
  reboot(): Promise<void> {
    return this.#inTurn(async () => {
      await this.kubelet.reboot(async () => {
        const before = this.#agent;
        this.#agent = this.#newAgent();
        if (this.#agentState === "running") await before.stop();
        this.driver.reboot();
      });
      if (this.#agentState === "running") this.#agent.start();
    });
  }

  /** Whether kubelet and agent have acted upon all they know of, and nothing is done to the machine. */
  idle(): boolean {
    return this.#changes === 0 && this.kubelet.idle() && this.#agent.idle();
  }

  /** What the agent knows now. */
  snapshot(): Promise<NodeSnapshot> {
    return this.#agent.snapshot();
  }

  async #letPodsIn(signal: AbortSignal): Promise<void> {
    while (!this.#agent.idle()) {
      try {
        await this.#options.clock.sleep(AGENT_POLL_MS, signal);
      } catch {
        return; // The cluster ends; the pods stay as they are.
      }
    }
    this.#ready.resolve();
  }

  async #inTurn(change: () => Promise<void>): Promise<void> {
    this.#changes += 1;
    const turn = this.#lastChange.then(change);
    this.#lastChange = turn.catch(() => {}); // Whoever asked for it is told.
    try {
      await turn;
    } finally {
      this.#changes -= 1;
    }
  }

  #newAgent(): NodeAgent {
    const { name, rootDirectory, api, clock, log } = this.#options;
    const { mps } = this.driver;
    const common = { mps, node: name, driver: this.driver, api, kubeletRoot: rootDirectory, clock, log };
    const features = { readMachineType: async () => SIMULATED_MACHINE, root: rootDirectory };
    const cdiDirectory = cdiDirectoryOf(rootDirectory);
    return new NodeAgent({ ...common, readHostFiles: simulatedHostFiles, cdiDirectory, features });
  }
}
