import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Finding, Place } from "../../src/base/index.ts";
import { readDocuments } from "../../src/config/documents.ts";
import {
  parseDevicePluginConfig,
  parseMigParted,
  readClusterPolicy,
  readManifests,
  recogniseText,
  wantedMig,
  yamlText,
} from "../../src/config/index.ts";
import { placesIn } from "../../src/config/places.ts";
import { catalogue, profileCounts, validLayouts } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";
import { valueFrom } from "./support/outcomes.ts";

/** Both notations people write a value in. */
const written = (value: unknown): fc.Arbitrary<string> =>
  fc.constantFrom(yamlText(value), JSON.stringify(value), JSON.stringify(value, null, 2));

const filter = fc
  .tuple(fc.integer({ min: 0, max: 0xffff }), fc.option(fc.integer({ min: 0, max: 0xffff })))
  .map(([device, subsystem]) => {
    const hex = (id: number): string => `0x${id.toString(16).padStart(4, "0")}10DE`;
    return subsystem === null ? hex(device) : `${hex(device)}:${hex(subsystem)}`;
  });
const profileName = fc.constantFrom("1g.5gb", "1g.10gb+me", "1c.3g.20gb", "1g.24gb+me.all", "1g.24gb-me", "7g.80gb");
const indexes = fc.array(fc.nat({ max: 20 }), { maxLength: 4 });
const migEntry = fc.oneof(
  fc.record({
    "device-filter": fc.oneof(filter, fc.array(filter, { maxLength: 3 })),
    devices: fc.oneof(fc.constant("all"), indexes),
    "mig-enabled": fc.constant(true),
    "mig-devices": fc.dictionary(profileName, fc.integer({ min: 1, max: 9 }), { maxKeys: 4 }),
  }),
  fc.record({ devices: fc.oneof(fc.constant("all"), indexes), "mig-enabled": fc.constant(false) }),
);
const configName = fc.stringMatching(/^[a-z][a-z0-9.-]{1,12}$/);
const migConfigs = fc.dictionary(configName, fc.array(migEntry, { minLength: 1, maxLength: 3 }), {
  minKeys: 1,
  maxKeys: 4,
});

test("a random mig-parted file is read as what it says", () => {
  const text = migConfigs.chain((configs) =>
    written({ version: "v1", "mig-configs": configs }).map((one) => ({ configs, text: one })),
  );
  fc.assert(
    fc.property(text, ({ configs, text: one }) => {
      const read = valueFrom(parseMigParted(one, "f.yaml")).configs;
      const plain = [...read].map(([name, config]) => [
        name,
        config.entries.map(({ deviceFilter, devices, migEnabled, migDevices }) => [
          deviceFilter,
          devices,
          migEnabled,
          Object.fromEntries(migDevices),
        ]),
      ]);
      const want = Object.entries(configs).map(([name, entries]) => [
        name,
        entries.map((entry) => [
          "device-filter" in entry ? [entry["device-filter"]].flat() : [],
          entry.devices,
          entry["mig-enabled"],
          "mig-devices" in entry ? { ...entry["mig-devices"] } : {},
        ]),
      ]);
      assert.deepEqual(Object.fromEntries(plain), Object.fromEntries(want));
    }),
    { numRuns: 200 },
  );
});

const shared = fc.record(
  {
    name: fc.constantFrom("nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-1g.10gb.me"),
    rename: fc.constantFrom("nvidia.com/small", "nvidia.com/gpu.part"),
    devices: fc.oneof(
      fc.constant("all"),
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
    ),
    replicas: fc.integer({ min: 2, max: 50 }),
  },
  { requiredKeys: ["name", "replicas"] },
);
const replicated = fc.record(
  {
    renameByDefault: fc.boolean(),
    failRequestsGreaterThanOne: fc.boolean(),
    resources: fc.array(shared, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: ["resources"] },
);
const pluginFile = fc.record(
  {
    flags: fc.record(
      { migStrategy: fc.constantFrom("none", "single", "mixed"), failOnInitError: fc.boolean() },
      { requiredKeys: [] },
    ),
    sharing: fc.record({ timeSlicing: replicated, mps: replicated }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);

test("a random device-plugin file is read as what it says", () => {
  const text = pluginFile.chain((file) => written(file).map((one) => ({ file, text: one })));
  fc.assert(
    fc.property(text, ({ file, text: one }) => {
      const { flags, sharing } = valueFrom(parseDevicePluginConfig(one, "f.yaml"));
      assert.deepEqual(flags, { ...file.flags });
      const active = file.sharing?.mps ?? file.sharing?.timeSlicing;
      const strategy = file.sharing?.mps !== undefined ? "mps" : active === undefined ? "none" : "time-slicing";
      assert.equal(sharing.strategy, strategy);
      assert.equal(sharing.failRequestsGreaterThanOne, active?.failRequestsGreaterThanOne ?? strategy === "mps");
      assert.deepEqual(
        sharing.resources.map(({ name, rename, replicas, devices }) => [name, rename, replicas, devices.kind]),
        (active?.resources ?? []).map(({ name, rename, replicas, devices = "all" }) => [
          name,
          rename,
          replicas,
          devices === "all" ? "all" : typeof devices === "number" ? "count" : "list",
        ]),
      );
    }),
    { numRuns: 200 },
  );
});

/** The places of all scalars of a value. */
function leaves(
  value: unknown,
  path: readonly (string | number)[] = [],
): { path: readonly (string | number)[]; leaf: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((one, index) => leaves(one, [...path, index]));
  if (typeof value !== "object" || value === null) return [{ path, leaf: value }];
  return Object.entries(value).flatMap(([key, one]) => leaves(one, [...path, key]));
}

test("every scalar is found where it stands", () => {
  const key = fc.stringMatching(/^[a-z]{2,6}$/);
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      tie("leaf"),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(key, tie("tree"), { maxKeys: 3 }),
    ),
    leaf: fc.oneof(fc.nat(), fc.boolean(), fc.string({ maxLength: 8 })),
  }));
  const indentation = fc.constantFrom(0, 1, 3);
  fc.assert(
    fc.property(fc.dictionary(key, tree, { minKeys: 1, maxKeys: 4 }), indentation, (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const [document] = readDocuments(`# head\n---\n${text}\n`, "f", placesIn("f")).documents;
      const lines = text.split("\n");
      for (const { path, leaf } of leaves(value)) {
        const place = document?.placeOf(path);
        const rest = lines[(place?.line ?? 0) - 3]?.slice((place?.column ?? 0) - 1) ?? "";
        assert.ok(rest.startsWith(JSON.stringify(leaf)), `${JSON.stringify(path)} in ${text}`);
      }
    }),
    { numRuns: 300 },
  );
});

