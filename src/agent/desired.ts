/**
 * What a node shall look like: from its labels, the ClusterPolicy and the ConfigMaps it names, and from what the agent's
 * own command line says. Pure.
 *
 * Settings are merged as the GPU Operator does: the policy sets environment, environment overrides the file; only what
 * the operator sets whatever the policy says, and its choice of CDI, gives way to the file. The agent's own command line
 * and environment, which are about this node alone, come before the policy's.
 */
import { type Finding, finding, type Outcome } from "../base/index.ts";
import {
  type ClusterPolicyConfig,
  devicePluginEnvironment,
  disabledCdiHooks,
  type EffectiveFlags,
  effectiveFlags,
  effectiveImex,
  generatedMigConfigs,
  type ImexConfig,
  type MigPartedFile,
  parseMigParted,
  selectMigConfig,
  type WantedMig,
  wantedMig,
} from "../config/index.ts";
import type { Gpu } from "../gpu/index.ts";
import type { KubeObject } from "../kube/index.ts";
import { configMapFile, configMapNamed, missingConfigMap } from "./config-maps.ts";
import { type XidRules, xidRules } from "./health/xid-rules.ts";
import type { InputValues } from "./inputs.ts";
import { type LastGood, readPolicy } from "./last-good.ts";
import { noLocalInputs } from "./local-inputs.ts";
import { noPluginConfig, pluginPart } from "./plugin-config.ts";

export const MIG_CONFIG_LABEL = "nvidia.com/mig.config";
/** The key the MIG manager reads (NVIDIA mig-parted, deployments/kubernetes). */
export const MIG_CONFIG_KEY = "config.yaml";

/** With the policy and the device-plugin config in force. */
export interface DesiredState extends LastGood {
  /** The value of the node's mig.config label. */
  readonly migConfigName: string | undefined;
  /** Whether that config cannot be used, or not on every GPU it reaches; those GPUs are left as they are. */
  readonly refused: boolean;
  /** What the GPUs shall be cut into that can follow; empty when none is to change. */
  readonly wanted: readonly WantedMig[];
  readonly settings: EffectiveFlags & { readonly disabledHooks: ReadonlySet<string> };
  readonly imex: ImexConfig;
  /** Which XID errors make devices unhealthy. */
  readonly xidRules: XidRules;
  readonly findings: readonly Finding[];
}

/** Reads everything anew; a policy or device-plugin config that cannot be read leaves that of `lastGood` in force. */
export function desiredState(inputs: InputValues, gpus: readonly Gpu[], lastGood: LastGood | undefined): DesiredState {
  const policy = policyOf(inputs.policies, lastGood);
  const mig = policy.isKnown ? migPart(inputs, policy.value, gpus) : migRefused(inputs);
  const plugin = pluginPart(inputs, policy.value);
  const inForce = plugin.inForce ?? lastGood ?? noPluginConfig;
  const { pluginConfig, pluginConfigName, pluginConfigHash, pluginConfigSource } = inForce;
  const { settings: local } = inputs.local ?? noLocalInputs;
  const fromPolicy = policy.value === undefined ? undefined : devicePluginEnvironment(policy.value);
  const layers = [local, fromPolicy?.settings ?? new Map()];
  const flags = effectiveFlags(pluginConfig.flags, layers, { defaults: fromPolicy?.defaults ?? new Map() });
  const imex = effectiveImex(pluginConfig.imex, layers);
  const environment = new Map([...(fromPolicy?.settings ?? []), ...local]);
  const disabled = disabledCdiHooks(environment);
  const health = xidRules(environment);
  return {
    ...mig,
    policy: policy.value,
    policySource: policy.source,
    pluginConfigName,
    pluginConfigHash,
    pluginConfigSource,
    pluginConfig,
    settings: { ...flags.flags, disabledHooks: disabled.hooks },
    imex: imex.imex,
    xidRules: health,
    findings: [
      ...policy.findings,
      ...mig.findings,
      ...plugin.findings,
      ...flags.findings,
      ...discoveryFindings(flags.flags),
      ...imex.findings,
      ...disabled.findings,
      ...health.unreadable.map(unreadableXid),
    ],
  };
}

