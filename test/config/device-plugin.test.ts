import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Outcome } from "../../src/base/index.ts";
import {
  type DevicePluginConfig,
  type DeviceRef,
  parseDevicePluginConfig,
  parseDeviceRef,
  patternMatches,
} from "../../src/config/index.ts";
import { errors, marks, valueFrom } from "./support/outcomes.ts";

function parse(text: string): Outcome<DevicePluginConfig> {
  return parseDevicePluginConfig(text, "plugin.yaml");
}

/** A time-slicing config with one resource item, written as a flow mapping. */
function parseItem(item: string): Outcome<DevicePluginConfig> {
  return parse(`sharing: {timeSlicing: {resources: [${item}]}}\n`);
}

const item = "{name: nvidia.com/gpu, replicas: 4}";
const uuid = "b1028956-cfa2-0990-bf4a-5da9abb51763";

// NVIDIA k8s-device-plugin api/config/v1; rows marked * are those most often got wrong.
describe("accepted without an error", () => {
  const texts = {
    "an empty file": "",
    "a null document": "null\n",
    "a comment": "# nothing\n",
    "an empty version": 'version: ""\n',
    JSON: '{"version": "v1", "sharing": {"timeSlicing": {"resources": [{"name": "gpu", "replicas": 2}]}}}',
    "mps: null *": "sharing: {mps: }\n",
    "sharing: null": "sharing:\n",
    "null flags": "flags: {migStrategy: , failOnInitError: , plugin: {deviceListStrategy: }, gfd: {sleepInterval: }}\n",
    "failOnInitError: yes *": "flags: {failOnInitError: yes}\n",
    "an unknown key *": "nonsense: 1\n",
    "the name gpu *": "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2}]}}\n",
    "imex for channel 0": "imex: {channelIDs: [0], required: true}\n",
    "infinite sleep": "flags: {gfd: {sleepInterval: infinite}}\n",
    "an empty list of devices": "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, devices: []}]}}\n",
  };
  for (const [name, text] of Object.entries(texts)) test(name, () => assert.deepEqual(errors(parse(text)), []));
});

