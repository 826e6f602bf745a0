/**
 * What the agents of the nodes in view told last: asked again only when something about a node may have changed.
 */
import type { NodeSnapshot } from "../../../insight/index.ts";

interface Page {
  snapshot: NodeSnapshot | undefined;
  stale: boolean;
  asking: boolean;
}

export interface SnapshotBookOptions {
  /** Asks a node's agent; rejects while that cannot tell, and knows nothing of a node without one. */
  ask(node: string): Promise<NodeSnapshot | undefined>;
  /** Called when an answer has come. */
  onAnswer(): void;
}

export class SnapshotBook {
  readonly #options: SnapshotBookOptions;
  #pages = new Map<string, Page>();

  constructor(options: SnapshotBookOptions) {
    this.#options = options;
  }

  /** Something about the node may have changed. */
  stale(node: string): void {
    const page = this.#pages.get(node);
    if (page !== undefined) page.stale = true;
  }

  /** All may have changed: processes take memory without any event. */
  allStale(): void {
    for (const page of this.#pages.values()) page.stale = true;
  }

  /** What is known of these nodes, and of no others; asks for what is stale and does not wait. */
  of(nodes: ReadonlySet<string>): ReadonlyMap<string, NodeSnapshot> {
    this.#pages = new Map([...nodes].map((node) => [node, this.#pages.get(node) ?? newPage()]));
    for (const [node, page] of this.#pages) if (page.stale && !page.asking) void this.#ask(node, page);
    return new Map(
      [...this.#pages].flatMap(([node, { snapshot }]) => (snapshot === undefined ? [] : [[node, snapshot]])),
    );
  }

  async #ask(node: string, page: Page): Promise<void> {
    page.asking = true;
    page.stale = false;
    try {
      page.snapshot = await this.#options.ask(node);
    } catch {
      // What it told before stays in view; a kubelet or driver that is away has findings and events of its own.
      page.stale = true;
    }
    page.asking = false;
    this.#options.onAnswer();
  }
}

function newPage(): Page {
  return { snapshot: undefined, stale: true, asking: false };
}
