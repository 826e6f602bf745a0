/**
 * Keeps a node labelled with what its GPUs are, in place of GPU Feature Discovery: on the Node itself, or in a file for
 * Node Feature Discovery.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, errorText, type Finding, finding, type Logger } from "../base/index.ts";
import { effectiveFeatureFlags } from "../config/index.ts";
import { DriverError, type Gpu, type GpuDriver, type NodeFacts } from "../gpu/index.ts";
import {
  FEATURE_LABELS_ANNOTATION,
  type FeatureLabels,
  type FeatureLabelsRequest,
  featureFileText,
  featureLabelPatch,
  featureLabels,
  TIMESTAMP_LABEL,
} from "../insight/index.ts";
import { type KubeApi, type Node, resources } from "../kube/index.ts";
import type { DesiredState } from "./desired.ts";
import { FeatureFile } from "./feature-file.ts";

/** How long what changes rarely is taken as it was: GPU Feature Discovery's own `sleepInterval`. */
const FACTS_FOR_MS = 60_000;

/** Where the labels come from and go to, beside what ClusterPolicy and config say. */
export interface FeatureLabelSettings {
  /** What a file of the machine says, such as `/sys/class/dmi/id/product_name`; `undefined` when it cannot be read. */
  readMachineType(path: string): Promise<string | undefined>;
  /**
   * Environment and command line of the agent, which overrule those of the ClusterPolicy. The option `--output-file` asks
   * for the file, while the same setting from anywhere else only says where it would be. Default none.
   */
  readonly environment?: ReadonlyMap<string, string>;
  /** Where the machine's `/` is for the file. Default `/`. */
  readonly root?: string;
}

/** Reads files of the machine whose `/` is at `root`. */
export function machineTypeReader(root: string): FeatureLabelSettings["readMachineType"] {
  return async (path) => {
    try {
      return await readFile(join(root, path), "utf8");
    } catch {
      return undefined;
    }
  };
}

export interface FeatureLabellerOptions extends FeatureLabelSettings {
  readonly node: string;
  readonly driver: Pick<GpuDriver, "driverVersion" | "nodeFacts">;
  readonly api: Pick<KubeApi, "mergePatch">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the labels are to tell of. */
export interface LabelledState {
  /** As last seen. */
  readonly node: Node;
  readonly gpus: readonly Gpu[];
  readonly desired: Pick<DesiredState, "policy" | "pluginConfig"> & {
    readonly settings: Pick<DesiredState["settings"], "migStrategy">;
  };
}

interface KnownFacts {
  readonly facts: NodeFacts;
  /** The GPUs it was read of. */
  readonly gpuUuids: string;
  readonly untilMs: number;
}

/** Lives until `stop`; one `update` at a time. */
export class FeatureLabeller {
  readonly #options: FeatureLabellerOptions;
  readonly #file = new FeatureFile();
  #facts: KnownFacts | undefined;
  /** The labels without their time, and since when they are so, in Unix seconds. */
  #last: { readonly text: string; readonly timestamp: number } | undefined;
  /** Names that were written to the Node last. */
  #written: readonly string[] = [];

  constructor(options: FeatureLabellerOptions) {
    this.#options = options;
  }

  /**
   * Makes the labels what they should be and answers with what there is to tell. While the driver has never told of the
   * node, labels stay as they are. Throws `KubeError` when the Node cannot be written.
   */
  async update({ node, gpus, desired }: LabelledState): Promise<readonly Finding[]> {
    const { policy, pluginConfig, settings } = desired;
    const { environment = new Map() } = this.#options;
    const { flags, findings } = effectiveFeatureFlags(pluginConfig.flags.gfd, [
      environment,
      policy?.gfd.env ?? new Map(),
    ]);
    if (policy?.gfd.enabled === false) return this.#write(node, new Map(), undefined);
    const facts = await this.#factsNow(gpus);
    if (facts === undefined) return findings;
    const made = this.#labels(
      {
        nodeName: this.#options.node,
        gpus,
        driverVersion: this.#options.driver.driverVersion,
        facts,
        config: pluginConfig,
        migStrategy: settings.migStrategy,
        machineType:
          flags.machineTypeFile === "" ? undefined : await this.#options.readMachineType(flags.machineTypeFile),
        timestamp: undefined,
      },
      flags.noTimestamp ? undefined : node,
    );
    const wantsFile = !flags.useNodeFeatureApi || environment.has("--output-file");
    const path = wantsFile && flags.outputFile !== "" ? join(this.#options.root ?? "/", flags.outputFile) : undefined;
    return [...findings, ...made.findings, ...(await this.#write(node, made.labels, path))];
  }

  /** Takes the file away, whose labels would otherwise stay for ever; labels on the Node stay for the next agent. */
  async stop(): Promise<void> {
    const { node, log } = this.#options;
    await this.#file.remove().catch((error: unknown) => {
      log.warn({ node, error: errorText(error) }, "feature file not removed");
    });
  }