describe("refused in NVIDIA's words", () => {
  const rows: readonly (readonly [name: string, text: string, ...want: string[]])[] = [
    ["version: v2 *", "version: v2\n", "unknown version: v2"],
    ["a number as version", "version: 1\n", "unknown version: 1"],
    ["a document that is a list", "- a\n", "cannot unmarshal array into the document of type object"],
    [
      "quoted true",
      'flags: {failOnInitError: "true"}\n',
      "cannot unmarshal string into 'flags.failOnInitError' of type bool",
    ],
    ["1 as boolean", "flags: {gdsEnabled: 1}\n", "cannot unmarshal number into 'flags.gdsEnabled' of type bool"],
    [
      "a number as text",
      "flags: {migStrategy: 1}\n",
      "cannot unmarshal number into 'flags.migStrategy' of type string",
    ],
    ["no as text", "flags: {migStrategy: no}\n", "cannot unmarshal bool into 'flags.migStrategy' of type string"],
    ["unknown MIG strategy", "flags: {migStrategy: both}\n", "unknown MIG strategy: both"],
    ["empty MIG strategy", 'flags: {migStrategy: ""}\n', "unknown MIG strategy: "],
    ["vfio discovery", "flags: {deviceDiscoveryStrategy: vfio}\n", "invalid --device-discovery-strategy option: vfio"],
    ["unknown id strategy", "flags: {plugin: {deviceIDStrategy: name}}\n", "invalid --device-id-strategy option: name"],
    [
      "unknown policy",
      "flags: {plugin: {sharedDevicesAllocationPolicy: x}}\n",
      "invalid --shared-devices-allocation-policy option: x",
    ],
    [
      "comma in a list string",
      "flags: {plugin: {deviceListStrategy: 'envvar,cdi-cri'}}\n",
      "invalid --device-list-strategy option: invalid strategy: envvar,cdi-cri",
    ],
    [
      "unknown strategy in a list",
      "flags: {plugin: {deviceListStrategy: [envvar, x]}}\n",
      "invalid --device-list-strategy option: invalid strategy: x",
    ],
    ["a number as strategy", "flags: {plugin: {deviceListStrategy: [1]}}\n", "invalid deviceListStrategy: [1]"],
    ["bad duration", "flags: {gfd: {sleepInterval: 60sec}}\n", 'time: unknown unit "sec" in duration "60sec"'],
    ["duration as list", "flags: {gfd: {sleepInterval: []}}\n", "invalid duration"],
    ["imex channel 1", "imex: {channelIDs: [1]}\n", "invalid IMEX config: channelIDs must be [] or [0]; found [1]"],
    [
      "imex channel as text",
      "imex: {channelIDs: [a]}\n",
      "cannot unmarshal string into 'imex.channelIDs[0]' of type int",
    ],
    ["timeSlicing: {} *", "sharing: {timeSlicing: {}}\n", "no resources specified"],
    ["timeSlicing: null", "sharing: {timeSlicing: }\n", "no resources specified"],
    ["no resources under mps", "sharing: {mps: {resources: []}}\n", "no resources specified"],
    ["null resources", "sharing: {timeSlicing: {resources: }}\n", "no resources specified"],
    [
      "resources as a mapping",
      "sharing: {timeSlicing: {resources: {}}}\n",
      "cannot unmarshal object into 'sharing.timeSlicing.resources' of type array",
    ],
    [
      "a broken hidden timeSlicing",
      `sharing: {timeSlicing: {}, mps: {resources: [${item}]}}\n`,
      "no resources specified",
    ],
    ["pattern without name", "resources: {gpus: [{pattern: a}]}\n", "resources must have a 'name' field set"],
    [
      "null pattern item",
      "resources: {mig: [null]}\n",
      "resources must have a 'pattern' field set",
      "resources must have a 'name' field set",
    ],
  ];
  for (const [name, text, ...want] of rows) test(name, () => assert.deepEqual(errors(parse(text)), want));

  const items: readonly (readonly [name: string, item: string, ...want: string[]])[] = [
    ["replicas: 1 *", "{name: gpu, replicas: 1}", "number of replicas must be >= 2, not 1"],
    ["more than a kubelet takes", "{name: gpu, replicas: 100000}", "number of replicas must be <= 65536, not 100000"],
    ["null replicas", "{name: gpu, replicas: }", "number of replicas must be >= 2, not 0"],
    [
      'replicas: "4" *',
      '{name: gpu, replicas: "4"}',
      "cannot unmarshal string into 'sharing.timeSlicing.resources[0].replicas' of type int",
    ],
    [
      "replicas: 2.5",
      "{name: gpu, replicas: 2.5}",
      "cannot unmarshal number into 'sharing.timeSlicing.resources[0].replicas' of type int",
    ],
    ["Replicas in upper case", "{name: gpu, Replicas: 4}", "no replicas specified"],
    ["no name", "{replicas: 4}", "no resource name specified"],
    ["null item", "null", "no resource name specified", "no replicas specified"],
    ["a text as item", "gpu", "cannot unmarshal string into 'sharing.timeSlicing.resources[0]' of type object"],
    [
      "name: nvidia.com/GPU *",
      "{name: nvidia.com/GPU, replicas: 4}",
      "incorrect format for resource name 'nvidia.com/GPU': a lowercase RFC 1123 subdomain is wanted after nvidia.com/",
    ],
    [
      "another vendor",
      "{name: amd.com/gpu, replicas: 4}",
      "incorrect format for resource name 'nvidia.com/amd.com/gpu': a lowercase RFC 1123 subdomain is wanted after nvidia.com/",
    ],
    [
      "null name",
      "{name: , replicas: 4}",
      "incorrect format for resource name 'nvidia.com/': a lowercase RFC 1123 subdomain is wanted after nvidia.com/",
    ],
    [
      "null rename",
      "{name: gpu, replicas: 4, rename: }",
      "incorrect format for resource name 'nvidia.com/': a lowercase RFC 1123 subdomain is wanted after nvidia.com/",
    ],
    [
      "a name of 64 characters",
      `{name: ${"a".repeat(53)}, replicas: 4}`,
      `fully-qualified resource name must be 63 characters or less: nvidia.com/${"a".repeat(53)}`,
    ],
    [
      "devices: [GPU-foo] *",
      "{name: gpu, replicas: 4, devices: [GPU-foo]}",
      "unsupported type for device in devices list: GPU-foo",
    ],
    [
      "devices: ALL",
      "{name: gpu, replicas: 4, devices: ALL}",
      "devices set as 'ALL' but the only valid string input is 'all'",
    ],
    [
      'devices: "2"',
      '{name: gpu, replicas: 4, devices: "2"}',
      "devices set as '2' but the only valid string input is 'all'",
    ],
    ["devices: 0", "{name: gpu, replicas: 4, devices: 0}", "devices set as '0' but a count of devices must be > 0"],
    [
      "devices: null",
      "{name: gpu, replicas: 4, devices: }",
      "devices set as '' but the only valid string input is 'all'",
    ],
    ["devices: {}", "{name: gpu, replicas: 4, devices: {}}", "unrecognized type for devices spec: {}"],
    ["devices: true", "{name: gpu, replicas: 4, devices: true}", "unrecognized type for devices spec: true"],
    [
      "a fraction in devices",
      "{name: gpu, replicas: 4, devices: [0.5]}",
      "unsupported type for device in devices list: 0.5",
    ],
    [
      "a negative index in devices",
      "{name: gpu, replicas: 4, devices: [-1]}",
      "unsupported type for device in devices list: -1",
    ],
  ];
  for (const [name, text, ...want] of items) test(name, () => assert.deepEqual(errors(parseItem(text)), want));
});