const good = `version: v1
flags: {migStrategy: mixed, plugin: {deviceListStrategy: [envvar]}}
sharing:
  timeSlicing:
    resources:
    - name: nvidia.com/gpu
      replicas: 4
      devices: [0, "1:2"]
mig-configs:
  x: &x
  - device-filter: ["0x20B210DE"]
    devices: all
    mig-enabled: true
    mig-devices: {"1g.10gb": 7}
  y: *x
apiVersion: nvidia.com/v1
kind: ClusterPolicy
metadata: {name: a}
spec: {mig: {strategy: single}, devicePlugin: {env: [{name: A, value: b}]}}
`;
const pieces = [
  ..."-:{}[]#&*!|>'\"%@`?,\n\t ",
  "---\n",
  "...\n",
  "<<: *x",
  "null",
  "\r\n",
  "\uFEFF",
  "\u0000",
  "{{",
  "0x",
  "~",
];
/** A good text with stretches replaced by what YAML finds hard. */
const mutated = fc
  .array(fc.tuple(fc.nat({ max: good.length }), fc.nat({ max: 12 }), fc.constantFrom(...pieces)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((edits) =>
    edits.reduce((text, [at, length, piece]) => text.slice(0, at) + piece + text.slice(at + length), good),
  );
const garbage = fc.oneof(
  mutated,
  fc.string({ maxLength: 60, unit: "binary" }),
  fc.array(fc.constantFrom(...pieces, "a", "b: 1"), { maxLength: 30 }).map((parts) => parts.join("")),
);

function assertUsable(findings: readonly Finding[], text: string): void {
  const lines = text.split("\n");
  for (const one of findings) {
    assert.equal(one.place?.file, "f.yaml");
    const line = lines[one.place.line - 1];
    assert.ok(line !== undefined && one.place.column >= 1 && one.place.column <= line.length + 1, JSON.stringify(one));
    if (one.severity === "error") assert.notEqual(one.remedy, "", one.code);
  }
}

test("no text makes a reader throw, and every finding points into the text", () => {
  fc.assert(
    fc.property(garbage, (text) => {
      recogniseText(text);
      assertUsable(parseMigParted(text, "f.yaml").findings, text);
      assertUsable(parseDevicePluginConfig(text, "f.yaml").findings, text);
      const manifests = readManifests([{ file: "f.yaml", text }]);
      assertUsable(manifests.findings, text);
      for (const manifest of manifests.ok ? manifests.value : []) {
        const placeOf = (path: readonly (string | number)[]): Place => manifest.placeOf(path);
        assertUsable(readClusterPolicy(manifest.object, placeOf).findings, text);
      }
    }),
    { numRuns: 1500 },
  );
});

test("no mix that some layout holds is refused as too many", () => {
  const models = catalogue().flatMap(({ id, mig }) => (mig === undefined ? [] : [{ id, mig }]));
  const seen = new Set<string>();
  for (const { id, mig } of models) {
    if (seen.has(mig.name)) continue;
    seen.add(mig.name);
    for (const layout of validLayouts(mig)) {
      const entry = { devices: "all", "mig-enabled": true, "mig-devices": Object.fromEntries(profileCounts(layout)) };
      const text = JSON.stringify({ version: "v1", "mig-configs": { x: [entry] } });
      const config = valueFrom(parseMigParted(text, "f.yaml")).configs.get("x");
      assert.ok(config);
      const { wanted, findings } = wantedMig(config, [gpuOf(id, 0)]);
      assert.deepEqual(findings, [], text);
      assert.equal(wanted.length, 1);
    }
  }
  assert.ok(seen.size >= 3);
});
