/** Server-side apply over HTTP: what is merged, who owns it, what is refused (KEP-555). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { type Body, type Harness, podNamed, type Reply, startHarness } from "./api-support.ts";

let api: Harness;
before(async () => {
  api = await startHarness();
});
after(() => api.stop());

const configMaps = "/api/v1/namespaces/default/configmaps";
const applyType = "application/apply-patch+yaml";
let counter = 0;

/** A name no other test has. */
function fresh(): string {
  counter += 1;
  return `applied-${counter}`;
}

function apply(path: string, body: unknown, query = "fieldManager=me"): Promise<Reply> {
  return api.call(`${path}?${query}`, { method: "PATCH", body, headers: { "content-type": applyType } });
}

function mergePatch(path: string, body: unknown, manager: string): Promise<Reply> {
  const headers = { "content-type": "application/merge-patch+json" };
  return api.call(`${path}?fieldManager=${manager}`, { method: "PATCH", body, headers });
}

function configMap(name: string, data: Readonly<Record<string, string>>, metadata: object = {}) {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, ...metadata }, data };
}

async function read(path: string): Promise<Body> {
  const { code, body } = await api.call(path);
  assert.equal(code, 200);
  return body;
}

/** Who owns which keys of a ConfigMap's data: `a: me/Apply`. */
function dataOwners(object: Body): readonly string[] {
  const entries = object["metadata"]?.["managedFields"];
  if (!Array.isArray(entries)) return [];
  const owned = entries.flatMap(({ manager, operation, fieldsV1 }) =>
    Object.keys(fieldsV1["f:data"] ?? {})
      .filter((key) => key !== ".")
      .map((key) => `${key.slice(2)}: ${manager}/${operation}`),
  );
  return owned.sort();
}

test("creates what is not there, in YAML too, and says so", async () => {
  const name = fresh();
  const yaml = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata: {a: "1"} # as people write it\n`;
  const made = await apply(`${configMaps}/${name}`, yaml);
  assert.deepEqual([made.code, String(made.body["data"]?.["a"])], [201, "1"]);
  assert.equal((await apply(`${configMaps}/${name}`, yaml)).code, 200);
  assert.deepEqual(dataOwners(await read(`${configMaps}/${name}`)), ["a: me/Apply"]);
});

test("removes what its applier no longer names, and keeps what others wrote", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  await apply(path, configMap(name, { a: "1", b: "1" }));
  await mergePatch(path, { data: { other: "1" } }, "someone");
  const changed = await apply(path, configMap(name, { b: "2" }));
  assert.deepEqual(changed.body["data"], { b: "2", other: "1" });
  assert.deepEqual(dataOwners(changed.body), ["b: me/Apply", "other: someone/Update"]);
});

test("refuses to change what another owns, names owner and field, and obeys force", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  await apply(path, configMap(name, { a: "1" }));
  const refused = await apply(path, configMap(name, { a: "2" }), "fieldManager=you");
  assert.deepEqual([refused.code, String(refused.body["reason"])], [409, "Conflict"]);
  assert.equal(String(refused.body["message"]), 'Apply failed with 1 conflict: conflict with "me": .data.a');
  const forced = await apply(path, configMap(name, { a: "2" }), "fieldManager=you&force=true");
  assert.deepEqual([forced.code, dataOwners(forced.body)], [200, ["a: you/Apply"]]);
});

test("an application that changes nothing stores nothing and renews no time", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  const first = await apply(path, configMap(name, { a: "1" }));
  const again = await apply(path, configMap(name, { a: "1" }));
  assert.equal(again.text, first.text);
});

test("does everything but store in a dry run", async () => {
  const name = fresh();
  const made = await apply(`${configMaps}/${name}`, configMap(name, { a: "1" }), "fieldManager=me&dryRun=All");
  assert.deepEqual([made.code, dataOwners(made.body)], [201, ["a: me/Apply"]]);
  assert.equal((await api.call(`${configMaps}/${name}`)).code, 404);
});

