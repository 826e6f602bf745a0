import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Outcome } from "../../src/base/index.ts";
import {
  configMapContents,
  embeddedFile,
  type Manifest,
  parseDevicePluginConfig,
  parseMigParted,
  readManifests,
  recogniseText,
  yamlText,
} from "../../src/config/index.ts";
import { errors, marks, valueFrom } from "./support/outcomes.ts";

function read(text: string, file = "all.yaml"): Outcome<readonly Manifest[]> {
  return readManifests([{ file, text }]);
}

/** `kind namespace/name line:column` of each manifest. */
function summary(text: string): readonly string[] {
  return valueFrom(read(text)).map(
    ({ kind, namespace, name, place }) => `${kind} ${namespace ?? ""}/${name} ${place.line}:${place.column}`,
  );
}

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ml}\n";

describe("manifests", () => {
  const rows: readonly { readonly name: string; readonly text: string; readonly want: readonly string[] }[] = [
    { name: "one object", text: pod, want: ["Pod ml/a 1:1"] },
    {
      name: "documents, empty ones passed over",
      text: `---\n# nothing\n---\n${pod}---\n---\n${pod}`,
      want: ["Pod ml/a 4:1", "Pod ml/a 9:1"],
    },
    {
      name: "JSON",
      text: '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}',
      want: ["Namespace /b 1:1"],
    },
    {
      name: "a List",
      text: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Node, metadata: {name: node-1}}\n",
      want: ["Pod /a 4:3", "Node /node-1 5:3"],
    },
    {
      name: "a typed list gives its items their kind",
      text: "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n",
      want: ["Pod /a 4:3"],
    },
    {
      name: "a list in a list",
      text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: a}\n",
      want: ["Pod /a 7:5"],
    },
    { name: "an empty list", text: "apiVersion: v1\nkind: List\nitems: []\n", want: [] },
    {
      name: "generateName",
      text: "apiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\n",
      want: ["Pod /job- 1:1"],
    },
    { name: "an empty file", text: "", want: [] },
  ];
  for (const { name, text, want } of rows) test(name, () => assert.deepEqual(summary(text), want));

  test("the object is the whole of it, and fields have places", () => {
    const [, second] = valueFrom(read(`${pod}---\n${pod}spec:\n  containers:\n  - name: main\n    image: x\n`));
    assert.deepEqual(second?.object, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", namespace: "ml" },
      spec: { containers: [{ name: "main", image: "x" }] },
    });
    assert.deepEqual(second.placeOf(["spec", "containers", 0, "image"]), { file: "all.yaml", line: 11, column: 12 });
    assert.deepEqual(second.placeOf(["spec", "containers", 1]), { file: "all.yaml", line: 9, column: 3 });
  });

  test("files keep their names and order", () => {
    const manifests = valueFrom(
      readManifests([
        { file: "b.yaml", text: pod },
        { file: "a.yaml", text: pod },
      ]),
    );
    assert.deepEqual(
      manifests.map((manifest) => manifest.place.file),
      ["b.yaml", "a.yaml"],
    );
  });
});

describe("what is no manifest is a finding at its place", () => {
  const rows: readonly { readonly name: string; readonly text: string; readonly want: readonly string[] }[] = [
    { name: "a text", text: "hello\n", want: ["1:1 not-a-manifest"] },
    { name: "a list of objects", text: `- ${pod.trim().replaceAll("\n", "\n  ")}\n`, want: ["1:1 not-a-manifest"] },
    { name: "no kind", text: "apiVersion: v1\nmetadata: {name: a}\n", want: ["1:1 not-a-manifest"] },
    { name: "no apiVersion", text: "kind: Pod\nmetadata: {name: a}\n", want: ["1:1 not-a-manifest"] },
    { name: "no name", text: "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n", want: ["3:1 not-a-manifest"] },
    { name: "an empty name", text: 'apiVersion: v1\nkind: Pod\nmetadata: {name: ""}\n', want: ["3:11 not-a-manifest"] },
    { name: "a number as name", text: "apiVersion: v1\nkind: Pod\nmetadata: {name: 4}\n", want: ["3:18 bad-value"] },
    {
      name: "a boolean as label",
      text: "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x: yes}}\n",
      want: ["3:33 bad-value"],
    },
    {
      name: "a number as annotation",
      text: "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: 4}}\n",
      want: ["3:38 bad-value"],
    },
    {
      name: "a mapping as ConfigMap data",
      text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  any:\n    version: v1\n",
      want: ["5:3 bad-value"],
    },
    {
      name: "a list item that is none",
      text: "apiVersion: v1\nkind: List\nitems:\n- x\n- {apiVersion: v1, kind: Pod}\n",
      want: ["4:3 not-a-manifest", "5:3 not-a-manifest"],
    },
    {
      name: "malformed YAML beside good",
      text: `${pod}---\na: [\n---\nkind: x\n`,
      want: ["5:5 yaml-syntax", "7:1 not-a-manifest", "7:1 not-a-manifest"],
    },
  ];
  for (const { name, text, want } of rows) {
    test(name, () => {
      const outcome = read(text);
      assert.equal(outcome.ok, false);
      assert.deepEqual(marks(outcome.findings), want);
      for (const one of outcome.findings) assert.notEqual(one.remedy, "");
    });
  }

  test("a repeated key is only a warning", () => {
    const outcome = read(`${pod}kind: Pod\n`);
    assert.ok(outcome.ok);
    assert.deepEqual(marks(outcome.findings), ["4:1 duplicate-key"]);
  });
});

