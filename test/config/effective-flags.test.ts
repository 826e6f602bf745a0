import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { effectiveFeatureFlags, effectiveFlags, type FeatureFlags, type PluginFlags } from "../../src/config/index.ts";

const defaults = {
  migStrategy: "none",
  failOnInitError: true,
  mpsRoot: "",
  nvidiaDriverRoot: "/",
  nvidiaDevRoot: "/",
  gdrcopyEnabled: false,
  gdsEnabled: false,
  mofedEnabled: false,
  deviceDiscoveryStrategy: "auto",
  passDeviceSpecs: false,
  deviceListStrategy: ["envvar"],
  deviceIdStrategy: "uuid",
  cdiAnnotationPrefix: "cdi.k8s.io/",
  nvidiaCtkPath: "/usr/bin/nvidia-ctk",
  containerDriverRoot: "/driver-root",
  sharedDevicesAllocationPolicy: "distributed",
};

interface Row {
  readonly name: string;
  readonly file?: PluginFlags;
  readonly env?: Readonly<Record<string, string>>;
  /** What differs from the defaults. */
  readonly want: Readonly<Record<string, unknown>>;
  readonly codes?: readonly string[];
}

// NVIDIA k8s-device-plugin api/config/v1/flags.go and cmd/nvidia-device-plugin/main.go, over urfave/cli.
describe("flags are those of environment, file and defaults, in this order", () => {
  const rows: readonly Row[] = [
    { name: "nothing set", want: {} },
    {
      name: "file alone",
      file: { migStrategy: "mixed", gdsEnabled: true },
      want: { migStrategy: "mixed", gdsEnabled: true },
    },
    {
      name: "environment alone",
      env: { MIG_STRATEGY: "single", GDS_ENABLED: "T" },
      want: { migStrategy: "single", gdsEnabled: true },
    },
    {
      name: "environment over file",
      file: { migStrategy: "mixed" },
      env: { MIG_STRATEGY: "single" },
      want: { migStrategy: "single" },
      codes: ["flag-overridden"],
    },
    {
      name: "environment that says the same",
      file: { passDeviceSpecs: true },
      env: { PASS_DEVICE_SPECS: "1" },
      want: { passDeviceSpecs: true },
    },
    {
      name: "device root follows the driver root",
      file: { nvidiaDriverRoot: "/run/nvidia/driver" },
      want: { nvidiaDriverRoot: "/run/nvidia/driver", nvidiaDevRoot: "/run/nvidia/driver" },
    },
    {
      name: "an empty device root does too",
      file: { nvidiaDevRoot: "" },
      env: { NVIDIA_DRIVER_ROOT: "/d" },
      want: { nvidiaDriverRoot: "/d", nvidiaDevRoot: "/d" },
    },
    { name: "a device root of its own", env: { NVIDIA_DEV_ROOT: "/x" }, want: { nvidiaDevRoot: "/x" } },
    {
      name: "an empty boolean is false",
      env: { FAIL_ON_INIT_ERROR: "" },
      want: { failOnInitError: false },
      codes: ["empty-environment"],
    },
    {
      name: "an empty text is set",
      file: { mpsRoot: "/mps" },
      env: { MPS_ROOT: "" },
      want: { mpsRoot: "" },
      codes: ["empty-environment", "flag-overridden"],
    },
    {
      name: "an empty MIG strategy is refused",
      file: { migStrategy: "single" },
      env: { MIG_STRATEGY: "" },
      want: { migStrategy: "single" },
      codes: ["bad-environment"],
    },
    {
      name: "an empty list is one empty strategy",
      env: { DEVICE_LIST_STRATEGY: "" },
      want: {},
      codes: ["bad-environment"],
    },
    {
      name: "lists are split at commas",
      env: { DEVICE_LIST_STRATEGY: "envvar , cdi-cri" },
      want: { deviceListStrategy: ["envvar", "cdi-cri"] },
    },
    { name: "yes is no boolean for Go", env: { GDRCOPY_ENABLED: "yes" }, want: {}, codes: ["bad-environment"] },
    { name: "an empty list of the file stays", file: { deviceListStrategy: [] }, want: { deviceListStrategy: [] } },
    {
      name: "the first of two names counts",
      env: { NVIDIA_CTK_PATH: "/b", NVIDIA_CDI_HOOK_PATH: "/a" },
      want: { nvidiaCtkPath: "/a" },
    },
    { name: "the second name alone", env: { CONTAINER_DRIVER_ROOT: "/c" }, want: { containerDriverRoot: "/c" } },
    {
      name: "an unknown policy is refused",
      env: { SHARED_DEVICES_ALLOCATION_POLICY: "spread" },
      want: {},
      codes: ["bad-environment"],
    },
    {
      name: "vfio is for feature discovery",
      env: { DEVICE_DISCOVERY_STRATEGY: "vfio" },
      want: {},
      codes: ["bad-environment"],
    },
    {
      name: "the command line over environment and file",
      file: { migStrategy: "none" },
      env: { "--mig-strategy": "mixed", MIG_STRATEGY: "single" },
      want: { migStrategy: "mixed" },
      codes: ["flag-overridden"],
    },
    {
      name: "where the command line cannot be used, the environment counts",
      env: { "--fail-on-init-error": "maybe", FAIL_ON_INIT_ERROR: "false" },
      want: { failOnInitError: false },
      codes: ["bad-environment"],
    },
    { name: "other variables are not read", env: { GFD_MIG_STRATEGY: "mixed", HOME: "/" }, want: {} },
  ];
  for (const { name, file = {}, env = {}, want, codes = [] } of rows) {
    test(name, () => {
      const { flags, findings } = effectiveFlags(file, [new Map(Object.entries(env))]);
      assert.deepEqual(flags, { ...defaults, ...want });
      assert.deepEqual(
        findings.map((one) => one.code),
        codes,
      );
    });
  }

  const ownDefaults: readonly Row[] = [
    {
      name: "defaults of one's own come before NVIDIA's",
      want: { deviceListStrategy: ["cdi-cri"], passDeviceSpecs: true },
    },
    {
      name: "and after the file",
      file: { deviceListStrategy: ["envvar"] },
      want: { deviceListStrategy: ["envvar"], passDeviceSpecs: true },
    },
    {
      name: "and after the environment, which overrides nothing then",
      env: { DEVICE_LIST_STRATEGY: "envvar", PASS_DEVICE_SPECS: "false" },
      want: {},
    },
  ];
  for (const { name, file = {}, env = {}, want } of ownDefaults) {
    test(name, () => {
      const own = new Map([
        ["DEVICE_LIST_STRATEGY", "cdi-cri"],
        ["PASS_DEVICE_SPECS", "true"],
      ]);
      const { flags, findings } = effectiveFlags(file, [new Map(Object.entries(env))], { defaults: own });
      assert.deepEqual(flags, { ...defaults, ...want });
      assert.deepEqual(findings, []);
    });
  }

  test("findings cite where the variable is set, if that is known", () => {
    const place = { file: "policy.yaml", line: 3, column: 7 };
    const { findings } = effectiveFlags({}, [new Map([["MIG_STRATEGY", "all"]])], { placeOf: () => place });
    assert.equal(findings[0]?.message, 'MIG_STRATEGY="all": unknown MIG strategy: all');
    assert.equal(findings[0]?.remedy, "use none, single or mixed");
    assert.deepEqual(findings[0]?.place, place);
  });
});

