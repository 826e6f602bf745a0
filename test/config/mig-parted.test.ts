import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Outcome } from "../../src/base/index.ts";
import { type MigPartedFile, parseMigParted, selectMigConfig } from "../../src/config/index.ts";
import { errors, marks, valueFrom } from "./support/outcomes.ts";

function parse(text: string): Outcome<MigPartedFile> {
  return parseMigParted(text, "mig.yaml");
}

/** One entry of a config `x`, written as a flow mapping. */
function parseEntry(entry: string): Outcome<MigPartedFile> {
  return parse(`version: v1\nmig-configs:\n  x:\n  - ${entry}\n`);
}

// NVIDIA mig-parted api/spec/v1/spec.go, UnmarshalJSON of Spec and MigConfigSpec.
describe("files that NVIDIA refuses are refused in its words", () => {
  const rows: readonly { readonly name: string; readonly text: string; readonly want: readonly string[] }[] = [
    { name: "no version", text: "mig-configs: {}\n", want: ["unable to parse with missing 'version' field"] },
    { name: "an empty mapping", text: "{}\n", want: ["unknown version: "] },
    { name: "other version", text: "version: v2\n", want: ["unknown version: v2"] },
    { name: "null version", text: "version:\n", want: ["unknown version: "] },
    {
      name: "number as version",
      text: "version: 1\n",
      want: ["cannot unmarshal number into 'version' of type string"],
    },
    { name: "a list", text: "- a\n", want: ["cannot unmarshal array into the document of type object"] },
    { name: "unknown key", text: "version: v1\nmigconfigs: {}\n", want: ["unexpected field: migconfigs"] },
    {
      name: "no configs",
      text: "version: v1\nmig-configs: {}\n",
      want: ["at least one entry in 'mig-configs' is required"],
    },
    {
      name: "null configs",
      text: "version: v1\nmig-configs:\n",
      want: ["at least one entry in 'mig-configs' is required"],
    },
    {
      name: "configs as a list",
      text: "version: v1\nmig-configs: []\n",
      want: ["cannot unmarshal array into 'mig-configs' of type object"],
    },
    {
      name: "a config without entries",
      text: "version: v1\nmig-configs: {x: []}\n",
      want: ["at least one entry in 'x' is required"],
    },
    {
      name: "a null config",
      text: "version: v1\nmig-configs: {x: }\n",
      want: ["at least one entry in 'x' is required"],
    },
    {
      name: "a config as a mapping",
      text: "version: v1\nmig-configs: {x: {devices: all}}\n",
      want: ["cannot unmarshal object into 'mig-configs.x' of type array"],
    },
  ];
  for (const { name, text, want } of rows) test(name, () => assert.deepEqual(errors(parse(text)), want));
});

