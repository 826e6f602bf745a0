/** Fields that a type does not know, and fields that stand twice (KEP-2885), in the words of the real server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { unknownFields } from "../../src/embedded/api/known-fields.ts";
import { messages } from "../../src/embedded/api/messages.ts";
import { repeatedJsonFields } from "../../src/embedded/api/repeated-fields.ts";
import { nodeTypes } from "../../src/embedded/api/schema-text-node.ts";
import { podTypes } from "../../src/embedded/api/schema-text-pod.ts";
import { rootTypes } from "../../src/embedded/api/schema-text-roots.ts";
import { workloadTypes } from "../../src/embedded/api/schema-text-workloads.ts";
import { builtInTypes } from "../../src/embedded/api/types.ts";
import { type Harness, podNamed, startHarness } from "./api-support.ts";

let api: Harness;
before(async () => {
  api = await startHarness();
});
after(() => api.stop());

const pods = "/api/v1/namespaces/default/pods";
const configMaps = "/api/v1/namespaces/default/configmaps";

/** A pod with two fields that no pod has. */
function misspelt(name: string): object {
  const containers = [{ name: "main", image: "a", comand: ["x"] }];
  return { ...podNamed(name), spec: { containers, restartPolcy: "Never" } };
}

const bothUnknown = ["spec.containers[0].comand", "spec.restartPolcy"].map((path) => `unknown field "${path}"`);

test("refuses unknown fields under Strict, with all their places", async () => {
  const { code, body } = await api.call(`${pods}?fieldValidation=Strict`, { method: "POST", body: misspelt("strict") });
  const start = 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: ';
  assert.deepEqual([code, String(body["message"])], [400, start + bothUnknown.join(", ")]);
});

for (const [query, warned] of [
  ["", true],
  ["?fieldValidation=Warn", true],
  ["?fieldValidation=Ignore", false],
] as const) {
  test(`drops unknown fields with ${query || "no wish"}, and ${warned ? "says so" : "says nothing"}`, async () => {
    const name = `dropped${query.toLowerCase().replaceAll(/[^a-z]/g, "-")}`;
    const { code, headers, body } = await api.call(pods + query, { method: "POST", body: misspelt(name) });
    assert.equal(code, 201);
    const told = bothUnknown.map((one) => `299 - "${one.replaceAll('"', '\\"')}"`).join(", ");
    assert.equal(headers["warning"], warned ? told : undefined);
    assert.deepEqual(
      [body["spec"]?.["restartPolcy"], body["spec"]?.["containers"]?.["comand"]],
      [undefined, undefined],
    );
    assert.doesNotMatch((await api.call(`${pods}/${name}`)).text, /comand|restartPolcy/);
  });
}

test("looks at the metadata of custom types too", async () => {
  const policy = {
    apiVersion: "nvidia.com/v1",
    kind: "ClusterPolicy",
    metadata: { name: "p", label: {} },
    spec: { a: 1 },
  };
  const path = "/apis/nvidia.com/v1/clusterpolicies?fieldValidation=Strict";
  const { body } = await api.call(path, { method: "POST", body: policy });
  assert.match(String(body["message"]), /strict decoding error: unknown field "metadata\.label"$/);
});

const patches = [
  {
    type: "application/strategic-merge-patch+json",
    body: { spec: { containers: [{ name: "main", comand: null, imagee: "a" }], foo: true } },
    message:
      ' "" is invalid: patch: Invalid value: "map[spec:map[containers:[map[comand:<nil> imagee:a name:main]] foo:true]]": ' +
      'strict decoding error: unknown field "spec.containers[0].imagee", unknown field "spec.foo"',
  },
  {
    type: "application/merge-patch+json",
    body: { spec: { foo: 1 } },
    message:
      /^ "" is invalid: patch: Invalid value: "\{.*\\"foo\\":1.*": strict decoding error: unknown field "spec\.foo"$/,
  },
  {
    type: "application/json-patch+json",
    body: '[{"op":"add","op":"add","path":"/spec/foo","value":1}]',
    message: /strict decoding error: unknown field "spec\.foo", json patch duplicate field "\[0\]\.op"$/,
  },
];
for (const { type, body, message } of patches) {
  test(`refuses an unknown field in ${type} as an invalid patch`, async () => {
    await api.call(pods, { method: "POST", body: podNamed("patched") });
    const options = { method: "PATCH", body, headers: { "content-type": type } };
    const reply = await api.call(`${pods}/patched?fieldValidation=Strict`, options);
    assert.deepEqual([reply.code, String(reply.body["reason"])], [422, "Invalid"]);
    if (typeof message === "string") assert.equal(String(reply.body["message"]), message);
    else assert.match(String(reply.body["message"]), message);
  });
}

