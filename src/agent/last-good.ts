/**
 * The policy and device-plugin config that could be read last, kept beyond the agent's end.
 *
 * An agent that is started anew while an edit cannot be read would otherwise fall back to the defaults, and take shares
 * away from a node whose pods rely on them.
 */
import { errorText, type Logger, type Outcome } from "../base/index.ts";
import { type ClusterPolicyConfig, readClusterPolicy } from "../config/index.ts";
import type { KubeObject } from "../kube/index.ts";
import { type ConfigText, type NamedPluginConfig, namedPluginConfig, noPluginConfig } from "./plugin-config.ts";

/** What stays in force while its successor cannot be read. */
export interface LastGood extends NamedPluginConfig {
  /** `undefined` without one, or while none could be read yet. */
  readonly policy: ClusterPolicyConfig | undefined;
  /** What `policy` was read from. */
  readonly policySource: KubeObject | undefined;
}

/** Where a text outlives the agent. */
export interface LastingText {
  /** `undefined` when nothing was kept. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

export class LastGoodMemory {
  readonly #place: LastingText;
  readonly #log: Logger;
  #kept: string | undefined;

  constructor(place: LastingText, log: Logger) {
    this.#place = place;
    this.#log = log;
  }

  /** What an agent before this one kept; `undefined` when there is nothing that can be read. Never rejects. */
  async recall(): Promise<LastGood | undefined> {
    try {
      const text = await this.#place.read();
      this.#kept = text;
      return text === undefined ? undefined : parseLastGood(text);
    } catch (error) {
      this.#log.warn({ error: errorText(error) }, "the last good config cannot be read");
      return undefined;
    }
  }

  /** Keeps it, if it is another one than before. Never rejects; what could not be written is tried again next time. */
  async keep(lastGood: LastGood): Promise<void> {
    const text = lastGoodText(lastGood);
    if (text === this.#kept) return;
    try {
      await this.#place.write(text);
      this.#kept = text;
    } catch (error) {
      this.#log.warn({ error: errorText(error) }, "the last good config is not kept");
    }
  }
}

/** Reads a policy as the API has it. */
export function readPolicy(policy: KubeObject): Outcome<ClusterPolicyConfig> {
  const file = `clusterpolicy/${policy.metadata.name}`;
  return readClusterPolicy({ ...policy }, () => ({ file, line: 1, column: 1 }));
}

/** The sources, not what was made of them: the next agent may read them better. */
export function lastGoodText({ policySource: policy, pluginConfigSource }: LastGood): string {
  const { apiVersion, kind, metadata, ...parts } = policy ?? {};
  return `${JSON.stringify({
    clusterPolicy: policy && { apiVersion, kind, ...parts, metadata: { name: metadata?.name }, status: undefined },
    devicePluginConfig: pluginConfigSource,
  })}\n`;
}

/** Throws on a text that `lastGoodText` has not made; a part that can no longer be read is left out. */
export function parseLastGood(text: string): LastGood {
  const kept: unknown = JSON.parse(text);
  const policySource = policyIn(kept);
  const read = policySource && readPolicy(policySource);
  const policy = read?.ok === true ? read.value : undefined;
  const config = configIn(kept);
  const { inForce = noPluginConfig } = config === undefined ? {} : namedPluginConfig(config);
  return { ...inForce, policy, policySource: policy && policySource };
}

function policyIn(kept: unknown): KubeObject | undefined {
  const policy = fieldOf(kept, "clusterPolicy");
  const name = fieldOf(fieldOf(policy, "metadata"), "name");
  const [apiVersion, kind] = [fieldOf(policy, "apiVersion"), fieldOf(policy, "kind")];
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof name !== "string") return undefined;
  return { ...Object(policy), apiVersion, kind, metadata: { name } };
}

function configIn(kept: unknown): ConfigText | undefined {
  const config = fieldOf(kept, "devicePluginConfig");
  const [name, text, file] = [fieldOf(config, "name"), fieldOf(config, "text"), fieldOf(config, "file")];
  const isWhole = typeof name === "string" && typeof text === "string" && typeof file === "string";
  return isWhole ? { name, text, file } : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}