/** Only the oldest ClusterPolicy counts, ties by name (NVIDIA gpu-operator controllers/clusterpolicy_controller.go). */
function policyOf(
  policies: readonly KubeObject[],
  lastGood: LastGood | undefined,
): {
  readonly value: ClusterPolicyConfig | undefined;
  readonly source: KubeObject | undefined;
  /** Whether `value` says what the user wants; false when there is a policy and none could ever be read. */
  readonly isKnown: boolean;
  readonly findings: readonly Finding[];
} {
  const age = (one: KubeObject): string => `${one.metadata.creationTimestamp ?? ""} ${one.metadata.name}`;
  const [first, ...rest] = [...policies].sort((a, b) => (age(a) < age(b) ? -1 : 1));
  if (first === undefined) return { value: undefined, source: undefined, isKnown: true, findings: [] };
  const read = readPolicy(first);
  const ignored = rest.map((one) =>
    finding(
      "cluster-policy-ignored",
      { kind: "config", name: one.metadata.name },
      `${first.metadata.name} is older and counts`,
      {
        remedy: `delete it: kubectl delete clusterpolicy ${one.metadata.name}`,
      },
    ),
  );
  const value = read.ok ? read.value : lastGood?.policy;
  const source = read.ok ? first : lastGood?.policySource;
  return { value, source, isKnown: value !== undefined, findings: [...read.findings, ...ignored] };
}

type MigPart = Pick<DesiredState, "migConfigName" | "refused" | "wanted" | "findings">;

/** Nothing is cut while nobody can tell which configs the policy means. */
function migRefused({ node }: InputValues): MigPart {
  const name = node.metadata.labels?.[MIG_CONFIG_LABEL];
  return { migConfigName: name === "" ? undefined : name, refused: name !== undefined, wanted: [], findings: [] };
}

function migPart(inputs: InputValues, policy: ClusterPolicyConfig | undefined, gpus: readonly Gpu[]): MigPart {
  const name = inputs.node.metadata.labels?.[MIG_CONFIG_LABEL];
  const none: MigPart = { migConfigName: undefined, refused: false, wanted: [], findings: [] };
  if (name === undefined || name === "" || policy?.migManager.enabled === false) return none;
  const file = migFile(inputs, policy?.migManager.configName, gpus);
  if (!file.ok) return { migConfigName: name, refused: true, wanted: [], findings: file.findings };
  const config = selectMigConfig(file.value, name);
  if (!config.ok) return { migConfigName: name, refused: true, wanted: [], findings: config.findings };
  const { wanted, findings } = wantedMig(config.value, gpus);
  const refused = findings.some((one) => one.severity === "error");
  return { migConfigName: name, refused, wanted, findings: [...file.findings, ...config.findings, ...findings] };
}

function migFile(inputs: InputValues, configMapName: string | undefined, gpus: readonly Gpu[]): Outcome<MigPartedFile> {
  if (configMapName === undefined) return { ok: true, value: generatedMigConfigs(gpus), findings: [] };
  const map = configMapNamed(inputs.configMaps, configMapName);
  const text = map?.data?.[MIG_CONFIG_KEY];
  if (map === undefined || text === undefined) {
    const seen = map === undefined ? "there is no such ConfigMap" : `it has no key ${MIG_CONFIG_KEY}`;
    return { ok: false, findings: [missingConfigMap(configMapName, seen)] };
  }
  return parseMigParted(text, configMapFile(map, MIG_CONFIG_KEY), inputs.placeAtOf?.(map, MIG_CONFIG_KEY));
}

/** Integrated GPUs of Tegra boards have no NVML to list them. */
function discoveryFindings({ deviceDiscoveryStrategy }: EffectiveFlags): readonly Finding[] {
  if (deviceDiscoveryStrategy !== "tegra") return [];
  const message = "deviceDiscoveryStrategy: tegra has no effect, GPUs are found through NVML alone";
  const remedy = "run NVIDIA's device plugin on Tegra boards";
  return [finding("setting-without-effect", { kind: "config", name: "device plugin" }, message, { remedy })];
}

/** NVIDIA's plugin logs such an entry and goes on. */
function unreadableXid({ variable, entry }: XidRules["unreadable"][number]): Finding {
  const subject = { kind: "config", name: `environment variable ${variable}` } as const;
  const remedy = "list XID numbers with commas between them, or write all";
  return finding("bad-environment", subject, `${variable}: "${entry}" is no XID and is passed over`, { remedy });
}
