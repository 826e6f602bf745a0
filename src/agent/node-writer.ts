/**
 * What the agent writes about its node to the Kubernetes API: the MIG state label and events for findings.
 */
import { type Clock, errorText, type Finding, type Logger, placeText } from "../base/index.ts";
import type { MigConfigState } from "../insight/index.ts";
import { type EventApi, type KubeApi, type KubeObject, type Node, recordEvent, resources } from "../kube/index.ts";
import type { PluginConfigInForce } from "./turn-result.ts";

/** NVIDIA mig-parted's state label; users and tests wait for it. */
export const MIG_CONFIG_STATE_LABEL = "nvidia.com/mig.config.state";
/** Which device-plugin config the node runs with, by name and hash, and since when. */
export const PLUGIN_CONFIG_ANNOTATION = "tranche.dev/device-plugin-config";
const COMPONENT = "tranche-agent";

/** The calls of the Kubernetes API that this takes. */
export type NodeWriterApi = EventApi & Pick<KubeApi, "mergePatch">;

/** What an event tells; all but `info` is a warning. */
export interface AgentEvent {
  readonly reason: string;
  readonly message: string;
  readonly severity: Finding["severity"];
}

export class NodeWriter {
  readonly #node: string;
  readonly #api: NodeWriterApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  #told = new Set<string>();

  constructor(options: {
    readonly node: string;
    readonly api: NodeWriterApi;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#node = options.node;
    this.#api = options.api;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Sets the state label when it differs from the node's; `undefined` takes it away. Returns the node as it is then. */
  async writeState(node: Node, state: MigConfigState | undefined): Promise<Node> {
    const before = node.metadata.labels?.[MIG_CONFIG_STATE_LABEL];
    if (before === state) return node;
    const patch = { metadata: { labels: { [MIG_CONFIG_STATE_LABEL]: state ?? null } } };
    return this.#api.mergePatch<Node>(resources.nodes, { name: node.metadata.name }, patch);
  }

  /**
   * Says on the node which device-plugin config it runs with; `undefined` for the defaults takes that away. Since when is
   * left as it stands for the same config, which an agent before may have said.
   */
  async writePluginConfig(node: Node, { name, hash, sinceMs }: PluginConfigInForce): Promise<void> {
    const before = node.metadata.annotations?.[PLUGIN_CONFIG_ANNOTATION];
    const config = hash === undefined ? undefined : JSON.stringify({ name, hash });
    if (config === undefined ? before === undefined : before?.startsWith(`${config.slice(0, -1)},`)) return;
    const since = new Date(sinceMs).toISOString();
    const said = config === undefined ? null : JSON.stringify({ name, hash, since });
    const patch = { metadata: { annotations: { [PLUGIN_CONFIG_ANNOTATION]: said } } };
    await this.#api.mergePatch<Node>(resources.nodes, { name: node.metadata.name }, patch);
  }

  /**
   * Writes an event for each finding that was not there before; one that went and came back is told again, and so is
   * one whose event could not be written.
   */
  async writeFindings(node: Node, findings: readonly Finding[]): Promise<void> {
    const now = new Map(findings.map((one) => [`${one.code} ${one.subject.name} ${one.message}`, one]));
    const told = new Set<string>();
    for (const [key, one] of now) {
      const event = { reason: reasonOf(one.code), message: textOf(one), severity: one.severity };
      if (this.#told.has(key) || (await this.writeEvent(node, event))) told.add(key);
    }
    this.#told = told;
  }

  /**
   * Writes one event about the node or a pod on it; false when that failed, which is logged: events must not hold up the
   * change they tell of.
   */
  async writeEvent(object: KubeObject, { reason, message, severity }: AgentEvent): Promise<boolean> {
    const type = severity === "info" ? "Normal" : "Warning";
    try {
      const input = { object, type, reason, message, component: COMPONENT, host: this.#node } as const;
      await recordEvent(this.#api, input, this.#clock);
      return true;
    } catch (error) {
      const about = object.metadata.name;
      this.#log.warn({ node: this.#node, about, reason, error: errorText(error) }, "event not written");
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
