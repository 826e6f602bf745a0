/**
 * The options and environment variables of NVIDIA's device plugin and feature discovery, under their names
 * (NVIDIA k8s-device-plugin v0.20, cmd/nvidia-device-plugin/main.go and cmd/gpu-feature-discovery/main.go).
 */

/** How an option takes its value: a text, a boolean that may be left out, or a list that may be repeated. */
type SettingKind = "text" | "truth" | "list";

export interface Setting {
  /** `--mig-strategy`. */
  readonly option: string;
  /** Other names of the option. */
  readonly aliases: readonly string[];
  /** Environment variables, the first one set counts. */
  readonly variables: readonly string[];
  readonly kind: SettingKind;
  readonly value: string;
  readonly help: string;
}

function setting(
  [option, ...aliases]: readonly [string, ...string[]],
  variables: readonly string[],
  [kind, value, help]: readonly [SettingKind, string, string],
): Setting {
  return { option, aliases, variables, kind, value, help };
}

/** Fields of `flags` that plugin and feature discovery share. */
export const sharedSettings: readonly Setting[] = [
  setting(
    ["--mig-strategy"],
    ["MIG_STRATEGY"],
    ["text", "strategy", "how MIG devices are named: none, single or mixed"],
  ),
  setting(
    ["--fail-on-init-error"],
    ["FAIL_ON_INIT_ERROR"],
    ["truth", "bool", "end with 1 when the driver cannot be opened at the start; false: wait for it (default: true)"],
  ),
  setting(["--mps-root"], ["MPS_ROOT"], ["text", "path", "host directory of MPS pipes and logs"]),
  setting(
    ["--driver-root", "--nvidia-driver-root"],
    ["NVIDIA_DRIVER_ROOT"],
    ["text", "path", "where the driver is installed on the host"],
  ),
  setting(
    ["--dev-root", "--nvidia-dev-root"],
    ["NVIDIA_DEV_ROOT"],
    ["text", "path", "where device nodes are on the host (default: the driver root)"],
  ),
  setting(["--gdrcopy-enabled"], ["GDRCOPY_ENABLED"], ["truth", "bool", "give containers GDRCopy devices"]),
  setting(["--gds-enabled"], ["GDS_ENABLED"], ["truth", "bool", "give containers GPUDirect Storage devices"]),
  setting(["--mofed-enabled"], ["MOFED_ENABLED"], ["truth", "bool", "give containers Mellanox devices"]),
  setting(
    ["--device-discovery-strategy"],
    ["DEVICE_DISCOVERY_STRATEGY"],
    ["text", "strategy", "auto or nvml; tegra has no effect"],
  ),
];

/** Fields of `flags.plugin`. */
export const pluginSettings: readonly Setting[] = [
  setting(
    ["--pass-device-specs"],
    ["PASS_DEVICE_SPECS"],
    ["truth", "bool", "pass device nodes too, for the CPU manager's static policy"],
  ),
  setting(
    ["--device-list-strategy"],
    ["DEVICE_LIST_STRATEGY"],
    ["list", "strategy,…", "how a container learns its devices: envvar, volume-mounts, cdi-annotations, cdi-cri"],
  ),
  setting(
    ["--device-id-strategy"],
    ["DEVICE_ID_STRATEGY"],
    ["text", "strategy", "by what a container is told its devices: uuid or index"],
  ),
  setting(
    ["--cdi-annotation-prefix"],
    ["CDI_ANNOTATION_PREFIX"],
    ["text", "prefix", "of the annotations of cdi-annotations"],
  ),
  setting(
    ["--nvidia-cdi-hook-path", "--nvidia-ctk-path"],
    ["NVIDIA_CDI_HOOK_PATH", "NVIDIA_CTK_PATH"],
    ["text", "path", "of nvidia-ctk or nvidia-cdi-hook on the host, for CDI hooks"],
  ),
  setting(
    ["--driver-root-ctr-path", "--container-driver-root"],
    ["DRIVER_ROOT_CTR_PATH", "CONTAINER_DRIVER_ROOT"],
    ["text", "path", "where the driver root is mounted in the agent's container"],
  ),
  setting(
    ["--shared-devices-allocation-policy"],
    ["SHARED_DEVICES_ALLOCATION_POLICY"],
    ["text", "policy", "how shares of several GPUs are handed out: distributed or packed"],
  ),
  setting(["--cdi-feature-flags"], ["CDI_FEATURE_FLAGS"], ["list", "flag,…", "feature flags of NVIDIA's CDI library"]),
  setting(["--cdi-disable-hooks"], ["CDI_DISABLE_HOOKS"], ["list", "hook,…", "CDI hooks to leave out"]),
  setting(
    ["--imex-channel-ids"],
    ["IMEX_CHANNEL_IDS"],
    ["list", "id,…", "IMEX channels to give to containers: none or 0"],
  ),
  setting(["--imex-required"], ["IMEX_REQUIRED"], ["truth", "bool", "whether a missing IMEX channel is an error"]),
];

