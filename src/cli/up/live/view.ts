/**
 * The live view: follows the cluster and draws it anew, a few times a second at most and only what has changed.
 */
import type { Clock, Finding, Logger } from "../../../base/index.ts";
import type { NodeSnapshot } from "../../../insight/index.ts";
import type { Node, Pod, ResourceCache } from "../../../kube/index.ts";
import { summaryLine } from "../../report/text.ts";
import type { Terminal } from "../../terminal.ts";
import { assemble, nodesInView, type View } from "./assemble.ts";
import { frame } from "./frame.ts";
import { SnapshotBook } from "./snapshot-book.ts";
import { Sorted } from "./sorted.ts";
import type { LogEntry } from "./state.ts";

/** The shortest time between two pictures that nobody asked for. */
const PAUSE_MS = 200;
/** The longest: ages go on. */
const EVERY_MS = 1_000;
/** How often agents are asked without a reason: processes take memory without any event. */
const ASK_EVERY_MS = 2_000;
/** More than any terminal shows. */
const LOG_LIMIT = 200;

export interface LiveViewOptions {
  readonly terminal: Terminal;
  /** All nodes and pods; the view follows them while it runs. */
  readonly caches: { readonly nodes: ResourceCache<Node>; readonly pods: ResourceCache<Pod> };
  readonly clock: Clock;
  readonly log: Logger;
  readonly server: string;
  readonly kubeconfigPath: string;
  /** How many GPUs all nodes have, and whether they are simulated. */
  readonly gpus: number;
  readonly simulated: boolean;
  /** Findings from before the cluster started. */
  readonly findings: readonly Finding[];
  /** Asks the agent of a node; rejects while that cannot tell, and knows nothing of a node without one. */
  snapshot(node: string): Promise<NodeSnapshot | undefined>;
  /** The user wants to leave. */
  onQuit(): void;
}

export class LiveView {
  readonly #options: LiveViewOptions;
  readonly #nodeCache: ResourceCache<Node>;
  readonly #podCache: ResourceCache<Pod>;
  readonly #nodes: Sorted<Node>;
  readonly #pods: Sorted<Pod>;
  readonly #snapshots: SnapshotBook;
  readonly #log: LogEntry[] = [];
  #view: Omit<View, "rows"> = { nodeOffset: 0, podOffset: 0, focus: "nodes" };
  #askedAllMs = 0;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(options: LiveViewOptions) {
    const { caches } = options;
    this.#options = options;
    this.#nodeCache = caches.nodes;
    this.#podCache = caches.pods;
    this.#nodes = new Sorted(this.#nodeCache);
    this.#pods = new Sorted(this.#podCache);
    this.#snapshots = new SnapshotBook({ ask: options.snapshot, onAnswer: () => this.#change() });
    this.#nodeCache.onChange(({ object }) => this.#changeOf(object.metadata.name));
    this.#podCache.onChange(({ object }) => this.#changeOf(object.spec.nodeName));
  }

  /** Adds a line about what happens. */
  tell(text: string): void {
    this.#log.push({ atMs: this.#options.clock.now(), text });
    if (this.#log.length > LOG_LIMIT) this.#log.shift();
    this.#change();
  }

  /** One line about the cluster as it was seen last. */
  summary(): string {
    const { gpus, simulated } = this.#options;
    const phases = this.#podCache.items().map((pod) => pod.status?.phase ?? "Pending");
    return summaryLine({ nodes: this.#nodeCache.items().length, gpus, simulated, phases });
  }

  /** Draws until the signal fires; the terminal is then as it was before. */
  async run(signal: AbortSignal): Promise<void> {
    const { terminal } = this.#options;
    const following = Promise.all([this.#nodeCache.run(signal), this.#podCache.run(signal)]);
    const close = terminal.open({ onKey: (key) => this.#press(key), onResize: () => this.#draw() });
    try {
      while (!signal.aborted) {
        this.#draw();
        await this.#nextDraw(signal);
      }
    } finally {
      close();
      await following;
    }
  }

  #draw(): void {
    this.#changed = false;
    const { terminal, clock, findings, gpus, simulated, server, kubeconfigPath } = this.#options;
    const nowMs = clock.now();
    if (nowMs - this.#askedAllMs >= ASK_EVERY_MS) {
      this.#askedAllMs = nowMs;
      this.#snapshots.allStale();
    }
    const size = terminal.size();
    const view = { ...this.#view, rows: size.rows };
    const [nodes, pods] = [this.#nodes.items(), this.#pods.items()];
    const snapshots = this.#snapshots.of(nodesInView({ nodes, pods, view }));
    const { hasKeys } = terminal;
    const about = { findings, gpus, simulated, server, kubeconfigPath, hasKeys, log: this.#log };
    terminal.draw(frame(assemble({ ...about, nodes, pods, snapshots, view, nowMs }), size));
  }

  /** Never sooner than the pause, so that a burst of changes costs one picture. */
  async #nextDraw(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    await clock.sleep(PAUSE_MS, signal).catch(() => {});
    if (this.#changed || signal.aborted) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await clock.sleep(EVERY_MS - PAUSE_MS, AbortSignal.any([signal, woken.signal])).catch(() => {});
    this.#wake = undefined;
  }

  #changeOf(node: string | undefined): void {
    if (node !== undefined) this.#snapshots.stale(node);
    this.#change();
  }

  #change(): void {
    this.#changed = true;
    this.#wake?.();
  }

  #press(key: string): void {
    if (key === "q") this.#options.onQuit();
    else if (key === "tab") this.#view = { ...this.#view, focus: this.#view.focus === "nodes" ? "pods" : "nodes" };
    else this.#scroll(key);
    this.#draw();
  }

  #scroll(key: string): void {
    const page = Math.max(1, Math.floor(this.#options.terminal.size().rows / 3));
    const steps: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -page, pagedown: page, home: -Infinity };
    const { nodeOffset, podOffset, focus } = this.#view;
    const [offset, count] =
      focus === "nodes" ? [nodeOffset, this.#nodes.items().length] : [podOffset, this.#pods.items().length];
    const moved = Math.max(0, Math.min(count - 1, offset + (steps[key] ?? 0)));
    this.#view = focus === "nodes" ? { ...this.#view, nodeOffset: moved } : { ...this.#view, podOffset: moved };
  }
}