describe("texts inside ConfigMaps", () => {
  const map = `# two formats
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data:
  config.yaml: |
    version: v1
    mig-configs:
      x:
      - devices: all
        mig-enabled: maybe
  quoted: "version: v1\\nsharing: {timeSlicing: {}}\\n"
  any: |-
    version: v1
    sharing:
      timeSlicing:
        resources:
        - {name: nvidia.com/gpu, replicas: 1}
  note: hello
  broken: |
    mig-configs: [
  void: ""
`;
  const [manifest] = valueFrom(read(map));
  assert.ok(manifest);

  test("are recognised for what they are", () => {
    assert.deepEqual(
      [...configMapContents(manifest.object["data"])],
      [
        ["config.yaml", "mig-parted"],
        ["quoted", "device-plugin"],
        ["any", "device-plugin"],
        ["note", "other"],
        ["broken", "mig-parted"],
        ["void", "empty"],
      ],
    );
  });

  test("no data has no contents", () => assert.equal(configMapContents(undefined).size, 0));

  test("a mistake in one is cited in the outer file", () => {
    const text = embeddedFile(manifest, "config.yaml");
    assert.ok(text);
    assert.deepEqual(marks(parseMigParted(text.text, text.file, text.placeAt).findings), ["11:22 bad-value"]);
    const any = embeddedFile(manifest, "any");
    assert.ok(any);
    const [finding] = parseDevicePluginConfig(any.text, any.file, any.placeAt).findings;
    assert.deepEqual(finding?.place, { file: "all.yaml", line: 18, column: 44 });
  });

  test("a mistake in a quoted text is cited where that starts", () => {
    const text = embeddedFile(manifest, "quoted");
    assert.ok(text);
    assert.deepEqual(marks(parseDevicePluginConfig(text.text, text.file, text.placeAt).findings), [
      "12:11 missing-field",
    ]);
  });

  test("a syntax error in one is cited in the outer file", () => {
    const text = embeddedFile(manifest, "broken");
    assert.ok(text);
    assert.deepEqual(marks(parseMigParted(text.text, text.file, text.placeAt).findings), ["21:19 yaml-syntax"]);
  });

  test("a key that is not there has no text", () => {
    assert.equal(embeddedFile(manifest, "nope"), undefined);
    assert.equal(embeddedFile(manifest, "toString"), undefined);
  });
});

describe("bare configuration files", () => {
  const rows = [
    {
      name: "a mig-parted file",
      text: "# c\nversion: v1\nmig-configs: {x: [{devices: all, mig-enabled: false}]}\n",
      kind: "mig-parted",
    },
    { name: "a device-plugin file", text: "version: v1\nflags: {}\n", kind: "device-plugin" },
    { name: "a device-plugin file without version", text: "sharing: {}\n", kind: "device-plugin" },
    { name: "keys in another case", text: "Sharing: {}\n", kind: "device-plugin" },
  ];
  for (const { name, text, kind } of rows) {
    test(`${name} becomes a ConfigMap named after the file`, () => {
      const outcome = read(text, "dir/My Config.yaml");
      const [manifest] = valueFrom(outcome);
      assert.equal(recogniseText(text), kind);
      assert.deepEqual(manifest?.object, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "my-config" },
        data: { "config.yaml": text },
      });
      assert.deepEqual(
        outcome.findings.map((one) => one.code),
        ["bare-config-wrapped"],
      );
    });
  }

  test("places inside it are those of the file", () => {
    const text = "---\n# c\nversion: v1\nmig-configs: {x: [{devices: all, mig-enabled: x}]}\n";
    const [manifest] = valueFrom(read(text));
    assert.ok(manifest);
    const inner = embeddedFile(manifest, "config.yaml");
    assert.ok(inner);
    assert.deepEqual(marks(parseMigParted(inner.text, inner.file, inner.placeAt).findings), ["4:47 bad-value"]);
  });

  test("files that are called alike have ConfigMaps of their own, and nobody else's", () => {
    const mig = "version: v1\nmig-configs: {x: [{devices: all, mig-enabled: false}]}\n";
    const declared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-2}\n";
    const files = [
      { file: "mig/config.yaml", text: mig },
      { file: "plugin/config.yaml", text: `sharing: {}\n---\n${declared}` },
    ];
    const names = valueFrom(readManifests(files)).map(({ name, object }) => [name, object["data"]]);
    assert.deepEqual(names, [
      ["config", { "config.yaml": mig }],
      ["config-3", { "config.yaml": "sharing: {}\n" }],
      ["config-2", undefined],
    ]);
  });

  test("files of other programs are not taken for one", () => {
    assert.equal(recogniseText('version: "3"\nservices: {}\n'), "other");
    assert.deepEqual(errors(read('version: "3"\nservices: {}\n')).length, 3);
  });
});

test("written YAML is read back unchanged by Kubernetes' rules", () => {
  const value = {
    a: "yes",
    b: "0x10",
    c: "010",
    d: "y",
    e: "1_000",
    f: "~",
    g: ["on", true, 4, null],
    h: "a: b\n#c\n",
  };
  const object = { apiVersion: "v1", kind: "X", metadata: { name: "x" }, spec: value };
  assert.deepEqual(valueFrom(read(yamlText(object)))[0]?.object, object);
});