describe("effectiveFeatureFlags", () => {
  const defaults: Required<FeatureFlags> = {
    useNodeFeatureApi: true,
    noTimestamp: false,
    outputFile: "/etc/kubernetes/node-feature-discovery/features.d/gfd",
    machineTypeFile: "/sys/class/dmi/id/product_name",
  };
  const rows: readonly {
    readonly name: string;
    readonly file?: FeatureFlags;
    readonly env?: Readonly<Record<string, string>>;
    readonly want: FeatureFlags;
  }[] = [
    { name: "nothing set", want: {} },
    {
      name: "the file counts",
      file: { noTimestamp: true, outputFile: "/a" },
      want: { noTimestamp: true, outputFile: "/a" },
    },
    {
      name: "its own variables overrule it",
      file: { noTimestamp: true },
      env: { GFD_NO_TIMESTAMP: "false" },
      want: {},
    },
    { name: "a variable of the plugin does not", env: { NO_TIMESTAMP: "true" }, want: {} },
    {
      name: "the first name of two counts",
      env: { USE_NODE_FEATURE_API: "true", GFD_USE_NODE_FEATURE_API: "false" },
      want: { useNodeFeatureApi: false },
    },
  ];
  for (const { name, file, env = {}, want } of rows) {
    test(name, () => {
      const { flags } = effectiveFeatureFlags(file, [new Map(Object.entries(env))]);
      assert.deepEqual(flags, { ...defaults, ...want });
    });
  }
});
