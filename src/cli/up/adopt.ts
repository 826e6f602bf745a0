/**
 * Makes up for what the manifests leave open: which ConfigMaps the ClusterPolicy names.
 *
 * Nothing is bent behind the user's back: the ClusterPolicy itself is changed (or made) and each change is a finding
 * with the kubectl command that does the same on a real cluster.
 */
import { MIG_CONFIG_KEY, PLUGIN_CONFIG_LABEL } from "../../agent/index.ts";
import { type Finding, finding } from "../../base/index.ts";
import { type ContentKind, readClusterPolicy } from "../../config/index.ts";
import type { KubeObject } from "../../kube/index.ts";
import type { Declared, DeclaredConfigMap } from "./declared.ts";

/** The declared objects with the policy completed, and what was changed. */
export interface Adopted {
  /** The policy that counts is the first of its policies. */
  readonly declared: Declared;
  /** Set when a policy was changed or made: the policy as it shall be applied. */
  readonly policy: KubeObject | undefined;
  readonly findings: readonly Finding[];
}

interface Change {
  readonly section: "migManager" | "devicePlugin";
  readonly config: Readonly<Record<string, string>>;
  readonly from: DeclaredConfigMap;
}

/** Completes the ClusterPolicy that counts, or makes one, when the manifests hold configs that none names. */
export function adoptConfigMaps(unsorted: Declared): Adopted {
  // A new cluster makes them all at once, and of those of one age the first name counts.
  const policies = unsorted.policies.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const [existing, ...others] = policies;
  const declared = { ...unsorted, policies };
  const read = existing === undefined ? undefined : readClusterPolicy({ ...existing }, () => NOWHERE);
  const unread = declared.configMaps.flatMap(unreadKeys);
  if (read !== undefined && !read.ok) return { declared, policy: undefined, findings: unread };
  const { migManager, devicePlugin } = read?.value ?? NOTHING_NAMED;
  const changes = [
    ...(migManager.enabled && migManager.configName === undefined ? migChange(declared) : []),
    ...(devicePlugin.enabled && devicePlugin.configName === undefined ? pluginChange(declared) : []),
  ];
  if (changes.length === 0) return { declared, policy: undefined, findings: unread };
  const policy = changes.reduce(withChange, existing ?? emptyPolicy(declared));
  const findings = changes.map((change) => adoptedFinding(change, policy, existing === undefined));
  return { declared: { ...declared, policies: [policy, ...others] }, policy, findings: [...unread, ...findings] };
}

/** What a cluster without a ClusterPolicy has. */
const NOTHING_NAMED = {
  migManager: { enabled: true, configName: undefined },
  devicePlugin: { enabled: true, configName: undefined },
};

const NOWHERE = { file: "", line: 1, column: 1 };

/** The MIG manager reads the key `config.yaml` of one ConfigMap; the first that has one is taken. */
function migChange({ configMaps }: Declared): readonly Change[] {
  const from = configMaps.find((one) => one.contents.get(MIG_CONFIG_KEY) === "mig-parted");
  return from === undefined ? [] : [{ section: "migManager", config: { name: from.object.metadata.name }, from }];
}

/** With one key that key becomes the default; with several the nodes' labels say which. */
function pluginChange({ configMaps }: Declared): readonly Change[] {
  const from = configMaps.find((one) => keysOf(one, "device-plugin").length > 0);
  if (from === undefined) return [];
  const keys = keysOf(from, "device-plugin");
  const { name } = from.object.metadata;
  const only = keys.length === 1 ? keys[0] : undefined;
  return [{ section: "devicePlugin", config: only === undefined ? { name } : { name, default: only }, from }];
}

function keysOf({ contents }: DeclaredConfigMap, kind: ContentKind): readonly string[] {
  return [...contents].filter(([, found]) => found === kind).map(([key]) => key);
}

/** Keys with MIG configs that nobody reads, since the one that is read is not there. */
function unreadKeys(one: DeclaredConfigMap): readonly Finding[] {
  if (one.contents.has(MIG_CONFIG_KEY)) return [];
  const { name } = one.object.metadata;
  return keysOf(one, "mig-parted").map((key) =>
    finding(
      "config-key-unread",
      { kind: "config", name },
      `ConfigMap ${name} has MIG configs under ${key}; the MIG manager reads the key ${MIG_CONFIG_KEY} only`,
      { place: one.manifest.placeOf(["data", key]), remedy: `rename the key to ${MIG_CONFIG_KEY}` },
    ),
  );
}

function withChange(policy: KubeObject, { section, config }: Change): KubeObject {
  const spec = recordOf("spec" in policy ? policy.spec : undefined);
  const before = recordOf(spec[section]);
  const merged = { ...recordOf(before["config"]), ...config };
  return { ...policy, spec: { ...spec, [section]: { ...before, config: merged } } } as KubeObject;
}

/** What the CRD requires (NVIDIA gpu-operator api/nvidia/v1/clusterpolicy_types.go); empty, all defaults apply. */
const REQUIRED_SECTIONS = {
  operator: {},
  daemonsets: {},
  driver: {},
  toolkit: {},
  devicePlugin: {},
  dcgm: {},
  dcgmExporter: {},
  nodeStatusExporter: {},
  gfd: {},
};

/** Slices are named by profile when pods ask for them by profile. */
function emptyPolicy({ pods }: Declared): KubeObject {
  const asked = pods.flatMap((pod) => pod.spec.containers.flatMap((one) => Object.keys(one.resources?.limits ?? {})));
  const strategy = asked.some((name) => name.startsWith("nvidia.com/mig-")) ? "mixed" : "single";
  const metadata = { name: "cluster-policy" };
  const spec = { ...REQUIRED_SECTIONS, mig: { strategy } };
  return { apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata, spec } as KubeObject;
}

function adoptedFinding({ section, config, from }: Change, policy: KubeObject, isNew: boolean): Finding {
  const { name } = policy.metadata;
  const patch = JSON.stringify({ spec: { [section]: { config } } });
  const subject = { kind: "config", name: from.object.metadata.name } as const;
  const who = isNew
    ? "there is no ClusterPolicy, so one is made that names"
    : `ClusterPolicy ${name} names none, so it uses`;
  const keys = keysOf(from, "device-plugin");
  const several = `; label nodes with ${PLUGIN_CONFIG_LABEL}=${keys.join(" or ")}`;
  const choice = section === "devicePlugin" && config["default"] === undefined ? several : "";
  const which = config["default"] === undefined ? choice : ` with the default ${config["default"]}`;
  return finding(
    "config-map-adopted",
    subject,
    `${who} ConfigMap ${config["name"]} as spec.${section}.config${which}`,
    {
      place: from.manifest.place,
      remedy: `on a real cluster: kubectl patch clusterpolicy ${name} --type merge -p '${patch}'`,
      evidence: { clusterPolicy: name, section, config },
    },
  );
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
