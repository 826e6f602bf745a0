/**
 * One agent a node: a lock in the state directory, and one where the kubelet's plugins are, which also an agent with
 * another state directory meets. The kubelet empties its directory when it starts, so that lock is made anew then.
 */
import { join } from "node:path";
import { errorText, type Finding, finding, type Outcome } from "../../base/index.ts";
import { type AgentLock, type LockResult, PLUGIN_LOCK, takeAgentLock } from "./agent-lock.ts";

export interface NodeLockOptions {
  readonly node: string;
  readonly stateDir: string;
  readonly devicePluginDirectory: string;
}

/** Held from `take` to `release`. */
export class NodeLock {
  readonly #options: NodeLockOptions;
  /** By path. */
  readonly #held = new Map<string, AgentLock>();

  private constructor(options: NodeLockOptions) {
    this.#options = options;
  }

  /** Takes both locks, or tells who has one of them. */
  static async take(options: NodeLockOptions): Promise<Outcome<NodeLock>> {
    const lock = new NodeLock(options);
    for (const path of lock.#paths()) {
      const problem = await lock.#take(path);
      if (problem === undefined) continue;
      await lock.release();
      return { ok: false, findings: [problem] };
    }
    return { ok: true, value: lock, findings: [] };
  }

  /** Makes a lock anew whose file is gone or not its own any more; the finding says who was quicker. */
  async keep(): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for (const path of this.#paths()) {
      const lock = this.#held.get(path);
      if (await lock?.stands()) continue;
      await lock?.release();
      this.#held.delete(path);
      const problem = await this.#take(path);
      if (problem !== undefined) findings.push(problem);
    }
    return findings;
  }

  async release(): Promise<void> {
    for (const lock of this.#held.values()) await lock.release();
    this.#held.clear();
  }

  #paths(): readonly string[] {
    const { stateDir, devicePluginDirectory } = this.#options;
    return [join(stateDir, "agent.lock"), join(devicePluginDirectory, PLUGIN_LOCK)];
  }

  async #take(path: string): Promise<Finding | undefined> {
    const mark = `agent of ${this.#options.node}, process ${process.pid}, since ${new Date().toISOString()}`;
    let result: LockResult;
    try {
      result = await takeAgentLock(path, mark);
    } catch (error) {
      const remedy = "choose another --state-dir or --kubelet-root, or give the agent the right to write there";
      return finding("state-dir-unusable", { kind: "file", name: path }, `cannot lock ${path}: ${errorText(error)}`, {
        remedy,
      });
    }
    if (!result.taken) {
      const message = `another agent works on this node: ${path} is held by ${result.holder}`;
      const remedy = "end it first; one DaemonSet or one systemd unit a node, not both";
      return finding("second-agent", { kind: "node", name: this.#options.node }, message, { remedy });
    }
    this.#held.set(path, result.lock);
    return undefined;
  }
}
