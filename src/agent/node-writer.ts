/**
 * What the agent writes about its node to the Kubernetes API: the MIG state label and events for findings.
 */
import { type Clock, errorText, type Finding, type Logger, placeText } from "../base/index.ts";
import type { MigConfigState } from "../insight/index.ts";
import { type EventApi, type KubeApi, type Node, recordEvent, resources } from "../kube/index.ts";

/** NVIDIA mig-parted's state label; users and tests wait for it. */
export const MIG_CONFIG_STATE_LABEL = "nvidia.com/mig.config.state";
const COMPONENT = "tranche-agent";

/** The calls of the Kubernetes API that this takes. */
export type NodeWriterApi = EventApi & Pick<KubeApi, "mergePatch">;

export class NodeWriter {
  readonly #api: NodeWriterApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  #told = new Set<string>();

  constructor(api: NodeWriterApi, clock: Clock, log: Logger) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
  }

  /** Sets the state label when it differs from the node's; `undefined` takes it away. Returns the node as it is then. */
  async writeState(node: Node, state: MigConfigState | undefined): Promise<Node> {
    const before = node.metadata.labels?.[MIG_CONFIG_STATE_LABEL];
    if (before === state) return node;
    const patch = { metadata: { labels: { [MIG_CONFIG_STATE_LABEL]: state ?? null } } };
    return this.#api.mergePatch<Node>(resources.nodes, { name: node.metadata.name }, patch);
  }

  /**
   * Writes an event for each finding that was not there before; one that went and came back is told again, and so is
   * one whose event could not be written.
   */
  async writeFindings(node: Node, findings: readonly Finding[]): Promise<void> {
    const now = new Map(findings.map((one) => [`${one.code} ${one.subject.name} ${one.message}`, one]));
    const told = new Set<string>();
    for (const [key, one] of now) {
      const done = this.#told.has(key) || (await this.writeEvent(node, reasonOf(one.code), textOf(one), one.severity));
      if (done) told.add(key);
    }
    this.#told = told;
  }

  /**
   * Writes one event about the node; false when that failed, which is logged: events must not hold up the change they
   * tell of.
   */
  async writeEvent(
    node: Node,
    reason: string,
    message: string,
    severity: Finding["severity"] = "info",
  ): Promise<boolean> {
    const type = severity === "info" ? "Normal" : "Warning";
    try {
      const input = { object: node, type, reason, message, component: COMPONENT, host: node.metadata.name } as const;
      await recordEvent(this.#api, input, this.#clock);
      return true;
    } catch (error) {
      this.#log.warn({ node: node.metadata.name, reason, error: errorText(error) }, "event not written");
      return false;
    }
  }
}

/** Where, what was seen, what to do. */
function textOf({ subject, place, message, remedy }: Finding): string {
  const where = place === undefined ? subject.name : placeText(place);
  return `${where}: ${message}${remedy === "" ? "" : `; ${remedy}`}`;
}

/** `slice-in-use` as an event's reason: `SliceInUse`. */
function reasonOf(code: string): string {
  return code
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
