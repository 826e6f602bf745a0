/** What a node with an agent is told to be: ConfigMaps that are edited, also so that they cannot be read, and a label. */
import { createHash } from "node:crypto";
import { type KubeObject, resources } from "../../../src/kube/index.ts";
import type { AgentMachine } from "../../support/agent-machine.ts";
import { clusterPolicy, configMap, migParted, operatorNamespace } from "../../support/manifests.ts";
import { type GpuLayout, layouts, type ShareConfig, shareConfigs } from "./agent-model.ts";

const UNREADABLE = "sharing: {timeSlicing: {}}";

/** The objects before the first edit. */
export const firstObjects: readonly KubeObject[] = [
  clusterPolicy({ mig: "mig", plugin: "plugin", pluginDefault: "any" }),
  configMap("plugin", { any: shareConfigs[0].text }),
  configMap("mig", { "config.yaml": migText(layouts[0]) }),
];

export class EditedConfig {
  readonly #machine: AgentMachine;
  /** `undefined` where it cannot be read. */
  #shares: ShareConfig | undefined = shareConfigs[0];
  #layout: GpuLayout | undefined = layouts[0];
  #isCut = true;
  /** Configs that the agent may have read since what is in force was last looked at. */
  #readable = new Set([shareConfigs[0]]);

  constructor(machine: AgentMachine) {
    this.#machine = machine;
  }

  get shares(): ShareConfig | undefined {
    return this.#shares;
  }

  /** `undefined` where nobody can tell. */
  get layout(): GpuLayout | undefined {
    return this.#layout;
  }

  async editShares(config: ShareConfig | undefined): Promise<void> {
    this.#shares = config;
    if (config !== undefined) this.#readable.add(config);
    await this.#edit("plugin", { any: config?.text ?? UNREADABLE });
  }

  async editLayout(layout: GpuLayout | undefined): Promise<void> {
    this.#layout = layout;
    await this.#edit("mig", { "config.yaml": layout === undefined ? "mig-configs: [" : migText(layout) });
  }

  async label(config: "cut" | "off"): Promise<void> {
    this.#isCut = config === "cut";
    await this.#machine.relabel(config);
  }

  /** The config of which `text` tells the hash, if it may be in force: as it is now or, while that cannot be read, was. */
  inForceBy(text: string): ShareConfig | undefined {
    const candidates = this.#shares === undefined ? [...this.#readable] : [this.#shares];
    const found = candidates.find((one) => text.includes(`hash="${hashOf(one.text)}"`));
    if (found !== undefined) this.#readable = new Set([found]);
    return found;
  }

  /** Whether a GPU cut into these profiles, or whole for `undefined`, is as config and label say. */
  isMet(profiles: readonly string[] | undefined): boolean {
    if (this.#layout === undefined) return true;
    const cut = Object.entries(this.#layout).flatMap(([profile, count]) => Array<string>(count).fill(profile));
    return JSON.stringify(profiles) === (this.#isCut ? JSON.stringify(cut.sort()) : undefined);
  }

  async #edit(name: string, data: Record<string, string>): Promise<void> {
    await this.#machine.client.mergePatch(resources.configMaps, { namespace: operatorNamespace, name }, { data });
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function migText(layout: GpuLayout): string {
  const cut = [
    { devices: [0], "mig-enabled": true, "mig-devices": layout },
    { devices: [1], "mig-enabled": false },
  ];
  const { version, "mig-configs": off } = JSON.parse(migParted({ off: {} }));
  return JSON.stringify({ version, "mig-configs": { ...off, cut } });
}