test("an updater is its fieldManager or its program, and owns what it changed", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  const headers = { "user-agent": "kubectl/v1.35 (linux)", "content-type": "application/json" };
  await api.call(configMaps, { method: "POST", body: configMap(name, { a: "1", b: "1" }), headers });
  const stored = await read(path);
  const put = { ...stored, data: { a: "1", b: "2" } };
  const { body } = await api.call(path, { method: "PUT", body: put, headers: { "user-agent": "" } });
  assert.deepEqual(dataOwners(body), ["a: kubectl/Update", "b: unknown/Update"]);
});

test("the status has owners of its own", async () => {
  const name = fresh();
  const path = `/api/v1/namespaces/default/pods/${name}`;
  await api.call("/api/v1/namespaces/default/pods", { method: "POST", body: podNamed(name) });
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name } };
  const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
  const { code, body } = await apply(`${path}/status`, { ...pod, spec: { nodeName: "n" }, status });
  assert.equal(code, 200);
  assert.equal(body["spec"]?.["nodeName"], undefined);
  const entries = body["metadata"]?.["managedFields"];
  assert.ok(Array.isArray(entries));
  const { time, ...entry } = entries.find(({ manager }) => manager === "me");
  assert.deepEqual(entry, {
    manager: "me",
    operation: "Apply",
    apiVersion: "v1",
    subresource: "status",
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:status": {
        "f:phase": {},
        "f:conditions": { 'k:{"type":"Ready"}': { ".": {}, "f:type": {}, "f:status": {} } },
      },
    },
  });
  const nobody = { ...pod, metadata: { name: "nobody" }, status };
  assert.equal((await apply("/api/v1/namespaces/default/pods/nobody/status", nobody)).code, 404);
});

test("one empty entry clears the books, and what was there belongs to before-first-apply then", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  await apply(path, configMap(name, { a: "1" }));
  const cleared = await mergePatch(path, { metadata: { managedFields: [{}] } }, "x");
  assert.equal(cleared.body["metadata"]?.["managedFields"], undefined);
  const updated = await mergePatch(path, { data: { b: "1" } }, "x");
  assert.equal(updated.body["metadata"]?.["managedFields"], undefined);
  const refused = await apply(path, configMap(name, { b: "2" }));
  assert.match(String(refused.body["message"]), /conflict with "before-first-apply" using v1: \.data\.b$/);
  const taken = await apply(path, configMap(name, { a: "1" }));
  assert.deepEqual(dataOwners(taken.body), [
    "a: before-first-apply/Update",
    "a: me/Apply",
    "b: before-first-apply/Update",
  ]);
});

test("remembers ten updaters one by one and the older ones together", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  await apply(path, configMap(name, {}));
  for (let index = 0; index < 12; index++) {
    await mergePatch(path, { data: { [`k${index}`]: "1" } }, `updater-${String(index).padStart(2, "0")}`);
  }
  const owners = dataOwners(await read(path));
  assert.equal(new Set(owners.map((one) => one.split(": ")[1])).size, 10);
  const bucket = owners.filter((one) => one.endsWith(": ancient-changes/Update"));
  assert.deepEqual(bucket, ["k0: ancient-changes/Update", "k1: ancient-changes/Update", "k2: ancient-changes/Update"]);
});

test("kubectl takes over what it applied from its own side, and keeps its note true", async () => {
  const name = fresh();
  const path = `${configMaps}/${name}`;
  const note = "kubectl.kubernetes.io/last-applied-configuration";
  const last = JSON.stringify(configMap(name, { a: "1", b: "1" }));
  const before = configMap(name, { a: "1", b: "1" }, { annotations: { [note]: last } });
  await api.call(`${configMaps}?fieldManager=kubectl-client-side-apply`, { method: "POST", body: before });
  await mergePatch(path, { data: { b: "3" } }, "someone");
  const refused = await apply(path, configMap(name, { a: "2", b: "2" }), "fieldManager=kubectl");
  assert.equal(
    String(refused.body["message"]),
    'Apply failed with 1 conflict: conflict with "someone" using v1: .data.b',
  );
  const config = { ...configMap(name, { a: "2" }), metadata: { name, namespace: "default" } };
  const taken = await apply(path, config, "fieldManager=kubectl");
  assert.equal(taken.code, 200);
  assert.equal(String(taken.body["metadata"]?.["annotations"]?.[note]), `${JSON.stringify(config)}\n`);
  const other = await apply(path, configMap(name, { a: "3" }), "fieldManager=gitops");
  assert.equal(other.code, 409);
});

