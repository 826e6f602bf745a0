/**
 * What the agent writes about its node to the Kubernetes API: the MIG state label and events for findings.
 */
import type { Clock, Finding, Logger } from "../base/index.ts";
import { errorText } from "../base/index.ts";
import type { MigConfigState } from "../insight/index.ts";
import { type KubeApi, type Node, recordEvent, resources } from "../kube/index.ts";

/** NVIDIA mig-parted's state label; users and tests wait for it. */
export const MIG_CONFIG_STATE_LABEL = "nvidia.com/mig.config.state";
const COMPONENT = "tranche-agent";

export class NodeWriter {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  #told = new Set<string>();

  constructor(api: KubeApi, clock: Clock, log: Logger) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
  }

  /** Sets the state label when it differs; `undefined` takes it away. */
  async writeState(node: Node, state: MigConfigState | undefined): Promise<void> {
    const before = node.metadata.labels?.[MIG_CONFIG_STATE_LABEL];
    if (before === state) return;
    const patch = { metadata: { labels: { [MIG_CONFIG_STATE_LABEL]: state ?? null } } };
    await this.#api.mergePatch(resources.nodes, { name: node.metadata.name }, patch);
  }

  /** Writes an event for each finding that was not there before; one that went and came back is told again. */
  async writeFindings(node: Node, findings: readonly Finding[]): Promise<void> {
    const now = new Map(findings.map((one) => [`${one.code} ${one.subject.name} ${one.message}`, one]));
    for (const [key, one] of now) {
      if (this.#told.has(key)) continue;
      const remedy = one.remedy === "" ? "" : `; ${one.remedy}`;
      await this.writeEvent(node, reasonOf(one.code), `${one.subject.name}: ${one.message}${remedy}`, one.severity);
    }
    this.#told = new Set(now.keys());
  }

  /** Writes one event about the node. A failure to write is logged: events must not hold up the change they tell of. */
  async writeEvent(node: Node, reason: string, message: string, severity: Finding["severity"] = "info"): Promise<void> {
    const type = severity === "info" ? "Normal" : "Warning";
    try {
      const input = { object: node, type, reason, message, component: COMPONENT, host: node.metadata.name } as const;
      await recordEvent(this.#api, input, this.#clock);
    } catch (error) {
      this.#log.warn({ node: node.metadata.name, reason, error: errorText(error) }, "event not written");
    }
  }
}

/** `slice-in-use` as an event's reason: `SliceInUse`. */
function reasonOf(code: string): string {
  return code
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