describe("entries that NVIDIA refuses are refused in its words", () => {
  const rows: readonly { readonly name: string; readonly entry: string; readonly want: readonly string[] }[] = [
    { name: "null entry", entry: "", want: ["missing required field: devices", "missing required field: mig-enabled"] },
    { name: "no devices", entry: "{mig-enabled: false}", want: ["missing required field: devices"] },
    { name: "no mig-enabled", entry: "{devices: all}", want: ["missing required field: mig-enabled"] },
    {
      name: "unknown key",
      entry: "{devices: all, mig-enabled: false, device_filter: x}",
      want: ["unexpected field: device_filter"],
    },
    {
      name: "another word for devices",
      entry: "{devices: none, mig-enabled: false}",
      want: ["invalid string input for 'devices': none"],
    },
    { name: "null devices", entry: "{devices: , mig-enabled: false}", want: ["invalid string input for 'devices': "] },
    {
      name: "one number as devices",
      entry: "{devices: 0, mig-enabled: false}",
      want: [
        "(cannot unmarshal number into 'devices' of type string, cannot unmarshal number into 'devices' of type []int)",
      ],
    },
    {
      name: "texts as devices",
      entry: '{devices: ["0"], mig-enabled: false}',
      want: [
        "(cannot unmarshal array into 'devices' of type string, cannot unmarshal string into 'devices' of type []int)",
      ],
    },
    {
      name: "a fraction as device",
      entry: "{devices: [0.5], mig-enabled: false}",
      want: [
        "(cannot unmarshal array into 'devices' of type string, cannot unmarshal number into 'devices' of type []int)",
      ],
    },
    {
      name: "an unquoted filter",
      entry: "{device-filter: 0x20B210DE, devices: all, mig-enabled: false}",
      want: [
        "(cannot unmarshal number into 'device-filter' of type string, cannot unmarshal number into 'device-filter' of type []string)",
      ],
    },
    {
      name: "an unquoted filter in a list",
      entry: "{device-filter: [0x20B210DE], devices: all, mig-enabled: false}",
      want: [
        "(cannot unmarshal array into 'device-filter' of type string, cannot unmarshal number into 'device-filter' of type []string)",
      ],
    },
    {
      name: "quoted true",
      entry: '{devices: all, mig-enabled: "true", mig-devices: {}}',
      want: ["cannot unmarshal string into 'mig-configs.x[0].mig-enabled' of type bool"],
    },
    {
      name: "MIG on without devices",
      entry: "{devices: all, mig-enabled: true}",
      want: ["missing required field 'mig-devices' when 'mig-enabled' is true"],
    },
    {
      name: "MIG on with null devices",
      entry: "{devices: all, mig-enabled: true, mig-devices: }",
      want: ["missing required field 'mig-devices' when 'mig-enabled' is true"],
    },
    {
      name: "MIG off with devices",
      entry: "{devices: all, mig-enabled: false, mig-devices: {1g.5gb: 1}}",
      want: ["MIG devices included when 'mig-enabled' is false"],
    },
    {
      name: "devices as a list",
      entry: "{devices: all, mig-enabled: true, mig-devices: [1g.5gb]}",
      want: ["cannot unmarshal array into 'mig-configs.x[0].mig-devices' of type object"],
    },
    {
      name: "quoted count",
      entry: '{devices: all, mig-enabled: true, mig-devices: {1g.5gb: "1"}}',
      want: ["cannot unmarshal string into 'mig-configs.x[0].mig-devices.1g.5gb' of type int"],
    },
    {
      name: "half a device",
      entry: "{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 1.5}}",
      want: ["cannot unmarshal number into 'mig-configs.x[0].mig-devices.1g.5gb' of type int"],
    },
    {
      name: "negative count",
      entry: "{devices: all, mig-enabled: true, mig-devices: {1g.5gb: -1, 2g.10gb: 1}}",
      want: ["error validating values in 'mig-devices' field: invalid count for '-1'"],
    },
    {
      name: "all counts zero",
      entry: "{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 0}}",
      want: ["error validating values in 'mig-devices' field: all counts for all MigProfiles are 0"],
    },
    {
      name: "malformed profile",
      entry: "{devices: all, mig-enabled: true, mig-devices: {1g5gb: 1}}",
      want: [
        "error validating values in 'mig-devices' field: invalid format for '1g5gb': cannot parse fields of '1g5gb': parsed wrong number of fields, expected 2 or 3",
      ],
    },
  ];
  for (const { name, entry, want } of rows) test(name, () => assert.deepEqual(errors(parseEntry(entry)), want));
});

describe("what NVIDIA accepts is accepted with its meaning", () => {
  const rows: readonly { readonly name: string; readonly entry: string; readonly want: unknown }[] = [
    {
      name: "all",
      entry: "{devices: all, mig-enabled: false}",
      want: { deviceFilter: [], devices: "all", migEnabled: false, migDevices: {} },
    },
    {
      name: "no devices at all",
      entry: "{devices: [], mig-enabled: off}",
      want: { deviceFilter: [], devices: [], migEnabled: false, migDevices: {} },
    },
    {
      name: "the same index twice, and one that no GPU has",
      entry: "{devices: [0, 0, 99, -1], mig-enabled: false}",
      want: { deviceFilter: [], devices: [0, 0, 99, -1], migEnabled: false, migDevices: {} },
    },
    {
      name: "MIG on without instances",
      entry: "{devices: all, mig-enabled: yes, mig-devices: {}}",
      want: { deviceFilter: [], devices: "all", migEnabled: true, migDevices: {} },
    },
    {
      name: "a profile that exists nowhere",
      entry: "{devices: all, mig-enabled: true, mig-devices: {0g.0gb: 100}}",
      want: { deviceFilter: [], devices: "all", migEnabled: true, migDevices: { "0g.0gb": 100 } },
    },
    {
      name: "null mode is off",
      entry: "{devices: all, mig-enabled: }",
      want: { deviceFilter: [], devices: "all", migEnabled: false, migDevices: {} },
    },
    {
      name: "filters as text",
      entry: '{device-filter: "0x20B710DE", devices: all, mig-enabled: false}',
      want: { deviceFilter: ["0x20B710DE"], devices: "all", migEnabled: false, migDevices: {} },
    },
    {
      name: "no filter in four ways",
      entry: '{device-filter: "", devices: all, mig-enabled: false}',
      want: { deviceFilter: [], devices: "all", migEnabled: false, migDevices: {} },
    },
    {
      name: "counts with a decimal point",
      entry: "{devices: [1.0], mig-enabled: true, mig-devices: {1g.5gb: 2.0}}",
      want: { deviceFilter: [], devices: [1], migEnabled: true, migDevices: { "1g.5gb": 2 } },
    },
    {
      name: "a generated all-disabled has empty devices",
      entry: "{devices: all, mig-enabled: false, mig-devices: {}}",
      want: { deviceFilter: [], devices: "all", migEnabled: false, migDevices: {} },
    },
    {
      name: "equal profiles in different spellings add up",
      entry: "{devices: all, mig-enabled: true, mig-devices: {1c.1g.5gb: 2, 1g.5gb: 1}}",
      want: { deviceFilter: [], devices: "all", migEnabled: true, migDevices: { "1g.5gb": 3 } },
    },
  ];
  for (const { name, entry, want } of rows) {
    test(name, () => {
      const read = valueFrom(parseEntry(entry)).configs.get("x")?.entries[0];
      const { deviceFilter, devices, migEnabled, migDevices } = read ?? {};
      assert.deepEqual({ deviceFilter, devices, migEnabled, migDevices: Object.fromEntries(migDevices ?? []) }, want);
    });
  }

  for (const text of ["", "# nothing\n", "null\n", "version: v1\n"]) {
    test(`${JSON.stringify(text)} is a file without configs`, () =>
      assert.equal(valueFrom(parse(text)).configs.size, 0));
  }

  test("only the first document counts", () => {
    const outcome = parse("version: v1\nmig-configs: {a: [{devices: all, mig-enabled: false}]}\n---\nnonsense: [\n");
    assert.deepEqual([...valueFrom(outcome).configs.keys()], ["a"]);
  });
});

