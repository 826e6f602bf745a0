/** A kubelet that stops while a plugin that registered cannot be reached. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { PluginEndpoints } from "../../src/embedded/kubelet/plugin-endpoints.ts";
import { DevicePluginServer } from "../../src/kubelet/index.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { until } from "../support/until.ts";

// The kubelet dials for ten seconds; with the limit a stop that waits for that fails.
test("a kubelet that stops does not wait out the dial of a plugin that is gone", { timeout: 4_000 }, async (t) => {
  const directory = await temporaryDirectory(t);
  const nothing = (): void => {};
  const reactions = { onDevices: nothing, onAway: nothing, onDropped: nothing };
  const endpoints = new PluginEndpoints({ directory, clock: systemClock, log: silentLogger, ...reactions });
  await endpoints.start();
  const backend = { preferredAllocation: () => [], allocate: () => assert.fail("nobody asks") };
  // It was never started, so nobody answers on its socket.
  const plugin = new DevicePluginServer({ resource: "nvidia.com/gpu", directory, backend });
  const registering = plugin.register(join(directory, "kubelet.sock")).catch(nothing);
  await until("the kubelet dials", () => endpoints.busy);
  await endpoints.stop();
  await registering;
});
