/**
 * Registers the node and keeps its status true: one write at a time, when something differs, and every five minutes for
 * its heartbeat.
 */
import { isDeepStrictEqual } from "node:util";
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import { BackOff, hasStatus, type KubeApi, type KubeEvent, type Node, resources } from "../../kube/index.ts";
import type { ResourceCounts } from "./device-table.ts";
import { kubeletLabels, type Machine, newNode, nodeStatus, withHeartbeat } from "./node-object.ts";

export interface NodeWriterOptions {
  readonly api: KubeApi;
  readonly machine: Machine;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Queues an event about the node. */
  tell(node: Node, type: KubeEvent["type"], event: readonly [reason: string, message: string]): void;
  counts(): ReadonlyMap<string, ResourceCounts>;
  /** Called once, when the node is registered. */
  onRegistered(node: Node): void;
  /** Whether extended resources without a plugin are zeroed at the first write. */
  resetOthers(): boolean;
}

/** How old the last status may get (`nodeStatusReportFrequency`). */
const reportEveryMs = 300_000;

export class NodeWriter {
  readonly #options: NodeWriterOptions;
  #node: Node | undefined;
  #registered = false;
  #wake: (() => void) | undefined;
  #due = true;
  #writing = false;
  #first = true;
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: NodeWriterOptions) {
    this.#options = options;
  }

  /** Whether a write is under way or due; one that is for the heartbeat alone does not count. */
  get busy(): boolean {
    return this.#due || this.#writing;
  }

  /** The node as the server last answered; `undefined` before it is registered. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** Something the status depends on has changed. */
  publish(): void {
    this.#due = true;
    this.#wake?.();
  }

  /** Reads the node again, for labels that others may have changed. */
  async refresh(): Promise<Node> {
    const node = await this.#options.api.get<Node>(resources.nodes, { name: this.#options.machine.name });
    this.#node = node;
    return node;
  }

  /** Registers and writes until the signal fires, trying again whenever the server cannot be reached. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, machine } = this.#options;
    const backOff = new BackOff(Math.random);
    while (!signal.aborted) {
      this.#writing = this.#due;
      this.#due = false;
      const startMs = clock.now();
      try {
        const node = this.#registered && this.#node !== undefined ? this.#node : await this.#register();
        await this.#write(node);
        this.#writing = false;
        await this.#nextChange(signal);
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ node: machine.name, problem: errorText(error) }, "node status not written");
        if (hasStatus(error, 404)) {
          // Somebody deleted the node. A kubelet registers when it starts and not again.
          this.#writing = false;
          await this.#nextChange(signal);
          continue;
        }
        this.#due ||= this.#writing;
        await clock.sleep(backOff.afterTry(clock.now() - startMs), signal).catch(() => {});
      }
    }
    this.#writing = false;
    this.#due = false;
  }

  async #register(): Promise<Node> {
    const node = await this.#createOrAdopt();
    this.#node = node;
    this.#registered = true;
    this.#tellStart(node);
    this.#options.onRegistered(node);
    return node;
  }

  /** A node that exists keeps its labels and annotations; only the kubelet's own are set. */
  async #createOrAdopt(): Promise<Node> {
    const { api, machine } = this.#options;
    try {
      return await api.create<Node>(resources.nodes, newNode(machine));
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
    }
    const labels = kubeletLabels(machine.name);
    return await api.mergePatch<Node>(resources.nodes, { name: machine.name }, { metadata: { labels } });
  }

  /** The kubelet's events about itself (Kubernetes pkg/kubelet/kubelet.go, pkg/kubelet/nodestatus/setters.go). */
  #tellStart(node: Node): void {
    const { bootId, machine, tell } = this.#options;
    tell(node, "Normal", ["Starting", "Starting kubelet."]);
    const before = node.status?.nodeInfo?.["bootID"] ?? "";
    if (before === "" || before === bootId) return;
    tell(node, "Warning", ["Rebooted", `Node ${machine.name} has been rebooted, boot id: ${bootId}`]);
  }

  async #write(known: Node): Promise<void> {
    const { api, machine, bootId, clock, counts, resetOthers } = this.#options;
    const facts = { machine, bootId, counts: counts(), resetOthers: this.#first && resetOthers(), nowMs: clock.now() };
    const isDue = facts.nowMs >= this.#reportedAtMs + reportEveryMs;
    if (isDue || Object.keys(changes(known, nodeStatus(known, facts))).length > 0) {
      // The patch replaces the conditions as a whole, so those that others have set since must be among them.
      const node = await this.refresh();
      const status = nodeStatus(node, facts);
      const conditions = withHeartbeat(status.conditions ?? [], facts.nowMs);
      const body = { status: { ...changes(node, status), conditions } };
      this.#node = await api.mergePatch<Node>(resources.nodes, { name: machine.name }, body, { subresource: "status" });
      this.#reportedAtMs = facts.nowMs;
      this.#tellReady(node);
    }
    this.#first = false;
  }

  /** Tells when the node is ready again that was not (Kubernetes pkg/kubelet/nodestatus/setters.go). */
  #tellReady(before: Node): void {
    const { machine, tell } = this.#options;
    const ready = before.status?.conditions?.find((one) => one.type === "Ready");
    if (ready === undefined || ready.status === "True") return;
    tell(before, "Normal", ["NodeReady", `Node ${machine.name} status is now: NodeReady`]);
  }

  /** Resolves when something has changed, the next heartbeat is due or the signal fires. */
  async #nextChange(signal: AbortSignal): Promise<void> {
    if (this.#due || signal.aborted) return;
    const { clock } = this.#options;
    const done = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const waitMs = Math.max(0, this.#reportedAtMs + reportEveryMs - clock.now());
    const slept = clock.sleep(waitMs, AbortSignal.any([signal, done.signal])).catch(() => {});
    await Promise.race([woken, slept]);
    this.#wake = undefined;
    done.abort();
  }
}

/** The fields of `status` that the node does not have so. */
function changes(node: Node, status: NonNullable<Node["status"]>): Readonly<Record<string, unknown>> {
  const before = new Map<string, unknown>(Object.entries(node.status ?? {}));
  return Object.fromEntries(
    Object.entries(status).filter(([key, value]) => !isDeepStrictEqual(value, before.get(key))),
  );
}
