/** OpenAPI documents as kubectl explain reads them. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Body, type Harness, startHarness } from "./api-support.ts";

let api: Harness;

before(async () => {
  api = await startHarness();
});
after(async () => {
  await api.stop();
});

async function schemasOf(document: string): Promise<Body> {
  const { code, body } = await api.call(`/openapi/v3/${document}`);
  assert.equal(code, 200, document);
  return body["components"]?.["schemas"] ?? {};
}

/** Follows a reference, whether bare or within `allOf`. */
function resolved(schemas: Body, schema: Body | undefined): Body | undefined {
  const reference = schema?.["$ref"] ?? schema?.["allOf"]?.["0"]?.["$ref"];
  return reference === undefined ? schema : schemas[String(reference).replace("#/components/schemas/", "")];
}

function fieldAt(schemas: Body, kind: string, path: string): Body | undefined {
  let here = Object.entries(schemas).find(([name]) => name.endsWith(`.${kind}`))?.[1];
  for (const key of path.split(".")) {
    const schema = resolved(schemas, here);
    here = (resolved(schemas, schema?.["items"]) ?? schema)?.["properties"]?.[key];
  }
  return here;
}

const explained = [
  { document: "api/v1", kind: "Pod", path: "spec" },
  { document: "api/v1", kind: "Pod", path: "spec.containers.resources.limits" },
  { document: "api/v1", kind: "Pod", path: "metadata.ownerReferences.uid" },
  { document: "api/v1", kind: "Node", path: "status.allocatable" },
  { document: "apis/apps/v1", kind: "Deployment", path: "spec.template.spec.containers.env.name" },
  { document: "apis/batch/v1", kind: "Job", path: "spec.backoffLimit" },
  { document: "apis/policy/v1", kind: "PodDisruptionBudget", path: "spec.minAvailable" },
  { document: "apis/nvidia.com/v1", kind: "ClusterPolicy", path: "spec.migManager.config.name" },
];

for (const { document, kind, path } of explained) {
  test(`describes ${kind}.${path}`, async () => {
    const description = fieldAt(await schemasOf(document), kind, path)?.["description"];
    assert.match(String(description), /\w+.*\.$/);
  });
}

test("says that a container must have a name", async () => {
  const containers = fieldAt(await schemasOf("api/v1"), "Pod", "spec.containers");
  const container = resolved(await schemasOf("api/v1"), containers?.["items"]);
  assert.deepEqual(JSON.parse(JSON.stringify(container?.["required"])), ["name"]);
});

test("refers only to schemas of the same document, in version 3 and in version 2", async () => {
  const index = await api.call("/openapi/v3");
  const paths = Object.keys(index.body["paths"] ?? {});
  assert.ok(paths.length > 5);
  const documents = await Promise.all(paths.map((path) => schemasOf(path)));
  const second = (await api.call("/openapi/v2")).body["definitions"] ?? {};
  for (const [schemas, root] of [
    ...documents.map((one) => [one, "components/schemas"] as const),
    [second, "definitions"] as const,
  ]) {
    const references = [...JSON.stringify(schemas).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((one) => one[1] ?? "");
    const dangling = references.filter((one) => !Object.hasOwn(schemas, one.replace(`${root}/`, "")));
    assert.deepEqual(dangling, []);
  }
});

test("shows the schema of a custom type, and another digest when it changes", async () => {
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const definition = (description: string): object => ({
    metadata: { name: "lamps.example.com" },
    spec: {
      group: "example.com",
      scope: "Cluster",
      names: { plural: "lamps", kind: "Lamp" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", properties: { bright: { type: "boolean", description } } } },
        },
      ],
    },
  });
  const digest = async (): Promise<string> =>
    String((await api.call("/openapi/v3")).body["paths"]?.["apis/example.com/v1"]?.["serverRelativeURL"]);
  assert.equal((await api.call(definitions, { method: "POST", body: definition("Shines.") })).code, 201);
  const before = await digest();
  assert.equal(String(fieldAt(await schemasOf("apis/example.com/v1"), "Lamp", "bright")?.["description"]), "Shines.");
  assert.equal(await digest(), before);
  const path = `${definitions}/lamps.example.com`;
  assert.equal((await api.call(path, { method: "PUT", body: definition("Shines more.") })).code, 200);
  assert.notEqual(await digest(), before);
});
