/** The `scale` subresource (autoscaling/v1 Scale). */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Body, type Harness, type Reply, startHarness } from "./api-support.ts";

let api: Harness;
let count = 0;
let path = "";

before(async () => {
  api = await startHarness();
  const scale = {
    specReplicasPath: ".spec.size",
    statusReplicasPath: ".status.size",
    labelSelectorPath: ".status.selector",
  };
  assert.equal((await define("teams", { scale, status: {} })).code, 201);
});
after(() => api.stop());

beforeEach(async () => {
  count += 1;
  path = `/apis/apps/v1/namespaces/default/deployments/web-${count}`;
  const labels = { app: "web" };
  const template = {
    metadata: { labels },
    spec: { containers: [{ name: "main", image: "registry.example/app:1" }] },
  };
  const selector = {
    matchLabels: labels,
    matchExpressions: [{ key: "tier", operator: "NotIn", values: ["b", "a"] }],
  };
  await post("/apis/apps/v1/namespaces/default/deployments", {
    metadata: { name: `web-${count}` },
    spec: { replicas: 2, selector, template },
  });
});

function define(plural: string, subresources: object): Promise<Reply> {
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const schema = { openAPIV3Schema: { type: "object", properties: { spec: open, status: open } } };
  return post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: `${plural}.example.org` },
    spec: {
      group: "example.org",
      scope: "Namespaced",
      names: { plural, kind: "Team" },
      versions: [{ name: "v1", served: true, storage: true, schema, subresources }],
    },
  });
}

function post(where: string, body: object): Promise<Reply> {
  return api.call(where, { method: "POST", body });
}

function patch(where: string, body: unknown, mediaType = "application/merge-patch+json"): Promise<Reply> {
  return api.call(where, { method: "PATCH", body, headers: { "content-type": mediaType } });
}

function plain(body: Body | undefined): unknown {
  return JSON.parse(JSON.stringify(body ?? null));
}

async function stored(where = path): Promise<{ spec: { replicas: number; size: number }; generation: number }> {
  const { body } = await api.call(where);
  const { spec, metadata } = JSON.parse(JSON.stringify(body));
  return { spec, generation: metadata.generation };
}

test("shows what a Deployment wants, has and selects", async () => {
  await patch(`${path}/status`, { status: { replicas: 1 } });
  const { code, body } = await api.call(`${path}/scale`);
  const object = (await api.call(path)).body["metadata"];
  assert.equal(code, 200);
  assert.deepEqual(plain(body), {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: {
      name: `web-${count}`,
      namespace: "default",
      uid: plain(object?.["uid"]),
      resourceVersion: plain(object?.["resourceVersion"]),
      creationTimestamp: plain(object?.["creationTimestamp"]),
    },
    spec: { replicas: 2 },
    status: { replicas: 1, selector: "app=web,tier notin (a,b)" },
  });
});

const patches: readonly (readonly [string, unknown])[] = [
  ["application/merge-patch+json", { spec: { replicas: 5 } }],
  ["application/strategic-merge-patch+json", { spec: { replicas: 5 } }],
  ["application/json-patch+json", [{ op: "replace", path: "/spec/replicas", value: 5 }]],
];
for (const [mediaType, body] of patches) {
  test(`scales by ${mediaType}, which counts as a new generation`, async () => {
    const { code, body: scale } = await patch(`${path}/scale`, body, mediaType);
    assert.deepEqual([code, plain(scale["spec"])], [200, { replicas: 5 }]);
    const { spec, generation } = await stored();
    assert.deepEqual([spec.replicas, generation], [5, 2]);
  });
}

test("of two that scale from the same version exactly one wins", async () => {
  const seen = JSON.parse((await api.call(`${path}/scale`)).text);
  const replies = await Promise.all(
    [3, 4].map((replicas) => api.call(`${path}/scale`, { method: "PUT", body: { ...seen, spec: { replicas } } })),
  );
  assert.deepEqual(replies.map((one) => one.code).sort(), [200, 409]);
  assert.match(String(replies.find((one) => one.code === 409)?.body["message"]), /the object has been modified/);
  const winner = replies.find((one) => one.code === 200)?.body["spec"]?.["replicas"];
  assert.equal((await stored()).spec.replicas, Number(winner));
});

test("a dry run shows the new size and keeps the old one", async () => {
  const { body } = await patch(`${path}/scale?dryRun=All`, { spec: { replicas: 7 } });
  assert.deepEqual(plain(body["spec"]), { replicas: 7 });
  assert.equal((await stored()).spec.replicas, 2);
});