  /**
   * Feature discovery's time is that of its start or last reload; here it is when the labels last changed, which for an
   * agent that starts anew on `node` may be long ago. Without a node there is no time.
   */
  #labels(request: FeatureLabelsRequest, node: Node | undefined): FeatureLabels {
    const made = featureLabels(request);
    const text = featureFileText(made.labels);
    if (this.#last?.text !== text) {
      const before = this.#last === undefined && node !== undefined ? timeOf(node, made.labels) : undefined;
      this.#last = { text, timestamp: before ?? Math.floor(this.#options.clock.now() / 1000) };
    }
    return node === undefined ? made : featureLabels({ ...request, timestamp: this.#last.timestamp });
  }

  /** `undefined` while the driver has told nothing yet. */
  async #factsNow(gpus: readonly Gpu[]): Promise<NodeFacts | undefined> {
    const { driver, clock } = this.#options;
    const gpuUuids = gpus.map(({ uuid }) => uuid).join();
    const known = this.#facts;
    if (known !== undefined && known.gpuUuids === gpuUuids && clock.now() < known.untilMs) return known.facts;
    try {
      const facts = await driver.nodeFacts();
      this.#facts = { facts, gpuUuids, untilMs: clock.now() + FACTS_FOR_MS };
      return facts;
    } catch (error) {
      if (error instanceof DriverError) return known?.facts;
      throw error;
    }
  }

  /** To the file at `path`, or to the Node; what was written to the other one before goes. */
  async #write(node: Node, labels: ReadonlyMap<string, string>, path: string | undefined): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    try {
      if (path === undefined) await this.#file.remove();
      else await this.#file.write(path, featureFileText(labels));
    } catch (error) {
      findings.push(this.#fileFinding(path, error));
    }
    const leftToNfd = await this.#writeNode(node, path === undefined ? labels : new Map());
    if (leftToNfd.length > 0) findings.push(this.#nfdFinding(leftToNfd));
    return findings;
  }

  async #writeNode(node: Node, labels: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const { api, log } = this.#options;
    const { patch, leftToNfd, replaced } = featureLabelPatch(node, labels, this.#written);
    if (patch === undefined) return leftToNfd;
    const { name } = node.metadata;
    if (replaced.length > 0) log.info({ node: name, labels: replaced }, "labels of others replaced");
    this.#written = [...new Set([...this.#written, ...labels.keys()])];
    await api.mergePatch<Node>(resources.nodes, { name }, patch);
    this.#written = [...labels.keys()].filter((label) => !leftToNfd.includes(label));
    return leftToNfd;
  }

  #fileFinding(path: string | undefined, error: unknown): Finding {
    const message = `cannot write ${path ?? "the feature file"}: ${errorText(error)}`;
    const remedy = "let the agent write the directory that Node Feature Discovery reads, or write labels to the Node";
    return finding("feature-file-not-written", { kind: "node", name: this.#options.node }, message, { remedy });
  }

  #nfdFinding(labels: readonly string[]): Finding {
    const message = `Node Feature Discovery writes ${labels.length} labels of ${this.#options.node} that the agent would write, ${labels[0]} among them; they are left to it`;
    const remedy = "stop GPU Feature Discovery on this node and delete its NodeFeature object or file";
    const evidence = { labels };
    return finding("feature-labels-of-nfd", { kind: "node", name: this.#options.node }, message, { remedy, evidence });
  }
}

/** Since when the Node has had exactly these labels, as an earlier agent wrote it there. */
function timeOf({ metadata }: Node, labels: ReadonlyMap<string, string>): number | undefined {
  const { labels: there = {}, annotations = {} } = metadata;
  const isSame = [...labels].every(([name, value]) => there[name] === value);
  const isOwn = annotations[FEATURE_LABELS_ANNOTATION]?.split(",").length === labels.size + 1;
  const time = there[TIMESTAMP_LABEL] ?? "";
  return isSame && isOwn && /^\d+$/.test(time) ? Number(time) : undefined;
}
