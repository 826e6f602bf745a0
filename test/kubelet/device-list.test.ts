import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeviceListEncoder, maxListBytes } from "../../src/kubelet/device-list.ts";
import { ListAndWatchResponseSchema } from "../../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { decode, encode } from "../../src/kubelet/grpc.ts";
import { DevicePluginServer, type PluginDevice } from "../../src/kubelet/index.ts";
import { deviceMessage, pluginDevice } from "../../src/kubelet/messages.ts";
import { devicesOf, plainBackend } from "./support/fixtures.ts";

const device: fc.Arbitrary<PluginDevice> = fc.record(
  {
    id: fc.constantFrom("GPU-a", "GPU-a::0", "GPU-a::1", "MIG-b", "MIG-c", "é"),
    healthy: fc.boolean(),
    numaNode: fc.option(fc.constantFrom(0, 1, 300), { nil: undefined }),
  },
  { noNullPrototype: true },
);

/** What the kubelet keeps of a list. */
function kept(devices: readonly PluginDevice[]): ReadonlyMap<string, PluginDevice> {
  return new Map(devices.map((one) => [one.id, one]));
}

test("a list made of cached parts says what the same list encoded anew says", () => {
  fc.assert(
    fc.property(fc.array(fc.array(device, { maxLength: 8 }), { maxLength: 8 }), (lists) => {
      const encoder = new DeviceListEncoder();
      let last: ReadonlyMap<string, PluginDevice> = new Map();
      for (const list of lists) {
        const encoded = encoder.encode(list);
        const anew = encode(ListAndWatchResponseSchema, { devices: [...kept(list).values()].map(deviceMessage) });
        if (encoded === undefined) {
          assert.deepEqual(kept(list), last, "nothing is sent although the list differs");
        } else {
          assert.notDeepEqual(kept(list), last, "a list is sent although it does not differ");
          assert.deepEqual(encoded.bytes, anew);
          const read = decode(ListAndWatchResponseSchema, encoded.bytes).devices.map(pluginDevice);
          assert.deepEqual(kept(read), kept(list));
        }
        last = kept(list);
      }
    }),
  );
});

test("a list over 4 MiB is cut to what fits, and a finding tells how many devices are left out", () => {
  const devices = Array.from({ length: 75_000 }, (_, index) => ({
    id: `GPU-00000000-0000-0000-0000-000000000000::${index}`,
    healthy: true,
    numaNode: undefined,
  }));
  const encoder = new DeviceListEncoder();
  const encoded = encoder.encode(devices);
  assert.ok(encoded !== undefined);
  assert.ok(encoded.bytes.length <= maxListBytes && encoded.bytes.length > maxListBytes - 100);
  assert.equal(encoded.devices + encoded.leftOut, 75_000);
  assert.equal(decode(ListAndWatchResponseSchema, encoded.bytes).devices.length, encoded.devices);

  const server = new DevicePluginServer({ resource: "nvidia.com/gpu", directory: "/nowhere", backend: plainBackend });
  server.update(devices);
  assert.deepEqual(
    server.findings.map(({ code, evidence }) => [code, evidence["leftOut"]]),
    [["device-list-too-long", encoded.leftOut]],
  );
  server.update(devicesOf("GPU-a"));
  assert.deepEqual(server.findings, []);
});