describe("what NVIDIA ignores in silence is a warning", () => {
  const rows: readonly (readonly [name: string, text: string, ...want: string[]])[] = [
    ["misspelt section", "sharing:\n  time-slicing: {}\n", "2:3 ignored-key"],
    ["misplaced flag", "flags:\n  passDeviceSpecs: true\n", "2:3 ignored-key"],
    [
      "unknown key in an item",
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, replica: 3}]}}\n",
      "1:62 ignored-key",
    ],
    [
      "renameByDefault in lower case",
      `sharing: {timeSlicing: {renamebydefault: true, resources: [${item}]}}\n`,
      "1:25 ignored-key",
    ],
    [
      "mps beside timeSlicing",
      `sharing:\n  timeSlicing: {resources: [${item}]}\n  mps: {resources: [${item}]}\n`,
      "2:3 mps-hides-time-slicing",
    ],
    ["bare number as duration", "flags: {gfd: {sleepInterval: 60}}\n", "1:30 duration-in-nanoseconds"],
    ["labels once", "flags: {gfd: {oneshot: true}}\n", "1:24 setting-without-effect"],
    ["empty list of strategies", "flags: {plugin: {deviceListStrategy: []}}\n", "1:38 device-list-strategy-empty"],
    ["a second document", "version: v1\n---\nflags: {}\n", "3:1 ignored-document"],
    ["the same key twice", "version: v1\nversion: v1\n", "2:1 duplicate-key"],
    ["the same key in other case", "flags: {}\nFLAGS: {}\n", "1:1 duplicate-key"],
    [
      "a name twice for all devices",
      `sharing: {timeSlicing: {resources: [${item}, ${item}]}}\n`,
      "1:74 resource-listed-twice",
    ],
    [
      "a name twice for one device",
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, devices: [0, 1]}, {name: gpu, replicas: 3, devices: [1]}]}}\n",
      "1:62 beyond-device-plugin",
      "1:80 resource-listed-twice",
    ],
    [
      "a name twice for different devices",
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, devices: [0]}, {name: gpu, replicas: 3, devices: [1]}]}}\n",
      "1:62 beyond-device-plugin",
    ],
    ["custom names", "resources:\n  gpus: [{pattern: '*', name: a}]\n", "1:1 beyond-device-plugin"],
    [
      "rename",
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, rename: g}]}}\n",
      "1:62 beyond-device-plugin",
    ],
  ];
  for (const [name, text, ...want] of rows) {
    test(name, () => {
      const outcome = parse(text);
      assert.ok(outcome.ok);
      assert.deepEqual(marks(outcome.findings), want);
    });
  }

  const remedies: readonly (readonly [text: string, want: string])[] = [
    ["sharing: {time-slicing: {}}\n", "did you mean timeSlicing?"],
    ["flags: {passDeviceSpecs: true}\n", "move it to `flags.plugin`"],
    [
      `sharing: {timeSlicing: {RenameByDefault: true, resources: [${item}]}}\n`,
      'write "renameByDefault": upper and lower case count here',
    ],
    [
      "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, renameByDefault: true}]}}\n",
      "move it to the level of `resources`",
    ],
    [
      "flags: {plugin: {deviceListStrategy: 'envvar, cdi-cri'}}\n",
      "a text is one strategy, commas are not split; write the list [envvar, cdi-cri]",
    ],
    ["sharing: {timeSlicing: {resources: [{name: mig-1g.10gb+me, replicas: 2}]}}\n", "write nvidia.com/mig-1g.10gb.me"],
  ];
  for (const [text, want] of remedies) {
    test(want, () => assert.equal(parse(text).findings[0]?.remedy, want));
  }
});