const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "racks.example.org" },
  spec: {
    group: "example.org",
    scope: "Cluster",
    names: { plural: "racks", kind: "Rack" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: {
                  slots: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    items: {
                      type: "object",
                      properties: { id: { type: "string" }, gpu: { type: "string" } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

test("merges lists of custom resources by the keys of their schema", async () => {
  const made = await api.call("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    method: "POST",
    body: definition,
  });
  assert.equal(made.code, 201);
  const path = "/apis/example.org/v1/racks/r";
  const rack = (...slots: readonly object[]): object => ({
    apiVersion: "example.org/v1",
    kind: "Rack",
    metadata: { name: "r" },
    spec: { slots },
  });
  await apply(path, rack({ id: "a", gpu: "A100" }), "fieldManager=one");
  const both = await apply(path, rack({ id: "b", gpu: "H100" }), "fieldManager=two");
  assert.deepEqual(both.body["spec"]?.["slots"], [
    { id: "a", gpu: "A100" },
    { id: "b", gpu: "H100" },
  ]);
  const refused = await apply(path, rack({ id: "a", gpu: "L4" }), "fieldManager=two");
  assert.equal(
    String(refused.body["message"]),
    'Apply failed with 1 conflict: conflict with "one": .spec.slots[id="a"].gpu',
  );
});

const pod = (...containers: readonly object[]): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "bad", namespace: "default" },
  spec: { containers },
});
const refusals = [
  {
    name: "an entry without its key",
    body: pod({ image: "a" }),
    code: 500,
    message:
      'failed to create typed patch object (default/bad; /v1, Kind=Pod): .spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
  },
  {
    name: "two entries with one key",
    body: pod({ name: "a", env: [{ name: "X" }, { name: "X" }] }, { name: "a" }),
    code: 500,
    message: [
      "failed to create typed patch object (default/bad; /v1, Kind=Pod): errors:",
      '  .spec.containers[name="a"].env: duplicate entries for key [name="X"]',
      '  .spec.containers: duplicate entries for key [name="a"]',
    ].join("\n"),
  },
  {
    name: "books in the body",
    body: { apiVersion: "v1", kind: "Pod", metadata: { name: "bad", managedFields: [] } },
    code: 400,
    message: "metadata.managedFields must be nil",
  },
  { name: "an object of no type", body: { metadata: {} }, code: 500, message: "invalid object type: /, Kind=" },
  {
    name: "another name than on the URL",
    body: { apiVersion: "v1", kind: "Pod", metadata: { name: "other" } },
    code: 400,
    message: "the name of the object (other) does not match the name on the URL (bad)",
  },
  {
    name: "no manager",
    query: "",
    body: pod(),
    code: 422,
    message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  },
  {
    name: "a manager's name too long",
    query: `fieldManager=${"x".repeat(129)}`,
    body: pod(),
    code: 422,
    message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
  },
  {
    name: "force in another patch",
    query: "force=true",
    type: "application/merge-patch+json",
    body: {},
    code: 422,
    message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  },
  {
    name: "YAML that is none",
    body: "a: b\nc: [",
    code: 400,
    message: /^error decoding YAML: error converting YAML to JSON: yaml: line 2: /,
  },
  {
    name: "an apply patch in CBOR",
    type: "application/apply-patch+cbor",
    body: "",
    code: 415,
    message: /apply-patch\+yaml/,
  },
];
for (const { name, query = "fieldManager=me", type = applyType, body, code, message } of refusals) {
  test(`refuses ${name}`, async () => {
    const path = `/api/v1/namespaces/default/pods/bad?${query}`;
    const reply = await api.call(path, { method: "PATCH", body, headers: { "content-type": type } });
    assert.equal(reply.code, code, reply.text);
    const said = String(reply.body["message"]);
    if (typeof message === "string") assert.equal(said, message);
    else assert.match(said, message);
  });
}

/** What one manager does. */
type Act =
  | { readonly by: string; readonly apply: Readonly<Record<string, string>>; readonly force: boolean }
  | { readonly by: string; readonly patch: Readonly<Record<string, string | null>> };

/** The same in a few lines: the value and the owners of each key. */
class Model {
  readonly values = new Map<string, string>();
  readonly owners = new Map<string, Set<string>>();

  /** Whether the act is refused. */
  act(one: Act): boolean {
    return "apply" in one ? this.#apply(one) : this.#patch(one);
  }

  #apply({ by, apply: config, force }: Extract<Act, { readonly force: boolean }>): boolean {
    const me = `${by}/Apply`;
    const takes = (key: string): boolean => this.values.has(key) && this.values.get(key) !== config[key];
    const isOthers = (key: string): boolean => [...(this.owners.get(key) ?? [])].some((owner) => owner !== me);
    if (!force && Object.keys(config).some((key) => takes(key) && isOthers(key))) return true;
    for (const [key, owners] of this.owners) if (!(key in config) && owners.delete(me)) this.#drop(key);
    for (const [key, value] of Object.entries(config)) this.#own(key, value, me);
    return false;
  }

  #patch({ by, patch }: Extract<Act, { readonly patch: object }>): boolean {
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) {
        this.owners.delete(key);
        this.#drop(key);
      } else if (this.values.get(key) !== value) this.#own(key, value, `${by}/Update`);
    }
    return false;
  }

  #own(key: string, value: string, me: string): void {
    const owners = this.values.get(key) === value ? this.owners.get(key) : undefined;
    this.owners.set(key, new Set([...(owners ?? []), me]));
    this.values.set(key, value);
  }

  /** Removes a key that nobody owns any more. */
  #drop(key: string): void {
    if ((this.owners.get(key)?.size ?? 0) > 0) return;
    this.owners.delete(key);
    this.values.delete(key);
  }
}

