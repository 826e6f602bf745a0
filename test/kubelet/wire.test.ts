/** The bytes on the wire, written by hand from kubernetes/kubelet's field numbers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AllocateRequestSchema,
  AllocateResponseSchema,
  DevicePlugin,
  DevicePluginOptionsSchema,
  ListAndWatchResponseSchema,
  PreferredAllocationRequestSchema,
  PreferredAllocationResponseSchema,
  RegisterRequestSchema,
  Registration,
} from "../../src/kubelet/gen/deviceplugin/v1beta1/api_pb.js";
import {
  AllocatableResourcesResponseSchema,
  GetPodResourcesRequestSchema,
  ListPodResourcesResponseSchema,
  PodResourcesLister,
} from "../../src/kubelet/gen/podresources/v1/api_pb.js";
import { encode, serviceDefinition } from "../../src/kubelet/grpc.ts";

/** A length-delimited field: tag, length, then text or the fields inside. */
function field(number: number, content: string | readonly number[]): readonly number[] {
  const bytes = typeof content === "string" ? [...Buffer.from(content)] : content;
  return [(number << 3) | 2, bytes.length, ...bytes];
}

/** A varint field below 128. */
function varint(number: number, value: number): readonly number[] {
  return [number << 3, value];
}

const rows: readonly { name: string; got: Buffer; want: readonly number[] }[] = [
  {
    name: "RegisterRequest",
    got: encode(RegisterRequestSchema, {
      version: "v1beta1",
      endpoint: "e",
      resourceName: "r/n",
      options: { getPreferredAllocationAvailable: true },
    }),
    want: [...field(1, "v1beta1"), ...field(2, "e"), ...field(3, "r/n"), ...field(4, varint(2, 1))],
  },
  {
    name: "DevicePluginOptions",
    got: encode(DevicePluginOptionsSchema, { preStartRequired: true, getPreferredAllocationAvailable: true }),
    want: [...varint(1, 1), ...varint(2, 1)],
  },
  {
    name: "ListAndWatchResponse",
    got: encode(ListAndWatchResponseSchema, {
      devices: [{ ID: "a", health: "Healthy", topology: { nodes: [{ ID: 1n }] } }],
    }),
    want: field(1, [...field(1, "a"), ...field(2, "Healthy"), ...field(3, field(1, varint(1, 1)))]),
  },
  {
    name: "PreferredAllocationRequest",
    got: encode(PreferredAllocationRequestSchema, {
      containerRequests: [{ availableDeviceIDs: ["a", "b"], mustIncludeDeviceIDs: ["a"], allocationSize: 2 }],
    }),
    want: field(1, [...field(1, "a"), ...field(1, "b"), ...field(2, "a"), ...varint(3, 2)]),
  },
  {
    name: "PreferredAllocationResponse",
    got: encode(PreferredAllocationResponseSchema, { containerResponses: [{ deviceIDs: ["b"] }] }),
    want: field(1, field(1, "b")),
  },
  {
    name: "AllocateRequest",
    got: encode(AllocateRequestSchema, { containerRequests: [{ devicesIds: ["a"] }] }),
    want: field(1, field(1, "a")),
  },
  {
    name: "AllocateResponse",
    got: encode(AllocateResponseSchema, {
      containerResponses: [
        {
          envs: { K: "v" },
          mounts: [{ containerPath: "/c", hostPath: "/h", readOnly: true }],
          devices: [{ containerPath: "/d", hostPath: "/e", permissions: "rw" }],
          annotations: { A: "b" },
          cdiDevices: [{ name: "n.c/g=0" }],
        },
      ],
    }),
    want: field(1, [
      ...field(1, [...field(1, "K"), ...field(2, "v")]),
      ...field(2, [...field(1, "/c"), ...field(2, "/h"), ...varint(3, 1)]),
      ...field(3, [...field(1, "/d"), ...field(2, "/e"), ...field(3, "rw")]),
      ...field(4, [...field(1, "A"), ...field(2, "b")]),
      ...field(5, field(1, "n.c/g=0")),
    ]),
  },
  {
    name: "ListPodResourcesResponse",
    got: encode(ListPodResourcesResponseSchema, {
      podResources: [
        {
          name: "p",
          namespace: "n",
          containers: [
            {
              name: "c",
              devices: [{ resourceName: "r/n", deviceIds: ["a"], topology: { nodes: [{ ID: 1n }] } }],
              cpuIds: [3n],
              memory: [{ memoryType: "m", size: 5n }],
              dynamicResources: [
                {
                  claimName: "k",
                  claimNamespace: "n",
                  claimResources: [
                    { cdiDevices: [{ name: "d" }], driverName: "x", poolName: "y", deviceName: "z", shareId: "s" },
                  ],
                },
              ],
            },
          ],
        },
      ],
    }),
    want: field(1, [
      ...field(1, "p"),
      ...field(2, "n"),
      ...field(3, [
        ...field(1, "c"),
        ...field(2, [...field(1, "r/n"), ...field(2, "a"), ...field(3, field(1, varint(1, 1)))]),
        ...field(3, [3]),
        ...field(4, [...field(1, "m"), ...varint(2, 5)]),
        ...field(5, [
          ...field(2, "k"),
          ...field(3, "n"),
          ...field(4, [
            ...field(1, field(1, "d")),
            ...field(2, "x"),
            ...field(3, "y"),
            ...field(4, "z"),
            ...field(5, "s"),
          ]),
        ]),
      ]),
    ]),
  },
  {
    name: "AllocatableResourcesResponse",
    got: encode(AllocatableResourcesResponseSchema, {
      devices: [{ resourceName: "r/n", deviceIds: ["a"] }],
      cpuIds: [1n],
      memory: [{ memoryType: "m" }],
    }),
    want: [...field(1, [...field(1, "r/n"), ...field(2, "a")]), ...field(2, [1]), ...field(3, field(1, "m"))],
  },
  {
    name: "GetPodResourcesRequest",
    got: encode(GetPodResourcesRequestSchema, { podName: "p", podNamespace: "n" }),
    want: [...field(1, "p"), ...field(2, "n")],
  },
];
for (const { name, got, want } of rows) {
  test(`${name} has the field numbers of the kubelet's API`, () => assert.deepEqual([...got], want));
}

test("methods have the kubelet's paths, and ListAndWatch alone is a stream", () => {
  const methods = [Registration, DevicePlugin, PodResourcesLister].flatMap((service) =>
    Object.values(serviceDefinition(service)).map(
      ({ path, requestStream, responseStream }) => `${path} ${requestStream} ${responseStream}`,
    ),
  );
  assert.deepEqual(methods, [
    "/v1beta1.Registration/Register false false",
    "/v1beta1.DevicePlugin/GetDevicePluginOptions false false",
    "/v1beta1.DevicePlugin/ListAndWatch false true",
    "/v1beta1.DevicePlugin/GetPreferredAllocation false false",
    "/v1beta1.DevicePlugin/Allocate false false",
    "/v1beta1.DevicePlugin/PreStartContainer false false",
    "/v1.PodResourcesLister/List false false",
    "/v1.PodResourcesLister/GetAllocatableResources false false",
    "/v1.PodResourcesLister/Get false false",
  ]);
});