describe("values", () => {
  test("all flags in any case of keys", () => {
    const text = `FLAGS:
  MIGstrategy: mixed
  failoniniterror: off
  mpsRoot: /run/nvidia/mps
  nvidiaDriverRoot: /driver
  nvidiaDevRoot: /dev-root
  gdrcopyEnabled: true
  gdsEnabled: y
  mofedEnabled: false
  useNodeFeatureAPI: true
  deviceDiscoveryStrategy: nvml
  Plugin:
    passdevicespecs: true
    deviceListStrategy: [envvar, cdi-cri]
    deviceIDStrategy: index
    cdiAnnotationPrefix: x/
    nvidiaCTKPath: /ctk
    containerDriverRoot: /root
    sharedDevicesAllocationPolicy: packed
  gfd: {oneshot: false, noTimestamp: true, sleepInterval: 1m30s, outputFile: /a, machineTypeFile: /b}
`;
    const outcome = parse(text);
    assert.deepEqual(outcome.findings, []);
    assert.deepEqual(valueFrom(outcome).flags, {
      migStrategy: "mixed",
      failOnInitError: false,
      mpsRoot: "/run/nvidia/mps",
      nvidiaDriverRoot: "/driver",
      nvidiaDevRoot: "/dev-root",
      gdrcopyEnabled: true,
      gdsEnabled: true,
      mofedEnabled: false,
      deviceDiscoveryStrategy: "nvml",
      passDeviceSpecs: true,
      deviceListStrategy: ["envvar", "cdi-cri"],
      deviceIdStrategy: "index",
      cdiAnnotationPrefix: "x/",
      nvidiaCtkPath: "/ctk",
      containerDriverRoot: "/root",
      sharedDevicesAllocationPolicy: "packed",
      gfd: { useNodeFeatureApi: true, noTimestamp: true, outputFile: "/a", machineTypeFile: "/b" },
    });
  });

  test("an empty file has no flags and no sharing", () => {
    assert.deepEqual(valueFrom(parse("")), {
      flags: {},
      resources: { gpus: [], mig: [] },
      sharing: { strategy: "none", renameByDefault: false, failRequestsGreaterThanOne: false, resources: [] },
    });
  });

  test("a text is a list of one strategy", () => {
    const { flags } = valueFrom(parse("flags: {plugin: {deviceListStrategy: volume-mounts}}\n"));
    assert.deepEqual(flags.deviceListStrategy, ["volume-mounts"]);
  });

  test("names get their prefix once, numbers may have a decimal point", () => {
    const { sharing } = valueFrom(
      parseItem("{name: mig-1g.10gb, replicas: 1e1, rename: nvidia.com/small, devices: 2.0}"),
    );
    const [resource] = sharing.resources;
    assert.deepEqual(
      { ...resource, place: undefined },
      {
        name: "nvidia.com/mig-1g.10gb",
        rename: "nvidia.com/small",
        devices: { kind: "count", count: 2 },
        replicas: 10,
        place: undefined,
      },
    );
    assert.deepEqual(resource?.place, { file: "plugin.yaml", line: 1, column: 37 });
  });

  const strategies: readonly (readonly [name: string, text: string, want: readonly [string, boolean, boolean]])[] = [
    [
      "time-slicing lets requests of two through",
      `sharing: {timeSlicing: {resources: [${item}]}}\n`,
      ["time-slicing", false, false],
    ],
    [
      "time-slicing says otherwise",
      `sharing: {timeSlicing: {renameByDefault: yes, failRequestsGreaterThanOne: true, resources: [${item}]}}\n`,
      ["time-slicing", true, true],
    ],
    ["mps refuses requests of two", `sharing: {mps: {resources: [${item}]}}\n`, ["mps", false, true]],
    [
      "mps says otherwise",
      `sharing: {mps: {failRequestsGreaterThanOne: false, resources: [${item}]}}\n`,
      ["mps", false, false],
    ],
    [
      "null is unset",
      `sharing: {mps: {failRequestsGreaterThanOne: , renameByDefault: , resources: [${item}]}}\n`,
      ["mps", false, true],
    ],
    ["mps wins", `sharing: {mps: {resources: [${item}]}, timeSlicing: {resources: [${item}]}}\n`, ["mps", false, true]],
  ];
  for (const [name, text, want] of strategies) {
    test(name, () => {
      const { strategy, renameByDefault, failRequestsGreaterThanOne } = valueFrom(parse(text)).sharing;
      assert.deepEqual([strategy, renameByDefault, failRequestsGreaterThanOne], want);
    });
  }

  test("patterns name resources", () => {
    const { resources } = valueFrom(
      parse("resources:\n  gpus:\n  - {pattern: '*A100*', name: a100}\n  mig:\n  - {pattern: 1g.5gb, name: small}\n"),
    );
    assert.deepEqual(resources, {
      gpus: [{ pattern: "*A100*", name: "nvidia.com/a100", place: { file: "plugin.yaml", line: 3, column: 5 } }],
      mig: [{ pattern: "1g.5gb", name: "nvidia.com/small", place: { file: "plugin.yaml", line: 5, column: 5 } }],
    });
  });
});

