/** Admission webhooks, called over real HTTPS. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { type Body, type Harness, type Reply, startHarness } from "./api-support.ts";
import { patching, startWebhook, type WebhookServer } from "./webhook-support.ts";

let api: Harness;
let hook: WebhookServer;

before(async () => {
  api = await startHarness();
  hook = await startWebhook();
});
after(async () => {
  await api.stop();
  await hook.close();
});

const group = "/apis/admissionregistration.k8s.io/v1";
const mutating = `${group}/mutatingwebhookconfigurations`;
const validating = `${group}/validatingwebhookconfigurations`;
const configMaps = "/api/v1/namespaces/default/configmaps";

afterEach(async () => {
  for (const path of [mutating, validating]) await api.call(path, { method: "DELETE" });
  hook.forget();
  hook.judge = () => ({ allowed: true });
});

const anyConfigMap = { operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] };

function webhook(more: object = {}): object {
  return {
    name: "check.example.com",
    clientConfig: { url: hook.url, caBundle: hook.caBundle },
    rules: [anyConfigMap],
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
    ...more,
  };
}

async function configure(path: string, more: object = {}, name = "one"): Promise<Reply> {
  return api.call(path, { method: "POST", body: { metadata: { name }, webhooks: [webhook(more)] } });
}

let count = 0;

function create(more: object = {}, query = ""): Promise<Reply> {
  count += 1;
  const body = { metadata: { name: `c${count}`, ...more }, data: { a: "1" } };
  return api.call(configMaps + query, { method: "POST", body });
}

function plain(body: Body | undefined): unknown {
  return JSON.parse(JSON.stringify(body ?? null));
}

test("asks about a write what AdmissionReview v1 says", async () => {
  await configure(validating);
  assert.equal((await create()).code, 201);
  const [request] = hook.seen;
  const { uid, object, ...rest } = JSON.parse(JSON.stringify(request));
  assert.match(uid, /^[0-9a-f-]{36}$/);
  assert.equal(object.data.a, "1");
  assert.deepEqual(rest, {
    kind: { group: "", version: "v1", kind: "ConfigMap" },
    resource: { group: "", version: "v1", resource: "configmaps" },
    requestKind: { group: "", version: "v1", kind: "ConfigMap" },
    requestResource: { group: "", version: "v1", resource: "configmaps" },
    name: `c${count}`,
    namespace: "default",
    operation: "CREATE",
    userInfo: { username: "tranche", groups: ["system:masters", "system:authenticated"] },
    oldObject: null,
    dryRun: false,
    options: { apiVersion: "meta.k8s.io/v1", kind: "CreateOptions" },
  });
});

const refusals = [
  {
    status: { message: "no colours here", code: 403, reason: "Forbidden" },
    code: 403,
    want: 'admission webhook "check.example.com" denied the request: no colours here',
  },
  { status: { reason: "Quota" }, code: 400, want: 'admission webhook "check.example.com" denied the request: Quota' },
  {
    status: undefined,
    code: 400,
    want: 'admission webhook "check.example.com" denied the request without explanation',
  },
];

for (const { status, code, want } of refusals) {
  test(`refuses what a webhook denies: ${want}`, async () => {
    await configure(validating);
    hook.judge = () => ({ allowed: false, ...(status === undefined ? {} : { status }) });
    const reply = await create();
    assert.deepEqual([reply.code, String(reply.body["message"])], [code, want]);
    assert.equal((await api.call(`${configMaps}/c${count}`)).code, 404);
  });
}

test("stores what a mutating webhook makes of an object, and shows that to the validating ones", async () => {
  await configure(mutating);
  await configure(validating);
  hook.judge = ({ object }) =>
    object?.["data"]?.["b"] === undefined ? patching({ op: "add", path: "/data/b", value: "2" }) : { allowed: true };
  const reply = await create({ labels: { x: "y" } });
  assert.deepEqual(plain(reply.body["data"]), { a: "1", b: "2" });
  assert.deepEqual(
    hook.seen.map((one) => plain(one["object"]?.["data"])),
    [{ a: "1" }, { a: "1", b: "2" }],
  );
  assert.equal(String(hook.seen[0]?.["object"]?.["metadata"]?.["uid"]), String(reply.body["metadata"]?.["uid"]));
});

const drawn = [
  {
    name: "a job, which selects its pods by its uid",
    path: "/apis/batch/v1/namespaces/default/jobs",
    rule: { apiGroups: ["batch"], resources: ["jobs"] },
    body: {
      metadata: { generateName: "train-" },
      spec: {
        template: {
          spec: { restartPolicy: "Never", containers: [{ name: "main", image: "registry.example/app:1" }] },
        },
      },
    },
    place: ["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"],
    own: "uid",
  },
  {
    name: "a namespace with a drawn name, which is its label too",
    path: "/api/v1/namespaces",
    rule: { resources: ["namespaces"] },
    body: { metadata: { generateName: "team-" } },
    place: ["metadata", "labels", "kubernetes.io/metadata.name"],
    own: "name",
  },
];
for (const { name, path, rule, body, place, own } of drawn) {
  test(`asks once about ${name}`, async () => {
    await configure(mutating, { rules: [{ ...anyConfigMap, ...rule }] });
    hook.judge = () => patching({ op: "add", path: "/metadata/annotations", value: { seen: "yes" } });
    const made = await api.call(path, { method: "POST", body });
    assert.equal(made.code, 201, made.text);
    assert.equal(hook.seen.length, 1);
    const { metadata } = made.body;
    assert.equal(String(metadata?.["annotations"]?.["seen"]), "yes");
    const elsewhere = place.reduce<Body | undefined>((one, key) => one?.[key], made.body);
    assert.equal(String(elsewhere), String(metadata?.[own]));
    await api.call(`${path}/${metadata?.["name"]}`, { method: "DELETE" });
  });
}

test("refuses what a mutating webhook spoils", async () => {
  await configure(mutating);
  hook.judge = () => patching({ op: "add", path: "/data/b", value: 7 });
  assert.equal((await create()).code, 400);
  hook.judge = () => patching({ op: "add", path: "/data/bad key", value: "x" });
  assert.equal((await create()).code, 422);
  hook.judge = () => patching({ op: "remove", path: "/data/none" });
  const reply = await create();
  assert.equal(reply.code, 500);
  assert.match(String(reply.body["message"]), /cannot apply its patch: the path .*none does not exist/);
});

test("asks about changes and deletions, with the object as it was", async () => {
  await create();
  await configure(validating);
  const path = `${configMaps}/c${count}`;
  const headers = { "content-type": "application/merge-patch+json" };
  await api.call(path, { method: "PATCH", headers, body: { data: { a: "2" } } });
  await api.call(path, { method: "DELETE" });
  assert.deepEqual(
    hook.seen.map((one) =>
      [one["operation"], one["oldObject"]?.["data"]?.["a"], one["object"]?.["data"]?.["a"]].map(String),
    ),
    [
      ["UPDATE", "1", "2"],
      ["DELETE", "2", "undefined"],
    ],
  );
  assert.equal((await api.call(path)).code, 404);
});

test("a namespace ends whatever webhooks say of what is in it, once they let it end", async () => {
  const path = "/api/v1/namespaces/ending";
  await api.call("/api/v1/namespaces", { method: "POST", body: { metadata: { name: "ending" } } });
  for (const name of ["a", "b"]) await api.call(`${path}/configmaps`, { method: "POST", body: { metadata: { name } } });
  await configure(validating, {
    rules: [{ ...anyConfigMap, operations: ["DELETE"], resources: ["configmaps", "namespaces"] }],
  });
  hook.judge = () => ({ allowed: false });
  assert.equal((await api.call(path, { method: "DELETE" })).code, 400);
  assert.equal(String((await api.call(path)).body["status"]?.["phase"]), "Active");
  hook.judge = (request) => ({ allowed: String(request["resource"]?.["resource"]) === "namespaces" });
  assert.equal((await api.call(path, { method: "DELETE" })).code, 200);
  assert.equal((await api.call(path)).code, 404);
});

const subresources = [
  { path: "pods/s/binding", body: { target: { name: "n1" } }, kind: { group: "", version: "v1", kind: "Binding" } },
  { path: "pods/s/eviction", body: {}, kind: { group: "policy", version: "v1", kind: "Eviction" } },
];
for (const { path, body, kind } of subresources) {
  test(`asks about ${path}, and does nothing when it is denied`, async () => {
    const namespace = "/api/v1/namespaces/default";
    const spec = { containers: [{ name: "main", image: "registry.example/app:1" }] };
    await api.call(`${namespace}/pods`, { method: "POST", body: { metadata: { name: "s" }, spec } });
    const rule = { ...anyConfigMap, resources: [path.replace("/s/", "/")] };
    await configure(validating, { rules: [rule] });
    hook.judge = () => ({ allowed: false });
    const before = await api.call(`${namespace}/pods/s`);
    assert.equal((await api.call(`${namespace}/${path}`, { method: "POST", body })).code, 400);
    assert.equal((await api.call(`${namespace}/pods/s`)).text, before.text);
    hook.judge = () => ({ allowed: true });
    assert.equal((await api.call(`${namespace}/${path}`, { method: "POST", body })).code, 201);
    assert.notEqual((await api.call(`${namespace}/pods/s`)).text, before.text);
    const asked = hook.seen[1];
    const own = ["operation", "subResource", "name"].map((key) => String(asked?.[key]));
    assert.deepEqual(own, ["CREATE", path.replace("pods/s/", ""), "s"]);
    assert.deepEqual(plain(asked?.["kind"]), kind);
    assert.deepEqual(plain(asked?.["resource"]), { group: "", version: "v1", resource: "pods" });
    assert.equal(String(asked?.["object"]?.["kind"]), kind.kind);
    await api.call(`${namespace}/pods/s?gracePeriodSeconds=0`, { method: "DELETE" });
  });
}

test("asks about scale with the Scale before and after, and stores what it makes of it", async () => {
  const deployments = "/apis/apps/v1/namespaces/default/deployments";
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "registry.example/app:1" }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  await api.call(deployments, { method: "POST", body: { metadata: { name: "web" }, spec } });
  await configure(mutating, { rules: [{ ...anyConfigMap, apiGroups: ["apps"], resources: ["deployments/scale"] }] });
  hook.judge = () => patching({ op: "replace", path: "/spec/replicas", value: 3 });
  const headers = { "content-type": "application/merge-patch+json" };
  await api.call(`${deployments}/web/scale`, { method: "PATCH", headers, body: { spec: { replicas: 9 } } });
  const [asked, ...more] = hook.seen;
  assert.deepEqual(more, []);
  assert.deepEqual([asked?.["operation"], asked?.["subResource"], asked?.["kind"]?.["kind"]].map(String), [
    "UPDATE",
    "scale",
    "Scale",
  ]);
  const replicas = [asked?.["oldObject"], asked?.["object"], (await api.call(`${deployments}/web`)).body];
  assert.deepEqual(
    replicas.map((one) => Number(one?.["spec"]?.["replicas"])),
    [1, 9, 3],
  );
});

test("asks again when the object changes while it is being asked, and loses no change", async () => {
  await create();
  await configure(validating);
  const path = `${configMaps}/c${count}`;
  const headers = { "content-type": "application/merge-patch+json" };
  const patch = (key: string): Promise<Reply> =>
    api.call(path, { method: "PATCH", headers, body: { data: { [key]: "x" } } });
  const replies = await Promise.all(["p", "q", "r"].map(patch));
  assert.deepEqual(
    replies.map((one) => one.code),
    [200, 200, 200],
  );
  const stored = await api.call(path);
  assert.deepEqual(plain(stored.body["data"]), { a: "1", p: "x", q: "x", r: "x" });
  // Each state that was stored was seen by the webhook.
  assert.ok(hook.seen.some((one) => Object.keys(one["object"]?.["data"] ?? {}).length === 4));
});

test("passes on what a webhook warns of, also with a refusal", async () => {
  await configure(validating);
  hook.judge = () => ({ allowed: true, warnings: ['this is "old"'] });
  assert.equal((await create()).headers["warning"], '299 - "this is \\"old\\""');
  hook.judge = () => ({ allowed: false, warnings: ["too bad"] });
  assert.equal((await create()).headers["warning"], '299 - "too bad"');
});

const selections = [
  { name: "another operation", more: { rules: [{ ...anyConfigMap, operations: ["DELETE"] }] }, asked: false },
  { name: "another resource", more: { rules: [{ ...anyConfigMap, resources: ["pods"] }] }, asked: false },
  { name: "another group", more: { rules: [{ ...anyConfigMap, apiGroups: ["apps"] }] }, asked: false },
  { name: "another scope", more: { rules: [{ ...anyConfigMap, scope: "Cluster" }] }, asked: false },
  { name: "a subresource", more: { rules: [{ ...anyConfigMap, resources: ["configmaps/status"] }] }, asked: false },
  { name: "all resources", more: { rules: [{ ...anyConfigMap, resources: ["*"], apiGroups: ["*"] }] }, asked: true },
  { name: "all subresources too", more: { rules: [{ ...anyConfigMap, resources: ["configmaps/*"] }] }, asked: true },
  { name: "a label of the object", more: { objectSelector: { matchLabels: { x: "y" } } }, asked: true },
  { name: "a label it has not", more: { objectSelector: { matchLabels: { x: "z" } } }, asked: false },
  {
    name: "a label of its namespace",
    more: { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "default" } } },
    asked: true,
  },
  {
    name: "no label of its namespace",
    more: {
      namespaceSelector: {
        matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["default"] }],
      },
    },
    asked: false,
  },
];

for (const { name, more, asked } of selections) {
  test(`a webhook for ${name} is ${asked ? "asked" : "not asked"}`, async () => {
    assert.equal((await configure(validating, more)).code, 201);
    assert.equal((await create({ labels: { x: "y" } })).code, 201);
    assert.equal(hook.seen.length, asked ? 1 : 0);
  });
}

const failures = [
  { name: "never answers", break: { timeoutSeconds: 1 }, judge: () => undefined, want: "context deadline exceeded" },
  { name: "is not there", break: { clientConfig: { url: "https://127.0.0.1:1/" } }, want: "ECONNREFUSED" },
  { name: "shows another certificate", break: { clientConfig: undefined }, want: "certificate" },
  {
    name: "is a service",
    break: { clientConfig: { service: { namespace: "gpu", name: "hook" } } },
    want: "service gpu/hook has no address: the embedded cluster routes no services, use clientConfig.url",
  },
  {
    name: "answers another question",
    break: {},
    judge: () => ({ uid: "other", allowed: true }),
    want: "expected response.uid=",
  },
];

for (const { name, break: broken, judge, want } of failures) {
  test(`a webhook that ${name} fails the write, or not, as its failurePolicy says`, async () => {
    const client =
      "clientConfig" in broken && broken.clientConfig === undefined ? { clientConfig: { url: hook.url } } : broken;
    if (judge !== undefined) hook.judge = judge;
    assert.equal((await configure(validating, client)).code, 201);
    const failed = await create();
    const message = String(failed.body["message"]);
    assert.equal(failed.code, 500);
    assert.match(message, /^Internal error occurred: failed calling webhook "check\.example\.com": /);
    assert.ok(message.includes(want), message);
    await api.call(`${validating}/one`, { method: "DELETE" });
    await configure(validating, { ...client, failurePolicy: "Ignore" });
    assert.equal((await create()).code, 201);
  });
}

test("asks with dryRun in a dry run and stores nothing", async () => {
  await configure(validating);
  assert.equal((await create({}, "?dryRun=All")).code, 201);
  assert.equal(String(hook.seen[0]?.["dryRun"]), "true");
  assert.equal((await api.call(`${configMaps}/c${count}`)).code, 404);
});

const badWebhooks = [
  {
    more: { clientConfig: { url: "https://example.com/x" } },
    field: "clientConfig.url",
    why: /loopback addresses only/,
  },
  { more: { clientConfig: { url: "http://127.0.0.1/x" } }, field: "clientConfig.url", why: /'https' is the only/ },
  { more: { clientConfig: {} }, field: "clientConfig", why: /exactly one of url or service/ },
  { more: { sideEffects: "Some" }, field: "sideEffects", why: /supported values: "None", "NoneOnDryRun"/ },
  { more: { timeoutSeconds: 31 }, field: "timeoutSeconds", why: /between 1 and 30/ },
  { more: { admissionReviewVersions: ["v1beta1"] }, field: "admissionReviewVersions", why: /must include v1/ },
  { more: { name: "short" }, field: "name", why: /at least three segments/ },
  { more: { matchConditions: [{ name: "x", expression: "true" }] }, field: "matchConditions", why: /CEL/ },
];

for (const { more, field, why } of badWebhooks) {
  test(`refuses a configuration with a bad ${field}: ${why}`, async () => {
    const reply = await configure(validating, more);
    assert.equal(reply.code, 422);
    const cause = reply.body["details"]?.["causes"]?.["0"];
    assert.equal(String(cause?.["field"]), `webhooks[0].${field}`);
    assert.match(String(cause?.["message"]), why);
  });
}

test("never asks a webhook about webhooks, so that a broken one can be mended", async () => {
  const all = { operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*"] };
  await configure(validating, { rules: [all], clientConfig: { url: "https://127.0.0.1:1/" } });
  assert.equal((await create()).code, 500);
  assert.equal((await api.call(`${validating}/one`, { method: "DELETE" })).code, 200);
  assert.equal((await create()).code, 201);
});
