import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AllocateResponseSchema } from "../../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import { encode } from "../../src/kubelet/grpc.ts";
import { allocateResponse } from "../../src/kubelet/plugin-answer.ts";
import type { AllocateAnswer } from "../../src/sharing/index.ts";

/** Empty, long enough for a length of two bytes, and in several scripts. */
const text = fc.oneof(
  fc.constantFrom("", "GPU-8f6c2d0e", "/dev/nvidia0", "x".repeat(127), "x".repeat(128), "x".repeat(20_000)),
  fc.string({ unit: "grapheme" }),
);
const texts = fc.dictionary(text, text, { maxKeys: 3 });
const answer: fc.Arbitrary<AllocateAnswer> = fc.record({
  envs: texts,
  mounts: fc.array(fc.record({ containerPath: text, hostPath: text, readOnly: fc.boolean() }), { maxLength: 3 }),
  devices: fc.array(fc.record({ containerPath: text, hostPath: text, permissions: text }), { maxLength: 3 }),
  annotations: texts,
  cdiDevices: fc.array(text, { maxLength: 3 }),
});

test("an answer has the bytes that the general encoder gives it", () => {
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 3 }), (answers) => {
      const containerResponses = answers.map(({ envs, mounts, devices, annotations, cdiDevices }) => ({
        envs: { ...envs },
        mounts: [...mounts],
        devices: [...devices],
        annotations: { ...annotations },
        cdiDevices: cdiDevices.map((name) => ({ name })),
      }));
      assert.deepEqual(allocateResponse(answers), encode(AllocateResponseSchema, { containerResponses }));
    }),
  );
});
