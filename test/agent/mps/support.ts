/** The agent's MPS side on real processes of a stand-in for NVIDIA's control daemon. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { MpsMachine } from "../../../src/agent/mps/mps-machine.ts";
import { NodeMps } from "../../../src/agent/mps/node-mps.ts";
import { systemMps } from "../../../src/agent/mps/system-mps.ts";
import type { AgentEvent } from "../../../src/agent/node-writer.ts";
import { silentLogger } from "../../../src/base/index.ts";
import type { Offer } from "../../../src/sharing/index.ts";
import { gpus, nodeOffers } from "../../sharing/fixtures.ts";
import { fastClock } from "../../support/fast-clock.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { until } from "../../support/until.ts";

const fixture = fileURLToPath(new URL("../../fixtures/mps/control-daemon.mjs", import.meta.url));

/** Offers of GPUs shared by MPS: `gpu[0] x4`; two GPUs unless told otherwise. */
export function mpsOffers(share: readonly string[], failRequestsGreaterThanOne = true, count = 2): readonly Offer[] {
  return nodeOffers({ gpus: gpus(count), share, sharing: { strategy: "mps", failRequestsGreaterThanOne } }).offers;
}

export class MpsNode {
  readonly root: string;
  readonly events: AgentEvent[] = [];
  /** UUIDs that pods hold. */
  readonly held = new Map<string, true>();
  readonly #directory: string;
  mps: NodeMps;
  #agents = 0;

  static async make(t: TestContext): Promise<MpsNode> {
    const begun: MpsNode[] = [];
    t.after(() => Promise.all(begun.map((one) => one.clear())));
    const directory = await temporaryDirectory(t);
    const binary = join(directory, "mps-control.mjs");
    await writeFile(binary, `#!${process.execPath}\n${await readFile(fixture, "utf8")}`);
    await chmod(binary, 0o755);
    const smi = join(directory, "nvidia-smi");
    await writeFile(smi, `#!/bin/sh\necho "$@" >> "${join(directory, "modes")}"\n`, { mode: 0o755 });
    const node = new MpsNode(directory);
    begun.push(node);
    return node;
  }

  constructor(directory: string) {
    this.#directory = directory;
    this.root = join(directory, "mps");
    this.mps = this.#agent();
  }

  /** Another agent in place of the one there was, which is left as a crash leaves it. */
  restart(): void {
    this.mps = this.#agent();
  }

  #agent(): NodeMps {
    this.#agents += 1;
    const [own, real] = [this.#agents, this.machine];
    // Every step begins with this question; to an agent that is no more it is never answered.
    const pid: MpsMachine["pid"] = (place) => (own === this.#agents ? real.pid(place) : new Promise(() => {}));
    return new NodeMps({
      node: "n",
      machine: { ...real, pid },
      clock: fastClock(5),
      log: silentLogger,
      holders: async () => this.held,
      events: { add: (_about, event) => this.events.push(event), tell: async () => {} },
      onChange: () => {},
    });
  }

  get machine(): MpsMachine {
    const binary = join(this.#directory, "mps-control.mjs");
    return systemMps({ binary, startArguments: ["-d"], smiBinary: "nvidia-smi", searchPath: this.searchPath });
  }

  get searchPath(): string {
    return `${this.#directory}:/usr/bin:/bin`;
  }

  pid(deviceUuid: string): Promise<number | undefined> {
    return this.machine.pid({ directory: join(this.root, deviceUuid), deviceUuid });
  }

  /** How the stand-in behaves from now on. */
  behave(how: "" | "refuse" | "slow" | "hang" | "stubborn"): Promise<void> {
    return writeFile(join(this.#directory, "behaviour"), how);
  }

  clients(count: number): Promise<void> {
    return writeFile(join(this.#directory, "clients"), String(count));
  }

  /** The commands a daemon was sent that set something. */
  async told(deviceUuid: string): Promise<readonly string[]> {
    const text = await readFile(join(this.root, deviceUuid, "log", "control.log"), "utf8");
    return text.split("\n").filter((line) => line.startsWith("set_"));
  }

  /** What nvidia-smi was called with. */
  async modes(): Promise<readonly string[]> {
    return (await readFile(join(this.#directory, "modes"), "utf8")).trim().split("\n");
  }

  ready(deviceUuid: string): Promise<unknown> {
    return until(`the daemon of ${deviceUuid} works`, () => this.mps.isReady({ uuid: deviceUuid }), 30_000);
  }

  codes(): readonly string[] {
    return this.mps.findings().map((one) => one.code);
  }

  /** Ends the agent, and every daemon a test has left. */
  async clear(): Promise<void> {
    await this.mps.stop();
    for (const deviceUuid of await this.machine.known(this.root)) {
      const pid = await this.pid(deviceUuid);
      if (pid !== undefined) this.machine.kill(pid, "SIGKILL");
    }
  }
}