/** Fields of `flags.gfd`, and `useNodeFeatureAPI`, which only feature discovery reads. */
export const featureSettings: readonly Setting[] = [
  setting(
    ["--use-node-feature-api"],
    ["GFD_USE_NODE_FEATURE_API", "USE_NODE_FEATURE_API"],
    ["truth", "bool", "write labels to the Node; false: to the output file (default: true)"],
  ),
  setting(["--no-timestamp"], ["GFD_NO_TIMESTAMP"], ["truth", "bool", "leave out nvidia.com/gfd.timestamp"]),
  setting(
    ["--output-file", "--output"],
    ["GFD_OUTPUT_FILE"],
    ["text", "path", "file of labels for Node Feature Discovery; as an option it asks for the file"],
  ),
  setting(
    ["--machine-type-file"],
    ["GFD_MACHINE_TYPE_FILE"],
    ["text", "path", "file that tells the machine's product name"],
  ),
  setting(["--oneshot"], ["GFD_ONESHOT"], ["truth", "bool", "no effect: labels follow what they tell of"]),
  setting(["--sleep-interval"], ["GFD_SLEEP_INTERVAL"], ["text", "duration", "no effect: labels follow at once"]),
];

export const allSettings: readonly Setting[] = [...sharedSettings, ...pluginSettings, ...featureSettings];

/** Variables that NVIDIA's plugin reads and that have no option. */
const healthVariables = ["DP_DISABLE_HEALTHCHECKS", "DP_ENABLE_HEALTHCHECKS"];

/**
 * What options and environment say, by the names of options and variables. A variable that is set but empty counts as
 * set, as for NVIDIA's plugin. `given` has the options as commander names them.
 */
export function settingsOf(
  given: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  const variables = [...allSettings.flatMap((one) => one.variables), ...healthVariables];
  for (const variable of variables) {
    const text = env[variable];
    if (text !== undefined) settings.set(variable, text);
  }
  for (const { option, aliases } of allSettings) {
    const value = [option, ...aliases].map((name) => givenValue(given, name)).find((one) => one !== undefined);
    if (value !== undefined) settings.set(option, Array.isArray(value) ? value.join(",") : String(value));
  }
  return settings;
}

/** Commander keeps `--no-timestamp` as `timestamp`: true while it is not given, false where it stands alone. */
function givenValue(given: Readonly<Record<string, unknown>>, option: string): unknown {
  if (!option.startsWith("--no-")) return given[attributeOf(option)];
  const value = given[attributeOf(option.replace("no-", ""))];
  if (value === true) return undefined;
  return value === false ? true : value;
}

/** `--mig-strategy` as commander names it: `migStrategy`. */
function attributeOf(option: string): string {
  return option.slice(2).replaceAll(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
