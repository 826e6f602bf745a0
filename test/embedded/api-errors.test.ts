/** Requests that cannot be served: each is answered with a Status of the right code and reason, and the server lives on. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { silentLogger, systemClock, TrancheError } from "../../src/base/index.ts";
import { startApiServer } from "../../src/embedded/index.ts";
import { resources } from "../../src/kube/index.ts";
import { type Call, type Harness, podNamed, startHarness } from "./api-support.ts";

let api: Harness;

before(async () => {
  api = await startHarness();
  await api.client.create(resources.pods, podNamed("there"));
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node" } };
  await api.client.create(resources.nodes, node);
  await api.client.create(resources.clusterPolicies, { ...node, apiVersion: "nvidia.com/v1", kind: "ClusterPolicy" });
});
after(() => api.stop());

const pods = "/api/v1/namespaces/default/pods";
const configMaps = "/api/v1/namespaces/default/configmaps";

interface Row {
  readonly name: string;
  readonly path: string;
  readonly call?: Call;
  readonly want: readonly [number, string];
  readonly message?: RegExp;
}

function post(body: unknown, headers: Record<string, string> = {}): Call {
  return { method: "POST", body, headers };
}

function patch(body: unknown, type: string): Call {
  return { method: "PATCH", body, headers: { "content-type": type } };
}

const mergeType = "application/merge-patch+json";

const rows: readonly Row[] = [
  { name: "no token", path: pods, call: { token: null }, want: [401, "Unauthorized"] },
  { name: "a wrong token", path: pods, call: { token: "x".repeat(43) }, want: [401, "Unauthorized"] },
  { name: "an empty token", path: pods, call: { token: "" }, want: [401, "Unauthorized"] },
  { name: "no token where nothing is", path: "/nowhere", call: { token: null }, want: [401, "Unauthorized"] },
  { name: "an unknown path", path: "/nowhere", want: [404, "NotFound"] },
  { name: "an unknown group", path: "/apis/example.org/v1", want: [404, "NotFound"] },
  { name: "an unknown type", path: "/api/v1/gadgets", want: [404, "NotFound"] },
  { name: "an unknown version", path: "/api/v2/pods", want: [404, "NotFound"] },
  { name: "an unknown subresource", path: `${pods}/there/proxy`, want: [404, "NotFound"] },
  { name: "a path too deep", path: `${pods}/there/status/more`, want: [404, "NotFound"] },
  { name: "a cluster-wide type in a namespace", path: "/api/v1/namespaces/default/nodes", want: [404, "NotFound"] },
  { name: "an object without its namespace", path: "/api/v1/pods/there", want: [404, "NotFound"] },
  { name: "an escape that is none", path: `${pods}/%zz`, want: [400, "BadRequest"] },
  {
    name: "an object that is not there",
    path: `${pods}/gone`,
    want: [404, "NotFound"],
    message: /^pods "gone" not found$/,
  },
  { name: "a wrong method for an object", path: `${pods}/there`, call: post({}), want: [405, "MethodNotAllowed"] },
  {
    name: "a wrong method for a collection",
    path: pods,
    call: { method: "PUT", body: {} },
    want: [405, "MethodNotAllowed"],
  },
  { name: "a wrong method for a subresource", path: `${pods}/there/binding`, want: [405, "MethodNotAllowed"] },
  { name: "a wrong method for discovery", path: "/apis", call: post({}), want: [405, "MethodNotAllowed"] },
  {
    name: "creating in all namespaces",
    path: "/api/v1/pods",
    call: post(podNamed("x")),
    want: [405, "MethodNotAllowed"],
  },
  { name: "an unheard-of method", path: pods, call: { method: "PROPFIND" }, want: [405, "MethodNotAllowed"] },
  { name: "a body that is not JSON", path: pods, call: post("{"), want: [400, "BadRequest"] },
  { name: "an empty body", path: pods, call: post(""), want: [400, "BadRequest"] },
  { name: "a body that is a list", path: pods, call: post([]), want: [400, "BadRequest"] },
  { name: "a body nested too deep", path: configMaps, call: post("[".repeat(100_000)), want: [400, "BadRequest"] },
  {
    name: "CBOR",
    path: pods,
    call: post("\xa0", { "content-type": "application/cbor" }),
    want: [415, "UnsupportedMediaType"],
  },
  {
    name: "a body over the limit",
    path: configMaps,
    call: post("x".repeat(3 * 1024 * 1024 + 1)),
    want: [413, "RequestEntityTooLarge"],
  },
  {
    name: "another kind",
    path: pods,
    call: post({ kind: "Node", apiVersion: "v1", metadata: { name: "x" } }),
    want: [400, "BadRequest"],
  },
  {
    name: "another version",
    path: pods,
    call: post({ kind: "Pod", apiVersion: "v2", metadata: { name: "x" } }),
    want: [400, "BadRequest"],
  },
  {
    name: "another namespace",
    path: pods,
    call: post(podNamed("x", { metadata: { name: "x", namespace: "other" } })),
    want: [400, "BadRequest"],
  },
  { name: "metadata that is a text", path: configMaps, call: post({ metadata: "x" }), want: [400, "BadRequest"] },
  {
    name: "a label that is a number",
    path: configMaps,
    call: post({ metadata: { name: "x", labels: { a: 1 } } }),
    want: [400, "BadRequest"],
    message: /cannot unmarshal number/,
  },
  {
    name: "data that is a number",
    path: configMaps,
    call: post({ metadata: { name: "x" }, data: { a: 1 } }),
    want: [400, "BadRequest"],
  },
  {
    name: "a version at creation",
    path: configMaps,
    call: post({ metadata: { name: "x", resourceVersion: "5" } }),
    want: [400, "BadRequest"],
  },
  {
    name: "a namespace that is not there",
    path: "/api/v1/namespaces/none/configmaps",
    call: post({ metadata: { name: "x" } }),
    want: [404, "NotFound"],
    message: /^namespaces "none" not found$/,
  },
  {
    name: "neither name nor generateName",
    path: configMaps,
    call: post({ metadata: {} }),
    want: [422, "Invalid"],
    message: /name or generateName is required/,
  },
  {
    name: "a name in capitals",
    path: configMaps,
    call: post({ metadata: { name: "Upper" } }),
    want: [422, "Invalid"],
    message: /RFC 1123 subdomain/,
  },
  {
    name: "a name too long",
    path: configMaps,
    call: post({ metadata: { name: "x".repeat(254) } }),
    want: [422, "Invalid"],
  },
  {
    name: "a namespace with a dot",
    path: "/api/v1/namespaces",
    call: post({ metadata: { name: "a.b" } }),
    want: [422, "Invalid"],
    message: /RFC 1123 label/,
  },
  {
    name: "a label value with a space",
    path: configMaps,
    call: post({ metadata: { name: "x", labels: { a: "b c" } } }),
    want: [422, "Invalid"],
  },
  {
    name: "a label key with two slashes",
    path: configMaps,
    call: post({ metadata: { name: "x", labels: { "a/b/c": "d" } } }),
    want: [422, "Invalid"],
  },
  {
    name: "annotations beyond 256 KiB",
    path: configMaps,
    call: post({ metadata: { name: "x", annotations: { a: "x".repeat(262_144) } } }),
    want: [422, "Invalid"],
  },
  {
    name: "a data key with a space",
    path: configMaps,
    call: post({ metadata: { name: "x" }, data: { "a b": "" } }),
    want: [422, "Invalid"],
  },
  {
    name: "a dry run that is none",
    path: `${configMaps}?dryRun=Some`,
    call: post({ metadata: { name: "x" } }),
    want: [400, "BadRequest"],
  },
  {
    name: "an update under another name",
    path: `${pods}/there`,
    call: { method: "PUT", body: podNamed("other") },
    want: [400, "BadRequest"],
    message: /does not match the name on the URL/,
  },
  {
    name: "an update of what is not there",
    path: `${pods}/gone`,
    call: { method: "PUT", body: podNamed("gone") },
    want: [404, "NotFound"],
  },
  {
    name: "an update of another uid",
    path: `${pods}/there`,
    call: { method: "PUT", body: podNamed("there", { metadata: { name: "there", uid: "x" } }) },
    want: [409, "Conflict"],
    message: /Precondition failed: UID/,
  },
  {
    name: "a patch that changes the name",
    path: "/api/v1/nodes/node",
    call: patch({ metadata: { name: "x" } }, mergeType),
    want: [400, "BadRequest"],
  },
  { name: "a patch that is a list", path: "/api/v1/nodes/node", call: patch([], mergeType), want: [400, "BadRequest"] },
  {
    name: "a patch that removes the metadata",
    path: "/api/v1/nodes/node",
    call: patch({ metadata: null }, mergeType),
    want: [400, "BadRequest"],
  },
  {
    name: "a patch of no known type",
    path: "/api/v1/nodes/node",
    call: patch({}, "application/json"),
    want: [415, "UnsupportedMediaType"],
  },
  {
    name: "a strategic patch of a custom type",
    path: "/apis/nvidia.com/v1/clusterpolicies/node",
    call: patch({}, "application/strategic-merge-patch+json"),
    want: [415, "UnsupportedMediaType"],
  },
  {
    name: "an apply without a manager",
    path: "/api/v1/nodes/node",
    call: patch({}, "application/apply-patch+yaml"),
    want: [422, "Invalid"],
    message: /fieldManager/,
  },
  {
    name: "a JSON patch that does not fit",
    path: "/api/v1/nodes/node",
    call: patch([{ op: "remove", path: "/spec/none" }], "application/json-patch+json"),
    want: [400, "BadRequest"],
  },
  {
    name: "a JSON patch that leaves no object",
    path: "/api/v1/nodes/node",
    call: patch([{ op: "add", path: "", value: 1 }], "application/json-patch+json"),
    want: [400, "BadRequest"],
  },
  {
    name: "deleting a namespace every cluster has",
    path: "/api/v1/namespaces/default",
    call: { method: "DELETE" },
    want: [403, "Forbidden"],
  },
  {
    name: "a grace period that is none",
    path: `${pods}/there?gracePeriodSeconds=soon`,
    call: { method: "DELETE" },
    want: [400, "BadRequest"],
  },
  {
    name: "a propagation that is none",
    path: `${pods}/there`,
    call: { method: "DELETE", body: { propagationPolicy: "Up" } },
    want: [422, "Invalid"],
  },
  {
    name: "two ways to treat dependents at once",
    path: `${pods}/there`,
    call: { method: "DELETE", body: { propagationPolicy: "Orphan", orphanDependents: true } },
    want: [422, "Invalid"],
  },
  {
    name: "an eviction under another name",
    path: `${pods}/there/eviction`,
    call: post({ metadata: { name: "else" } }),
    want: [400, "BadRequest"],
  },
  {
    name: "an eviction that is none",
    path: `${pods}/there/eviction`,
    call: post({ kind: "Pod" }),
    want: [400, "BadRequest"],
  },
  {
    name: "an owner without a uid",
    path: pods,
    call: post({ metadata: { name: "owned", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "a" }] } }),
    want: [422, "Invalid"],
  },
  { name: "a binding to no node", path: `${pods}/there/binding`, call: post({ target: {} }), want: [422, "Invalid"] },
  {
    name: "a binding of no pod",
    path: `${pods}/gone/binding`,
    call: post({ target: { name: "n" } }),
    want: [404, "NotFound"],
  },
  { name: "an eviction of no pod", path: `${pods}/gone/eviction`, call: post({}), want: [404, "NotFound"] },
  { name: "logs of a pod without a node", path: `${pods}/there/log`, want: [400, "BadRequest"] },
  { name: "a form nobody knows", path: pods, call: { headers: { accept: "text/html" } }, want: [406, "NotAcceptable"] },
  {
    name: "a watch that would end before it starts",
    path: `${pods}?watch=1&timeoutSeconds=soon`,
    want: [400, "BadRequest"],
  },
  {
    name: "initial events without the match they need",
    path: `${pods}?watch=1&sendInitialEvents=true`,
    want: [400, "BadRequest"],
  },
];
for (const { name, path, call, want, message = /./ } of rows) {
  test(`answers ${name} with ${want[0]} ${want[1]}`, async () => {
    const { code, body, text } = await api.call(path, call);
    assert.deepEqual(
      [code, body["reason"], body["kind"], body["status"], body["code"]],
      [...want, "Status", "Failure", want[0]],
      text,
    );
    assert.match(String(body["message"]), message);
    assert.equal((await api.call("/livez")).text, "ok");
  });
}

test("tells who is healthy without a token", async () => {
  for (const path of ["/livez", "/readyz", "/healthz"]) {
    const reply = await api.call(path, { token: null });
    assert.deepEqual([reply.code, reply.text], [200, "ok"]);
  }
});

test("answers what is no HTTP, and what breaks off, and lives on", async () => {
  const talk = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port: api.server.port, ca: api.server.caCert }, () =>
        socket.end(text),
      );
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("error", () => {});
      socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
    });
  assert.match(await talk("nonsense\r\n\r\n"), /^HTTP\/1\.1 400 .*"reason":"BadRequest"/s);
  const halfBody = `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.server.token}\r\nContent-Length: 100\r\n\r\n{"meta`;
  await talk(halfBody);
  await talk("GET / HTTP/1.1\r\n");
  assert.equal((await api.call("/livez")).text, "ok");
});

test("a port that is taken is an error with a code of its own", async () => {
  const options = { port: api.server.port, clock: systemClock, log: silentLogger };
  await assert.rejects(startApiServer(options), (error: unknown) => {
    assert.ok(error instanceof TrancheError);
    assert.equal(error.code, "port-in-use");
    assert.match(error.message, new RegExp(`port ${api.server.port} `));
    return true;
  });
});