const refusals = [
  {
    name: "fewer than none",
    body: { spec: { replicas: -1 } },
    want: [
      422,
      /^Scale\.autoscaling "web-\d+" is invalid: spec\.replicas: Invalid value: -1: must be greater than or equal to 0$/,
    ],
  },
  { name: "half a replica", body: { spec: { replicas: 0.5 } }, want: [400, /spec\.replicas: 0\.5 is no whole number/] },
  { name: "another kind", body: { kind: "Deployment" }, want: [400, /does not match the expected kind Scale/] },
  { name: "another object", body: { metadata: { name: "x" } }, want: [400, /name in URL does not match/] },
  { name: "a stale version", body: { metadata: { resourceVersion: "1" } }, want: [409, /has been modified/] },
  { name: "another uid", body: { metadata: { uid: "x" } }, want: [409, /UID in precondition: x/] },
] as const;
for (const { name, body, want } of refusals) {
  test(`refuses ${name}`, async () => {
    const reply = await patch(`${path}/scale`, body);
    assert.equal(reply.code, want[0]);
    assert.match(String(reply.body["message"]), want[1]);
    assert.equal((await stored()).spec.replicas, 2);
  });
}

test("a Scale of nothing is not found, and of what has no size no path", async () => {
  assert.equal((await api.call(`${path}x/scale`)).code, 404);
  assert.equal((await api.call("/api/v1/namespaces/default/configmaps/a/scale")).code, 404);
});

test("scales a custom object where its definition says", async () => {
  const teams = "/apis/example.org/v1/namespaces/default/teams";
  await post(teams, { apiVersion: "example.org/v1", kind: "Team", metadata: { name: "a" }, spec: { size: 3 } });
  await patch(`${teams}/a/status`, { status: { size: 2, selector: "team=a" } });
  const scale = (await api.call(`${teams}/a/scale`)).body;
  assert.deepEqual(
    [plain(scale["spec"]), plain(scale["status"])],
    [{ replicas: 3 }, { replicas: 2, selector: "team=a" }],
  );
  await patch(`${teams}/a/scale`, { spec: { replicas: 4 } });
  assert.equal((await stored(`${teams}/a`)).spec.size, 4);
});

test("a custom object without a size has no Scale until it is given one", async () => {
  const teams = "/apis/example.org/v1/namespaces/default/teams";
  await post(teams, { apiVersion: "example.org/v1", kind: "Team", metadata: { name: "b" }, spec: {} });
  const { code, body } = await api.call(`${teams}/b/scale`);
  assert.deepEqual(
    [code, plain(body["message"])],
    [500, 'Internal error occurred: the spec replicas field ".spec.size" does not exist'],
  );
  const empty = await patch(`${teams}/b/scale`, { metadata: {} });
  assert.deepEqual(
    [empty.code, plain(empty.body["message"])],
    [400, 'the spec replicas field ".spec.size" cannot be empty'],
  );
  assert.equal((await patch(`${teams}/b/scale`, { spec: { replicas: 1 } })).code, 200);
  assert.equal((await stored(`${teams}/b`)).spec.size, 1);
});

const badPaths = [
  { scale: {}, want: /scale\.specReplicasPath: Required value.*scale\.statusReplicasPath: Required value/ },
  {
    scale: { specReplicasPath: ".status.size", statusReplicasPath: ".spec.size" },
    want: /specReplicasPath: Invalid value: ".status.size": should be a json path under \.spec.*under \.status/,
  },
  {
    scale: { specReplicasPath: ".spec.sizes[0]", statusReplicasPath: ".status.size" },
    want: /specReplicasPath: Invalid value: ".spec.sizes\[0\]": must be a simple json path in dot notation/,
  },
  {
    scale: { specReplicasPath: ".spec.a", statusReplicasPath: ".status.a", labelSelectorPath: ".metadata.labels" },
    want: /labelSelectorPath: Invalid value: ".metadata.labels": should be a json path under either \.spec or \.status/,
  },
];
for (const { scale, want } of badPaths) {
  test(`refuses a definition that scales by ${JSON.stringify(scale)}`, async () => {
    const { code, body } = await define("bad", { scale });
    assert.equal(code, 422);
    assert.match(String(body["message"]), want);
  });
}

test("discovery and OpenAPI tell of scale", async () => {
  const { body } = await api.call("/apis/apps/v1");
  const entry = JSON.parse(JSON.stringify(body)).resources.find(
    (one: Body) => String(one["name"]) === "deployments/scale",
  );
  assert.deepEqual(entry, {
    name: "deployments/scale",
    singularName: "",
    namespaced: true,
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: ["get", "patch", "update"],
  });
  const custom = JSON.parse((await api.call("/apis/example.org/v1")).text);
  assert.ok(custom.resources.some((one: Body) => String(one["name"]) === "teams/scale"));
  const document = JSON.parse((await api.call("/openapi/v3/apis/apps/v1")).text);
  const operation = document.paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"].patch;
  assert.deepEqual(operation["x-kubernetes-group-version-kind"], {
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
  });
  const { $ref } = operation.responses["200"].content["application/json"].schema;
  const schema = document.components.schemas[$ref.replace("#/components/schemas/", "")];
  assert.deepEqual(Object.keys(schema.properties), ["apiVersion", "kind", "metadata", "spec", "status"]);
});