test("everything wrong is reported at once, each at its place", () => {
  const text = `version: v1
mig-configs:
  x:
  - device-filter: ["A100", "0x20B210DE"]
    devices: [0, x]
    mig-enabled: true
    mig-devices:
      1c.2g.10gb+me: 1
      02g.10gb: 1
      3g.20gb: 0
      bad: 1
  - devices: all
    mig-enable: true
`;
  assert.deepEqual(marks(parse(text).findings), [
    "4:21 mig-filter-unreadable",
    "5:14 bad-value",
    "9:7 mig-name-not-canonical",
    "10:16 mig-count-zero",
    "11:7 bad-mig-profile-name",
    "12:5 missing-field",
    "13:5 unexpected-field",
  ]);
});

test("every finding says what to do", () => {
  const outcome = parse("version: v1\nmig-config: {}\nmig-configs: {x: [{devices: 0}], y: }\n");
  assert.ok(outcome.findings.length >= 4);
  for (const one of outcome.findings) assert.notEqual(one.remedy, "", one.code);
});

// Places that are looked for from the top each time would take minutes here, and the agent with them.
test("a file as large as a ConfigMap can be is read, with every mistake at its place", () => {
  const entry = "  - &e {devices: all, mig-enabled: true, mig-devices: {1g.10gbx: 7}}\n";
  const text = `version: v1\nmig-configs:\n${Array.from({ length: 13_000 }, (_, at) => `  c${at}:\n${entry}`).join("")}`;
  const { findings } = parse(text);
  assert.equal(findings.length, 13_000);
  assert.deepEqual(marks(findings).at(-1), "26002:56 bad-mig-profile-name");
});

describe("choosing a config", () => {
  const one = valueFrom(parse("version: v1\nmig-configs: {a: [{devices: all, mig-enabled: false}]}\n"));
  const two = valueFrom(
    parse(
      "version: v1\nmig-configs: {all-1g.10gb: [{devices: all, mig-enabled: false}], b: [{devices: all, mig-enabled: false}]}\n",
    ),
  );

  test("with one config the name may be left out or empty", () => {
    assert.equal(valueFrom(selectMigConfig(one, undefined)).name, "a");
    assert.equal(valueFrom(selectMigConfig(one, "")).name, "a");
  });

  test("with several the name is needed", () => {
    assert.deepEqual(errors(selectMigConfig(two, "")), [
      "missing required flag 'selected-config' when more than one config available",
    ]);
  });

  test("a wrong name is answered with the closest", () => {
    const [finding] = selectMigConfig(two, "all-1g.10g").findings;
    assert.equal(finding?.message, "selected mig-config not present: all-1g.10g");
    assert.equal(finding?.remedy, "did you mean all-1g.10gb?");
    assert.equal(finding?.place?.file, "mig.yaml");
  });

  test("a file without configs has none to choose", () => {
    assert.deepEqual(errors(selectMigConfig(valueFrom(parse("")), "")), ["selected mig-config not present: "]);
  });
});