test("refuses fields that stand twice in JSON, in YAML and in what is applied", async () => {
  const json = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"t","name":"t"},"data":{"a":"1","a":"2"}}';
  const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  a: x\n  a: z\n";
  const send = async (method: string, type: string, body: string): Promise<string> => {
    const path = method === "POST" ? `${configMaps}?` : `${configMaps}/t?fieldManager=me&`;
    const headers = { "content-type": type };
    const reply = await api.call(`${path}fieldValidation=Strict`, { method, body, headers });
    assert.equal(reply.code, 400);
    return String(reply.body["message"]);
  };
  const start = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ';
  const twice = 'yaml: unmarshal errors:\n  line 6: key "a" already set in map';
  assert.equal(
    await send("POST", "application/json", json),
    `${start}duplicate field "metadata.name", duplicate field "data.a"`,
  );
  assert.equal(await send("POST", "application/yaml", yaml), start + twice);
  assert.equal(
    await send("PATCH", "application/apply-patch+yaml", yaml),
    `error strict decoding YAML: error converting YAML to JSON: ${twice}`,
  );
});

test("does not merge an applied field that the type does not know", async () => {
  const headers = { "content-type": "application/apply-patch+yaml" };
  const path = `${pods}/applied?fieldManager=me&fieldValidation=Ignore`;
  const { code, body } = await api.call(path, { method: "PATCH", body: misspelt("applied"), headers });
  assert.equal(code, 500);
  assert.equal(
    String(body["message"]),
    [
      "failed to create typed patch object (default/applied; /v1, Kind=Pod): errors:",
      '  .spec.containers[name="main"].comand: field not declared in schema',
      "  .spec.restartPolcy: field not declared in schema",
    ].join("\n"),
  );
});

test("every kind that is stored has its fields written down, but for those that are all free form or not ours", () => {
  const without = builtInTypes.filter(({ kind, custom, stored }) => stored && !custom && !messages.has(kind));
  assert.deepEqual(
    without.map(({ kind }) => kind),
    ["PersistentVolume", "CustomResourceDefinition"],
  );
});

test("knows every field that kubectl explain describes", () => {
  const described = { ...nodeTypes, ...podTypes, ...workloadTypes };
  for (const [name, { fields }] of Object.entries(described)) {
    const message = messages.get(name);
    if (message === undefined) continue;
    for (const field of Object.keys(fields)) assert.ok(message.byName.has(field), `${name}.${field}`);
  }
  for (const type of builtInTypes.filter(({ kind, custom }) => !custom && messages.has(kind))) {
    const fields = rootTypes[`${type.plural}.${type.group}`]?.fields ?? {};
    const object = { metadata: {}, ...Object.fromEntries(Object.keys(fields).map((field) => [field, {}])) };
    assert.deepEqual(unknownFields(type, object), [], type.kind);
  }
});

/** JSON objects as texts, with the paths of the keys that stand twice, in the order in which they come the second time. */
const twiceKeyed: fc.Arbitrary<{ readonly text: string; readonly twice: readonly string[] }> = fc
  .letrec<{ readonly value: (path: string) => { readonly text: string; readonly twice: readonly string[] } }>(
    (tie) => ({
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc
          .oneof(fc.constantFrom('"\\":{"', '"a\\\\"', "1", "null", '","', '"]"'))
          .map((text) => () => ({ text, twice: [] })),
        fc.array(tie("value"), { maxLength: 3 }).map((items) => (path: string) => {
          const parts = items.map((one, index) => one(`${path}[${index}]`));
          return { text: `[${parts.map(({ text }) => text).join(" ,")}]`, twice: parts.flatMap(({ twice }) => twice) };
        }),
        fc
          .array(fc.tuple(fc.constantFrom("a", "b", "c"), tie("value")), { maxLength: 4 })
          .map((fields) => (path: string) => {
            const seen = new Set<string>();
            const twice: string[] = [];
            const texts = fields.map(([key, value]) => {
              const place = path === "" ? key : `${path}.${key}`;
              if (seen.has(key)) twice.push(place);
              seen.add(key);
              const inner = value(place);
              twice.push(...inner.twice);
              return `"${key}" : ${inner.text}`;
            });
            return { text: `{${texts.join(", ")}}`, twice };
          }),
      ),
    }),
  )
  .value.map((value) => value(""));

test("finds in any JSON exactly the keys that stand twice", () => {
  fc.assert(fc.property(twiceKeyed, ({ text, twice }) => assert.deepEqual(repeatedJsonFields(text), twice)));
});