const managers = fc.constantFrom("x", "y", "z");
const keys = fc.constantFrom("a", "b", "c");
const values = fc.constantFrom("0", "1");
const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ by: managers, apply: fc.dictionary(keys, values, { maxKeys: 3 }), force: fc.boolean() }),
  fc.record({ by: managers, patch: fc.dictionary(keys, fc.oneof(values, fc.constant(null)), { maxKeys: 2 }) }),
);

test("random applications and patches: a conflict, a loss, a removal exactly when the books say so", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { minLength: 2, maxLength: 12 }), async (all) => {
      const name = fresh();
      const path = `${configMaps}/${name}`;
      const model = new Model();
      // Somebody whose books nothing touches, so that they are never empty.
      await apply(path, { ...configMap(name, {}), metadata: { name, labels: { kept: "yes" } } }, "fieldManager=keeper");
      for (const one of all) {
        const query = "force" in one ? `fieldManager=${one.by}&force=${one.force}` : "";
        const reply =
          "apply" in one
            ? await apply(path, configMap(name, one.apply), query)
            : await mergePatch(path, { data: one.patch }, one.by);
        assert.equal(reply.code, model.act(one) ? 409 : 200, reply.text);
        const object = await read(path);
        assert.deepEqual({ ...object["data"] }, Object.fromEntries(model.values));
        const wanted = [...model.owners].flatMap(([key, owners]) => [...owners].map((owner) => `${key}: ${owner}`));
        assert.deepEqual(dataOwners(object), wanted.sort());
      }
    }),
    { numRuns: 60 },
  );
});
