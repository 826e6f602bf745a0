/**
 * Merges the flags of a device-plugin file with the plugin's command line, environment and built-in defaults, as NVIDIA
 * k8s-device-plugin api/config/v1/flags.go (updateFromCLIFlag) does over urfave/cli.
 */
import { type Finding, type FindingCode, finding, type Place } from "../base/index.ts";
import {
  allocationPolicies,
  deviceIdStrategies,
  deviceListStrategies,
  discoveryStrategies,
  migStrategies,
} from "./device-plugin-flags.ts";
import { orList } from "./field-reader.ts";
import { NO_TRUTH, truthOf } from "./truth.ts";
import type { DeviceListStrategy, EffectiveFlags, FeatureFlags, PluginFlags } from "./types.ts";

export interface MergedFlags {
  readonly flags: EffectiveFlags;
  readonly findings: readonly Finding[];
}

/**
 * Variables by their names and options of the command line by theirs, `--mig-strategy`: in layers, of which an earlier one
 * counts more, and within one layer an option more than a variable.
 */
export type SettingLayers = readonly ReadonlyMap<string, string>[];

/** Where a variable is set, when it is known. */
export type VariablePlace = (variable: string) => Place | undefined;

export interface FlagSources {
  readonly placeOf?: VariablePlace;
  /** By the names of variables: what counts where neither environment nor file says anything, over NVIDIA's defaults. */
  readonly defaults?: ReadonlyMap<string, string>;
}

/**
 * The flags that apply: settings over file over default. A setting that cannot be used, at which NVIDIA's plugin would
 * exit, is an error, and what the next one below says stays.
 */
export function effectiveFlags(file: PluginFlags, settings: SettingLayers, sources: FlagSources = {}): MergedFlags {
  const merge = merger(settings, sources);
  const driverRoot = merge.text(["--driver-root", "NVIDIA_DRIVER_ROOT"], file.nvidiaDriverRoot, "/");
  const flags: EffectiveFlags = {
    migStrategy: merge.choice(["--mig-strategy", "MIG_STRATEGY"], file.migStrategy, {
      allowed: migStrategies,
      refusal: "unknown MIG strategy",
      standard: "none",
    }),
    failOnInitError: merge.truth(["--fail-on-init-error", "FAIL_ON_INIT_ERROR"], file.failOnInitError, "true"),
    mpsRoot: merge.text(["--mps-root", "MPS_ROOT"], file.mpsRoot, ""),
    nvidiaDriverRoot: driverRoot,
    // Unset or empty, the devices are looked for where the driver is.
    nvidiaDevRoot: merge.text(["--dev-root", "NVIDIA_DEV_ROOT"], file.nvidiaDevRoot, "") || driverRoot,
    gdrcopyEnabled: merge.truth(["--gdrcopy-enabled", "GDRCOPY_ENABLED"], file.gdrcopyEnabled, "false"),
    gdsEnabled: merge.truth(["--gds-enabled", "GDS_ENABLED"], file.gdsEnabled, "false"),
    mofedEnabled: merge.truth(["--mofed-enabled", "MOFED_ENABLED"], file.mofedEnabled, "false"),
    deviceDiscoveryStrategy: merge.choice(
      ["--device-discovery-strategy", "DEVICE_DISCOVERY_STRATEGY"],
      file.deviceDiscoveryStrategy,
      {
        allowed: discoveryStrategies,
        refusal: "invalid --device-discovery-strategy option",
        standard: "auto",
      },
    ),
    passDeviceSpecs: merge.truth(["--pass-device-specs", "PASS_DEVICE_SPECS"], file.passDeviceSpecs, "false"),
    deviceListStrategy: merge.strategies(["--device-list-strategy", "DEVICE_LIST_STRATEGY"], file.deviceListStrategy),
    deviceIdStrategy: merge.choice(["--device-id-strategy", "DEVICE_ID_STRATEGY"], file.deviceIdStrategy, {
      allowed: deviceIdStrategies,
      refusal: "invalid --device-id-strategy option",
      standard: "uuid",
    }),
    cdiAnnotationPrefix: merge.text(
      ["--cdi-annotation-prefix", "CDI_ANNOTATION_PREFIX"],
      file.cdiAnnotationPrefix,
      "cdi.k8s.io/",
    ),
    nvidiaCtkPath: merge.text(
      ["--nvidia-cdi-hook-path", "NVIDIA_CDI_HOOK_PATH", "NVIDIA_CTK_PATH"],
      file.nvidiaCtkPath,
      "/usr/bin/nvidia-ctk",
    ),
    containerDriverRoot: merge.text(
      ["--driver-root-ctr-path", "DRIVER_ROOT_CTR_PATH", "CONTAINER_DRIVER_ROOT"],
      file.containerDriverRoot,
      "/driver-root",
    ),
    sharedDevicesAllocationPolicy: merge.choice(
      ["--shared-devices-allocation-policy", "SHARED_DEVICES_ALLOCATION_POLICY"],
      file.sharedDevicesAllocationPolicy,
      {
        allowed: allocationPolicies,
        refusal: "invalid --shared-devices-allocation-policy option",
        standard: "distributed",
      },
    ),
  };
  return { flags, findings: merge.findings };
}

/**
 * The flags of feature discovery that apply. It has the variables of its own container, which begin with `GFD_` (NVIDIA
 * k8s-device-plugin cmd/gpu-feature-discovery/main.go).
 */