// NVIDIA k8s-device-plugin api/config/v1/replicas.go, ReplicatedDeviceRef.
describe("device references", () => {
  const rows: readonly (readonly [text: string, want: DeviceRef | undefined])[] = [
    ["0", { kind: "gpu-index", gpu: 0 }],
    ["007", { kind: "gpu-index", gpu: 7 }],
    ["1:2", { kind: "mig-index", gpu: 1, mig: 2 }],
    [`GPU-${uuid}`, { kind: "uuid", uuid: `GPU-${uuid}` }],
    [`MIG-${uuid}`, { kind: "uuid", uuid: `MIG-${uuid}` }],
    [`MIG-GPU-${uuid}/3/0`, { kind: "uuid", uuid: `MIG-GPU-${uuid}/3/0` }],
    [`GPU-${uuid.replaceAll("-", "")}`, { kind: "uuid", uuid: `GPU-${uuid.replaceAll("-", "")}` }],
    [`gpu-${uuid}`, undefined],
    [`MIG-GPU-${uuid}`, undefined],
    [`MIG-GPU-${uuid}/3/x`, undefined],
    [uuid, undefined],
    ["1:", undefined],
    ["1:2:3", undefined],
    ["-1", undefined],
    ["", undefined],
  ];
  for (const [text, want] of rows) test(JSON.stringify(text), () => assert.deepEqual(parseDeviceRef(text), want));

  test("a list may mix all forms", () => {
    const { sharing } = valueFrom(parseItem(`{name: gpu, replicas: 2, devices: [0, "1", 1:2, GPU-${uuid}]}`));
    assert.deepEqual(sharing.resources[0]?.devices, {
      kind: "list",
      devices: [
        { kind: "gpu-index", gpu: 0 },
        { kind: "gpu-index", gpu: 1 },
        { kind: "mig-index", gpu: 1, mig: 2 },
        { kind: "uuid", uuid: `GPU-${uuid}` },
      ],
    });
  });
});

test("of equal keys in different cases both are named, and the one that counts", () => {
  const { findings } = parseDevicePluginConfig("flags: {}\nFLAGS: {}\n", "f.yaml");
  assert.deepEqual(
    findings.map((one) => one.message),
    ['keys "FLAGS" and "flags" are the same here; "flags" counts'],
  );
});

describe("patterns match from end to end", () => {
  const rows = [
    ["*", "anything", true],
    ["*A100*", "NVIDIA A100-SXM4-80GB", true],
    ["A100*", "NVIDIA A100", false],
    ["1g.5gb", "1g.5gb", true],
    ["1g.5gb", "1g.5gb+me", false],
    ["1g.5gb", "1gx5gb", false],
    ["1g.*gb+me", "1g.10gb+me", true],
    ["", "", true],
  ] as const;
  for (const [pattern, text, want] of rows) {
    test(`${pattern} and ${text}`, () => assert.equal(patternMatches(pattern, text), want));
  }
});
