/** The command line of NVIDIA's daemons reaches the agent under its names (k8s-device-plugin v0.20, cmd/…/main.go). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type AgentArguments, agentCommand } from "../../../src/cli/agent/command.ts";
import { settingsOf } from "../../../src/cli/agent/settings.ts";

/** What `tranche agent WORDS` is called with. */
async function parsed(...words: readonly string[]): Promise<AgentArguments> {
  let args: AgentArguments | undefined;
  const run = async (_raw: unknown, action: (context: never) => Promise<number>): Promise<void> => {
    await action({} as never);
  };
  const command = agentCommand(run, async (given) => {
    args = given;
    return 0;
  });
  await command
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync([...words], { from: "user" });
  assert.ok(args);
  return args;
}

/** Option, its other names, a value, and the plugin's environment variables for it. */
const rows: readonly (readonly [option: string, aliases: string, value: string, variables: string])[] = [
  ["--mig-strategy", "", "mixed", "MIG_STRATEGY"],
  ["--fail-on-init-error", "", "false", "FAIL_ON_INIT_ERROR"],
  ["--mps-root", "", "/run/mps", "MPS_ROOT"],
  ["--driver-root", "--nvidia-driver-root", "/d", "NVIDIA_DRIVER_ROOT"],
  ["--dev-root", "--nvidia-dev-root", "/d", "NVIDIA_DEV_ROOT"],
  ["--gdrcopy-enabled", "", "true", "GDRCOPY_ENABLED"],
  ["--gds-enabled", "", "true", "GDS_ENABLED"],
  ["--mofed-enabled", "", "true", "MOFED_ENABLED"],
  ["--device-discovery-strategy", "", "nvml", "DEVICE_DISCOVERY_STRATEGY"],
  ["--pass-device-specs", "", "true", "PASS_DEVICE_SPECS"],
  ["--device-list-strategy", "", "envvar,cdi-cri", "DEVICE_LIST_STRATEGY"],
  ["--device-id-strategy", "", "index", "DEVICE_ID_STRATEGY"],
  ["--cdi-annotation-prefix", "", "x/", "CDI_ANNOTATION_PREFIX"],
  ["--nvidia-cdi-hook-path", "--nvidia-ctk-path", "/h", "NVIDIA_CDI_HOOK_PATH NVIDIA_CTK_PATH"],
  ["--driver-root-ctr-path", "--container-driver-root", "/r", "DRIVER_ROOT_CTR_PATH CONTAINER_DRIVER_ROOT"],
  ["--shared-devices-allocation-policy", "", "packed", "SHARED_DEVICES_ALLOCATION_POLICY"],
  ["--cdi-feature-flags", "", "disable-ipc-discoverer", "CDI_FEATURE_FLAGS"],
  ["--cdi-disable-hooks", "", "chmod", "CDI_DISABLE_HOOKS"],
  ["--imex-channel-ids", "", "0", "IMEX_CHANNEL_IDS"],
  ["--imex-required", "", "true", "IMEX_REQUIRED"],
  ["--use-node-feature-api", "", "false", "GFD_USE_NODE_FEATURE_API USE_NODE_FEATURE_API"],
  ["--no-timestamp", "", "true", "GFD_NO_TIMESTAMP"],
  ["--output-file", "--output -o", "/f", "GFD_OUTPUT_FILE"],
  ["--machine-type-file", "", "/m", "GFD_MACHINE_TYPE_FILE"],
  ["--oneshot", "", "true", "GFD_ONESHOT"],
  ["--sleep-interval", "", "60s", "GFD_SLEEP_INTERVAL"],
];
for (const [option, aliases, value, variables] of rows) {
  test(option, async () => {
    for (const name of [option, ...aliases.split(" ").filter(Boolean)]) {
      const { settings } = await parsed(name, value);
      assert.equal(settings.get(option), value, name);
    }
    for (const variable of variables.split(" ")) {
      assert.equal(settingsOf({}, { [variable]: value }).get(variable), value);
      assert.equal(settingsOf({}, { [variable]: "" }).get(variable), "", "set but empty is set");
    }
  });
}

test("a boolean may stand alone or take its value after an equals sign, and a list may be repeated", async () => {
  const words = ["--gds-enabled", "--pass-device-specs=false"];
  const { settings } = await parsed(...words, "--device-list-strategy", "envvar", "--device-list-strategy=cdi-cri");
  assert.equal(settings.get("--gds-enabled"), "true");
  assert.equal((await parsed("--no-timestamp")).settings.get("--no-timestamp"), "true");
  assert.deepEqual([...(await parsed()).settings.keys()], []);
  assert.equal(settings.get("--pass-device-specs"), "false");
  assert.equal(settings.get("--device-list-strategy"), "envvar,cdi-cri");
});

test("health variables without an option are taken, others are not", () => {
  const settings = settingsOf({}, { DP_DISABLE_HEALTHCHECKS: "48", DP_ENABLE_HEALTHCHECKS: "13", HOME: "/root" });
  assert.deepEqual([...settings.keys()].sort(), ["DP_DISABLE_HEALTHCHECKS", "DP_ENABLE_HEALTHCHECKS"]);
});

const addresses = [
  { text: "9402", want: { host: "127.0.0.1", port: 9402 } },
  { text: "0.0.0.0:9402", want: { host: "0.0.0.0", port: 9402 } },
  { text: "[::1]:9402", want: { host: "::1", port: 9402 } },
];
for (const { text, want } of addresses) {
  test(`--listen ${text}`, async () => assert.deepEqual((await parsed("--listen", text)).listen, want));
}

for (const words of [
  ["--listen", "here"],
  ["--listen", "1:70000"],
  ["--kubelet-socket", ""],
  ["--mig-strategi", "x"],
]) {
  test(`${words.join(" ")} is wrong usage`, () => assert.rejects(parsed(...words)));
}
