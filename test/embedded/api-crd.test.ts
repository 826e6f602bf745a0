/** Custom resources under the schema of their definition: pruned, defaulted, checked, shown in its columns. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Body, type Harness, type Reply, startHarness } from "./api-support.ts";

let api: Harness;

before(async () => {
  api = await startHarness();
  const made = await api.call(definitions, { method: "POST", body: definition("widgets", "Widget") });
  assert.equal(made.code, 201, made.text);
});
after(async () => {
  await api.stop();
});

const schema = {
  type: "object",
  required: ["spec"],
  properties: {
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: { type: "integer", minimum: 1, maximum: 8 },
        colour: { type: "string", enum: ["red", "green"], default: "red" },
        note: { type: "string", maxLength: 5, nullable: true },
        code: { type: "string", pattern: "^[a-z]+$", minLength: 2 },
        port: { "x-kubernetes-int-or-string": true },
        free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        until: { type: "string", format: "date-time" },
        labels: { type: "object", additionalProperties: { type: "string" } },
        steps: {
          type: "array",
          minItems: 1,
          maxItems: 2,
          items: {
            type: "object",
            required: ["name"],
            properties: { name: { type: "string" }, retries: { type: "integer", default: 3 } },
          },
        },
        inner: { type: "object", "x-kubernetes-embedded-resource": true, properties: { spec: { type: "object" } } },
        either: {
          type: "object",
          properties: { a: { type: "string" }, b: { type: "string" } },
          oneOf: [{ required: ["a"] }, { required: ["b"] }],
        },
      },
    },
    status: { type: "object", properties: { phase: { type: "string" }, done: { type: "boolean" } } },
  },
};

function definition(plural: string, kind: string, more: object = {}): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural, kind },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: "Size", type: "integer", jsonPath: ".spec.size" },
            { name: "First", type: "string", jsonPath: ".spec.steps[0].name", description: "the first step" },
            { name: "Ready", type: "string", jsonPath: '.spec.steps[?(@.name=="b")].retries', priority: 1 },
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
          ],
        },
        { name: "v2", served: true, storage: false, schema: { openAPIV3Schema: schema } },
      ],
      ...more,
    },
  };
}

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const widgets = "/apis/example.com/v1/namespaces/default/widgets";

let count = 0;

function create(spec: unknown, more: object = {}): Promise<Reply> {
  count += 1;
  const body = { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: `w${count}` }, spec, ...more };
  return api.call(widgets, { method: "POST", body });
}

function plain(body: Body | undefined): unknown {
  return JSON.parse(JSON.stringify(body ?? null));
}

const kept = [
  { name: "an unknown field goes", spec: { size: 1, odd: 1 }, want: { size: 1, colour: "red" } },
  {
    name: "a default comes inside a list",
    spec: { size: 1, steps: [{ name: "a" }, { name: "b", retries: 1, odd: 2 }] },
    want: {
      size: 1,
      colour: "red",
      steps: [
        { name: "a", retries: 3 },
        { name: "b", retries: 1 },
      ],
    },
  },
  {
    name: "a null takes the default where it is not allowed, goes where there is none, stays where it is allowed",
    spec: { size: 1, colour: null, code: null, note: null },
    want: { size: 1, colour: "red", note: null },
  },
  {
    name: "what is said to be open keeps all",
    spec: { size: 1, free: { any: { thing: [1] } }, labels: { a: "b" } },
    want: { size: 1, colour: "red", free: { any: { thing: [1] } }, labels: { a: "b" } },
  },
  {
    name: "an object within the object keeps its kind and metadata",
    spec: { size: 1, inner: { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: {}, odd: 1 } },
    want: { size: 1, colour: "red", inner: { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: {} } },
  },
  { name: "a port may be a number", spec: { size: 1, port: 80 }, want: { size: 1, colour: "red", port: 80 } },
  { name: "a port may be a text", spec: { size: 1, port: "http" }, want: { size: 1, colour: "red", port: "http" } },
];

for (const { name, spec, want } of kept) {
  test(`stores under a schema: ${name}`, async () => {
    const reply = await create(spec);
    assert.equal(reply.code, 201, reply.text);
    assert.deepEqual(plain(reply.body["spec"]), want);
  });
}

const refused = [
  { spec: undefined, want: "spec: Required value" },
  { spec: {}, want: "spec.size: Required value" },
  {
    spec: { size: "x" },
    want: 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
  },
  {
    spec: { size: 0 },
    want: "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
  },
  { spec: { size: 9 }, want: "spec.size: Invalid value: 9: spec.size in body should be less than or equal to 8" },
  {
    spec: { size: 1, colour: "blue" },
    want: 'spec.colour: Unsupported value: "blue": supported values: "red", "green"',
  },
  { spec: { size: 1, note: "too long" }, want: "spec.note: Too long: may not be more than 5 bytes" },
  {
    spec: { size: 1, code: "AB" },
    want: `spec.code: Invalid value: "AB": spec.code in body should match '^[a-z]+$'`,
  },
  {
    spec: { size: 1, code: "a" },
    want: 'spec.code: Invalid value: "a": spec.code in body should be at least 2 chars long',
  },
  {
    spec: { size: 1, port: true },
    want: 'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
  },
  {
    spec: { size: 1, until: "soon" },
    want: 'spec.until: Invalid value: "soon": spec.until in body must be of type date-time: "soon"',
  },
  {
    spec: { size: 1, labels: { a: 1 } },
    want: 'spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"',
  },
  {
    spec: { size: 1, steps: [] },
    want: "spec.steps: Invalid value: []: spec.steps in body should have at least 1 items",
  },
  {
    spec: { size: 1, steps: [{ name: "a" }, { name: "b" }, { name: "c" }] },
    want: "spec.steps: Too many: 3: must have at most 2 items",
  },
  { spec: { size: 1, steps: [{}] }, want: "spec.steps[0].name: Required value" },
  {
    spec: { size: 1, either: {} },
    want: 'spec.either: Invalid value: {}: "spec.either" must validate one and only one schema (oneOf). Found none valid',
  },
];

for (const { spec, want } of refused) {
  test(`refuses under a schema: ${want}`, async () => {
    const { code, body } = await create(spec);
    assert.equal(code, 422);
    const name = `w${count}`;
    assert.equal(String(body["message"]), `Widget.example.com "${name}" is invalid: ${want}`);
    const cause = body["details"]?.["causes"]?.["0"];
    assert.equal(`${String(cause?.["field"])}: ${String(cause?.["message"])}`, want);
  });
}

test("names every fault of an object at once", async () => {
  const { body } = await create({ size: 0, colour: "blue" });
  const causes = plain(body["details"]?.["causes"]);
  assert.deepEqual(Array.isArray(causes) && causes.map((one) => one.reason), [
    "FieldValueInvalid",
    "FieldValueNotSupported",
  ]);
});

test("checks a change, and the status where it is a subresource", async () => {
  await create({ size: 1 }, { status: { phase: "not taken at creation" } });
  const path = `${widgets}/w${count}`;
  const merge = { "content-type": "application/merge-patch+json" };
  const patch = (at: string, body: object): Promise<Reply> => api.call(at, { method: "PATCH", body, headers: merge });
  assert.equal((await patch(path, { spec: { size: 99 } })).code, 422);
  assert.equal((await patch(`${path}/status`, { status: { done: "yes" } })).code, 422);
  const done = await patch(`${path}/status`, { status: { done: true, odd: 1 }, spec: { size: 5 } });
  assert.deepEqual(plain(done.body["status"]), { done: true });
  assert.deepEqual(plain(done.body["spec"]), { size: 1, colour: "red" });
});

test("serves a version by name only, whichever it is stored as", async () => {
  await create({ size: 2 });
  const asV2 = await api.call(`${widgets}/w${count}`.replace("/v1/", "/v2/"));
  assert.deepEqual([String(asV2.body["apiVersion"]), Number(asV2.body["spec"]?.["size"])], ["example.com/v2", 2]);
});

test("shows the columns that the definition declares, each version its own", async () => {
  await create({ size: 2, steps: [{ name: "a" }, { name: "b" }] });
  const accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
  const table = async (version: string): Promise<Body> =>
    (await api.call(`${widgets}/w${count}`.replace("/v1/", `/${version}/`), { headers: { accept } })).body;
  const own = await table("v1");
  const columns = plain(own["columnDefinitions"]);
  assert.deepEqual(Array.isArray(columns) && columns.map((one) => [one.name, one.type, one.priority]), [
    ["Name", "string", 0],
    ["Size", "integer", 0],
    ["First", "string", 0],
    ["Ready", "string", 1],
    ["Age", "date", 0],
  ]);
  const cells = plain(own["rows"]?.["0"]?.["cells"]);
  assert.deepEqual(Array.isArray(cells) && cells.slice(0, 4), [`w${count}`, 2, "a", "3"]);
  const other = plain((await table("v2"))["columnDefinitions"]);
  assert.deepEqual(Array.isArray(other) && other.map((one) => one.name), ["Name", "Age"]);
});

const badSchemas = [
  {
    name: "a field without a type",
    part: {},
    field: "type",
    why: "Required value: must not be empty for specified object fields",
  },
  {
    name: "a reference",
    part: { type: "object", $ref: "#/x" },
    field: "$ref",
    why: "Forbidden: $ref is not supported",
  },
  { name: "a list without items", part: { type: "array" }, field: "items", why: "Required value: must be specified" },
  {
    name: "a type beside int-or-string",
    part: { type: "string", "x-kubernetes-int-or-string": true },
    field: "type",
    why: "Forbidden: must be empty if x-kubernetes-int-or-string is true",
  },
  {
    name: "properties beside additionalProperties",
    part: { type: "object", properties: {}, additionalProperties: { type: "string" } },
    field: "additionalProperties",
    why: "Forbidden: additionalProperties and properties are mutual exclusive",
  },
];

for (const { name, part, field, why } of badSchemas) {
  test(`refuses a definition whose schema has ${name}`, async () => {
    const versions = [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", properties: { x: part } } },
      },
    ];
    const body = definition("gizmos", "Gizmo", { versions });
    const reply = await api.call(definitions, { method: "POST", body });
    const cause = reply.body["details"]?.["causes"]?.["0"];
    assert.equal(reply.code, 422);
    assert.equal(String(cause?.["field"]), `spec.versions[0].schema.openAPIV3Schema.properties[x].${field}`);
    assert.equal(String(cause?.["message"]), why);
  });
}

test("does not establish a definition whose kind another of its group has", async () => {
  const conditionsOf = (reply: Reply): unknown => {
    const list = plain(reply.body["status"]?.["conditions"]);
    return Array.isArray(list) && list.map((one) => [one.type, one.status, one.message]);
  };
  const first = await api.call(`${definitions}/widgets.example.com`);
  assert.deepEqual(conditionsOf(first), [
    ["NamesAccepted", "True", "no conflicts found"],
    ["Established", "True", "the initial names have been accepted"],
  ]);
  const second = await api.call(definitions, { method: "POST", body: definition("widgetz", "Widget") });
  assert.deepEqual(conditionsOf(second), [
    ["NamesAccepted", "False", '"widget" is already in use'],
    ["Established", "False", "not all names are accepted"],
  ]);
  assert.equal((await api.call("/apis/example.com/v1/namespaces/default/widgetz")).code, 404);
});

const policies = [
  { policy: "Strict", code: 400, warning: undefined },
  { policy: "Warn", code: 201, warning: '299 - "unknown field \\"spec.odd\\"", 299 - "unknown field \\"more\\""' },
  { policy: "", code: 201, warning: '299 - "unknown field \\"spec.odd\\"", 299 - "unknown field \\"more\\""' },
  { policy: "Ignore", code: 201, warning: undefined },
  { policy: "Loud", code: 400, warning: undefined },
];

for (const { policy, code, warning } of policies) {
  test(`tells of unknown fields as fieldValidation=${policy} asks`, async () => {
    count += 1;
    const body = { metadata: { name: `w${count}` }, spec: { size: 1, odd: 1 }, more: 2 };
    const reply = await api.call(`${widgets}?fieldValidation=${policy}`, { method: "POST", body });
    assert.deepEqual([reply.code, reply.headers["warning"]], [code, warning]);
    if (policy !== "Strict") return;
    const want =
      'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.odd", unknown field "more"';
    assert.equal(String(reply.body["message"]), want);
  });
}

test("says that it does not evaluate rules in CEL, and keeps them", async () => {
  const ruled = { type: "object", "x-kubernetes-validations": [{ rule: "self.spec.size > 1" }] };
  const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: ruled } }];
  const reply = await api.call(definitions, { method: "POST", body: definition("ruleds", "Ruled", { versions }) });
  assert.equal(reply.code, 201);
  assert.match(String(reply.headers["warning"]), /x-kubernetes-validations are kept, but .* not evaluate/);
  const kept = reply.body["spec"]?.["versions"]?.["0"]?.["schema"]?.["openAPIV3Schema"];
  assert.deepEqual(plain(kept), ruled);
});