export function effectiveFeatureFlags(
  file: FeatureFlags | undefined,
  settings: SettingLayers,
): { readonly flags: Required<FeatureFlags>; readonly findings: readonly Finding[] } {
  const merge = merger(settings);
  const flags: Required<FeatureFlags> = {
    useNodeFeatureApi: merge.truth(
      ["--use-node-feature-api", "GFD_USE_NODE_FEATURE_API", "USE_NODE_FEATURE_API"],
      file?.useNodeFeatureApi,
      "true",
    ),
    noTimestamp: merge.truth(["--no-timestamp", "GFD_NO_TIMESTAMP"], file?.noTimestamp, "false"),
    outputFile: merge.text(
      ["--output-file", "GFD_OUTPUT_FILE"],
      file?.outputFile,
      "/etc/kubernetes/node-feature-discovery/features.d/gfd",
    ),
    machineTypeFile: merge.text(
      ["--machine-type-file", "GFD_MACHINE_TYPE_FILE"],
      file?.machineTypeFile,
      "/sys/class/dmi/id/product_name",
    ),
  };
  return { flags, findings: merge.findings };
}

interface WordRule<T extends string> {
  readonly allowed: readonly T[];
  /** In the plugin's words. */
  readonly refusal: string;
  readonly standard: T;
}

/** Merges one flag each; the names of a flag's variables are tried in order and the first one set counts. */
interface Merger {
  readonly findings: readonly Finding[];
  text(variables: readonly string[], fromFile: string | undefined, standard: string): string;
  truth(variables: readonly string[], fromFile: boolean | undefined, standard: "true" | "false"): boolean;
  choice<T extends string>(variables: readonly string[], fromFile: T | undefined, rule: WordRule<T>): T;
  strategies(
    variables: readonly string[],
    fromFile: readonly DeviceListStrategy[] | undefined,
  ): readonly DeviceListStrategy[];
}

type Refuse = (reason: string, remedy: string) => undefined;

/** What the layers say of one setting, what counts most first. */
export function saidOf(layers: SettingLayers, names: readonly string[]): readonly (readonly [string, string])[] {
  return layers.flatMap((layer) =>
    names.flatMap((name) => {
      const text = layer.get(name);
      return text === undefined ? [] : [[name, text] as const];
    }),
  );
}

function merger(settings: SettingLayers, { placeOf, defaults }: FlagSources = {}): Merger {
  const findings: Finding[] = [];
  const report = (code: FindingCode, variable: string, [message, remedy]: readonly [string, string]): void => {
    const subject = { kind: "config", name: settingName(variable) } as const;
    findings.push(finding(code, subject, message, { remedy, place: placeOf?.(variable) }));
  };
  const standard = <T>(variables: readonly string[], parse: (text: string, refuse: Refuse) => T): T | undefined => {
    const text = variables.map((variable) => defaults?.get(variable)).find((one) => one !== undefined);
    return text === undefined ? undefined : parse(text, () => undefined);
  };
  const merged = <T>(
    variables: readonly string[],
    fromFile: T | undefined,
    parse: (text: string, refuse: Refuse) => T | undefined,
  ): T | undefined => {
    for (const [variable, text] of saidOf(settings, variables)) {
      const value = parse(text, (reason, remedy) => {
        report("bad-environment", variable, [`${variable}="${text}": ${reason}`, remedy]);
      });
      if (value === undefined) continue;
      const unset = variable.startsWith("--") ? `leave out ${variable}` : `unset ${variable}`;
      if (text === "") {
        report("empty-environment", variable, [`${variable} is set but empty, which counts as "${value}"`, unset]);
      }
      if (fromFile !== undefined && String(fromFile) !== String(value)) {
        const message = `${variable}="${text}" overrides ${fromFile} of the file`;
        report("flag-overridden", variable, [message, `${unset} if the file shall decide`]);
      }
      return value;
    }
    return fromFile ?? standard(variables, parse);
  };
  return {
    findings,
    text: (variables, fromFile, standard) => merged(variables, fromFile, (text) => text) ?? standard,
    truth: (variables, fromFile, standard) => merged(variables, fromFile, parseTruth) ?? standard === "true",
    choice: (variables, fromFile, rule) =>
      merged(variables, fromFile, (text, refuse) => parseChoice(text, rule, refuse)) ?? rule.standard,
    strategies: (variables, fromFile) => merged(variables, fromFile, parseStrategies) ?? ["envvar"],
  };
}

/** An option of the command line or a variable, as people speak of it. */
export function settingName(name: string): string {
  return name.startsWith("--") ? `option ${name}` : `environment variable ${name}`;
}

function parseTruth(text: string, refuse: Refuse): boolean | undefined {
  return truthOf(text) ?? refuse(NO_TRUTH.reason, NO_TRUTH.remedy);
}

function parseChoice<T extends string>(text: string, { allowed, refusal }: WordRule<T>, refuse: Refuse): T | undefined {
  return allowed.find((word) => word === text) ?? refuse(`${refusal}: ${text}`, `use ${orList(allowed)}`);
}

/** Unlike the file's text form, the variable is split at commas. */
function parseStrategies(text: string, refuse: Refuse): readonly DeviceListStrategy[] | undefined {
  const known: DeviceListStrategy[] = [];
  for (const part of text.split(",")) {
    const name = part.trim();
    const strategy = deviceListStrategies.find((one) => one === name);
    if (strategy === undefined) {
      const reason = `invalid --device-list-strategy option: invalid strategy: ${name}`;
      return refuse(reason, `use ${orList(deviceListStrategies)}, several with commas`);
    }
    known.push(strategy);
  }
  return known;
}
