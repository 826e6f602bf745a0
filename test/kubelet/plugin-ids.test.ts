import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type AllocateRequest,
  AllocateRequestSchema,
  type PreferredAllocationRequest,
  PreferredAllocationRequestSchema,
} from "../../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { decode, encode } from "../../src/kubelet/grpc.ts";
import { OfferedIds } from "../../src/kubelet/plugin-ids.ts";

/** Few letters, so that ids share beginnings and ends; every length up to and over what the quick way takes. */
const id = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 24 }),
  fc.constantFrom("GPU-0::1", "GPU-0::2", "GPU-1::1", "ä", "äöü-äöü-äöü-äöü", "x".repeat(127), "x".repeat(128)),
);
const ids = fc.uniqueArray(id, { maxLength: 40 });
const container = fc.record({
  availableDeviceIDs: ids,
  mustIncludeDeviceIDs: ids,
  allocationSize: fc.oneof(fc.nat(3), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
});
const containers = fc.array(container, { maxLength: 3 });

function offered(list: readonly string[]): OfferedIds {
  const known = new OfferedIds();
  known.offer(devices(list));
  return known;
}

function devices(list: readonly string[]) {
  return list.map((one) => ({ id: one, healthy: true, numaNode: undefined }));
}

/** The order of the free ids says nothing. */
function fields({ containerRequests }: PreferredAllocationRequest): unknown {
  return containerRequests.map(({ availableDeviceIDs, mustIncludeDeviceIDs, allocationSize }) => {
    return [[...new Set(availableDeviceIDs)].sort(), mustIncludeDeviceIDs, allocationSize];
  });
}

function deviceIds({ containerRequests }: AllocateRequest): unknown {
  return containerRequests.map(({ devicesIds }) => devicesIds);
}

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return "refused";
  }
}

test("a request is read as the general decoder reads it, whatever is offered", () => {
  fc.assert(
    fc.property(ids, containers, (list, containerRequests) => {
      const bytes = encode(PreferredAllocationRequestSchema, { containerRequests });
      const known = offered(list);
      assert.deepEqual(
        fields(known.preferredAllocationRequest(bytes)),
        fields(decode(PreferredAllocationRequestSchema, bytes)),
      );
    }),
    { numRuns: 300 },
  );
});

test("so are bytes that are cut off or damaged", () => {
  const damage = fc.record({
    list: ids,
    containerRequests: containers,
    at: fc.nat(),
    byte: fc.nat(255),
    cut: fc.boolean(),
  });
  fc.assert(
    fc.property(damage, ({ list, containerRequests, at, byte, cut }) => {
      const whole = encode(PreferredAllocationRequestSchema, { containerRequests });
      const place = at % (whole.length + 1);
      const bytes = cut ? whole.subarray(0, place) : Buffer.from(whole);
      if (!cut && place < bytes.length) bytes[place] = byte;
      const known = offered(list);
      assert.deepEqual(
        attempt(() => fields(known.preferredAllocationRequest(bytes))),
        attempt(() => fields(decode(PreferredAllocationRequestSchema, bytes))),
      );
    }),
    { numRuns: 500 },
  );
});

test("so are requests for Allocate, whole or damaged", () => {
  const request = fc.record({
    list: ids,
    requests: fc.array(fc.array(id), { maxLength: 3 }),
    at: fc.nat(),
    byte: fc.nat(255),
  });
  fc.assert(
    fc.property(request, ({ list, requests, at, byte }) => {
      const whole = encode(AllocateRequestSchema, {
        containerRequests: requests.map((devicesIds) => ({ devicesIds })),
      });
      const damaged = Buffer.from(whole);
      if (whole.length > 0) damaged[at % whole.length] = byte;
      const known = offered(list);
      for (const bytes of [whole, damaged, whole.subarray(0, at % (whole.length + 1))]) {
        assert.deepEqual(
          attempt(() => deviceIds(known.allocateRequest(bytes))),
          attempt(() => deviceIds(decode(AllocateRequestSchema, bytes))),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test("ids that are offered come in the order of the offer, also when it has changed", () => {
  const request = (...availableDeviceIDs: string[]): Buffer =>
    encode(PreferredAllocationRequestSchema, { containerRequests: [{ availableDeviceIDs, allocationSize: 1 }] });
  const known = offered(["GPU-0", "GPU-1", "GPU-2"]);
  const read = (bytes: Buffer): unknown =>
    known.preferredAllocationRequest(bytes).containerRequests[0]?.availableDeviceIDs;
  assert.deepEqual(read(request("GPU-2", "GPU-0")), ["GPU-0", "GPU-2"]);
  known.offer(devices(["GPU-3", "GPU-2", "GPU-0"]));
  assert.deepEqual(read(request("GPU-0", "GPU-2", "GPU-3")), ["GPU-3", "GPU-2", "GPU-0"]);
});
