/** IMEX channels: file, variables and options (NVIDIA k8s-device-plugin api/config/v1/imex.go). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { effectiveImex, type ImexConfig, parseDevicePluginConfig } from "../../src/config/index.ts";

const files = [
  { text: "", want: undefined },
  { text: "imex: {}\n", want: { channelIds: [], required: false } },
  { text: "imex: {channelIDs: [0]}\n", want: { channelIds: [0], required: false } },
  { text: "imex: {channelIDs: [], required: yes}\n", want: { channelIds: [], required: true } },
];
for (const { text, want } of files) {
  test(`the file says ${text.trim() || "nothing"}`, () => {
    const read = parseDevicePluginConfig(text, "config.yaml");
    assert.ok(read.ok);
    assert.deepEqual(read.value.imex, want);
  });
}

const inFile: ImexConfig = { channelIds: [0], required: true };
const rows: readonly {
  readonly name: string;
  readonly file?: ImexConfig;
  readonly set: Readonly<Record<string, string>>;
  readonly want: ImexConfig;
  readonly told?: string;
}[] = [
  { name: "nothing set", set: {}, want: { channelIds: [], required: false } },
  { name: "the file alone", file: inFile, set: {}, want: inFile },
  {
    name: "variables over the file",
    file: inFile,
    set: { IMEX_CHANNEL_IDS: "", IMEX_REQUIRED: "false" },
    want: { channelIds: [], required: false },
  },
  {
    name: "options over variables",
    set: { IMEX_CHANNEL_IDS: "", "--imex-channel-ids": "0", "--imex-required": "T" },
    want: inFile,
  },
  {
    name: "another channel is refused and the file's stay",
    file: inFile,
    set: { IMEX_CHANNEL_IDS: "0,1" },
    want: inFile,
    told: 'environment variable IMEX_CHANNEL_IDS: IMEX_CHANNEL_IDS="0,1": channelIDs must be [] or [0]',
  },
  {
    name: "an option that is refused does not hide the variable",
    set: { "--imex-channel-ids": "1", IMEX_CHANNEL_IDS: "0" },
    want: { channelIds: [0], required: false },
    told: 'option --imex-channel-ids: --imex-channel-ids="1": channelIDs must be [] or [0]',
  },
  {
    name: "what is no truth value is refused",
    set: { "--imex-required": "yes" },
    want: { channelIds: [], required: false },
    told: 'option --imex-required: --imex-required="yes": could not parse as bool value',
  },
];
for (const { name, file, set, want, told } of rows) {
  test(name, () => {
    const { imex, findings } = effectiveImex(file, [new Map(Object.entries(set))]);
    assert.deepEqual(imex, want);
    assert.deepEqual(
      findings.map(({ subject, message }) => `${subject.name}: ${message}`),
      told === undefined ? [] : [told],
    );
  });
}
