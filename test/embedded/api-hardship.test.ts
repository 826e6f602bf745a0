/** What careless, slow and vanishing clients do to the API server, and that it serves the others all the while. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { after, before, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { hasStatus, type KubeObject, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Call, type Harness, podNamed, startHarness } from "./api-support.ts";

let api: Harness;

before(async () => {
  api = await startHarness();
});
after(() => api.stop());

const pods = "/api/v1/namespaces/default/pods";
const configMaps = "/api/v1/namespaces/default/configmaps";

function configMap(name: string, data: Readonly<Record<string, string>> = {}): KubeObject {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data };
  return object;
}

/** A TLS connection with the head of a request on it, for what no HTTP client would do. */
async function dial(head: readonly string[]): Promise<TLSSocket> {
  const { port, caCert: ca } = api.server;
  const socket = connect({ host: "127.0.0.1", port, ca });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  const lines = [...head, "Host: 127.0.0.1", `Authorization: Bearer ${api.server.token}`];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return socket;
}

async function everythingFrom(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

async function assertServes(): Promise<void> {
  assert.equal((await api.call(pods)).code, 200);
}

interface StaleRow {
  readonly name: string;
  readonly path: string;
  readonly call?: Call;
  readonly want: readonly [number, string];
  readonly message: RegExp;
}

const staleRows: readonly StaleRow[] = [
  {
    name: "an update of an older version",
    path: `${configMaps}/versioned`,
    call: { method: "PUT", body: { metadata: { name: "versioned", resourceVersion: "1" }, data: { a: "3" } } },
    want: [409, "Conflict"],
    message: /^Operation cannot be fulfilled on configmaps "versioned": the object has been modified; please apply/,
  },
  {
    name: "a patch of an older version",
    path: `${configMaps}/versioned`,
    call: {
      method: "PATCH",
      body: { metadata: { resourceVersion: "1" }, data: { a: "3" } },
      headers: { "content-type": "application/merge-patch+json" },
    },
    want: [409, "Conflict"],
    message: /the object has been modified/,
  },
  {
    name: "a deletion of an older version",
    path: `${configMaps}/versioned`,
    call: { method: "DELETE", body: { preconditions: { resourceVersion: "1" } } },
    want: [409, "Conflict"],
    message: /ResourceVersion in precondition: 1, ResourceVersion in object meta: \d+/,
  },
  {
    name: "a list of a version that is no number",
    path: `${configMaps}?resourceVersion=new`,
    want: [400, "BadRequest"],
    message: /resourceVersion|resource version/i,
  },
  {
    name: "a watch from a version that is no number",
    path: `${configMaps}?watch=1&resourceVersion=new`,
    want: [400, "BadRequest"],
    message: /resourceVersion|resource version/i,
  },
  {
    name: "a list of a version yet to come",
    path: `${configMaps}?resourceVersion=999999999`,
    want: [504, "Timeout"],
    message: /Too large resource version: 999999999/,
  },
  {
    name: "a continuation that nobody was given",
    path: `${configMaps}?limit=1&continue=nonsense`,
    want: [400, "BadRequest"],
    message: /continue/,
  },
];

test("stale and invented versions are refused, and the object stays as it was", async (t) => {
  await api.client.create(resources.configMaps, configMap("versioned", { a: "1" }));
  await api.client.mergePatch(resources.configMaps, { namespace: "default", name: "versioned" }, { data: { a: "2" } });
  for (const { name, path, call, want, message } of staleRows) {
    await t.test(name, async () => {
      const { code, body, text } = await api.call(path, call);
      assert.deepEqual([code, body["reason"], body["kind"]], [...want, "Status"], text);
      assert.match(String(body["message"]), message);
      assert.deepEqual((await api.call(`${configMaps}/versioned`)).body["data"], { a: "2" });
    });
  }
});

test("a body over 3 MiB that does not say how long it is gets 413 and is not kept", async () => {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const { port, caCert, token } = api.server;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const sent = request(
    { host: "127.0.0.1", port, ca: caCert, path: configMaps, method: "POST", headers },
    (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    },
  );
  sent.on("error", reject);
  const piece = Buffer.alloc(1024 * 1024, "x");
  for (let at = 0; at < 4; at += 1) sent.write(piece);
  assert.equal(await promise, 413);
  sent.destroy();
  await assertServes();
});

test("bodies that cannot be read are bad requests in every form that a write has", async () => {
  await api.client.create(resources.configMaps, configMap("target"));
  const target = `${configMaps}/target`;
  const whole = ["application/json", "application/vnd.kubernetes.protobuf"];
  const patches = ["json-patch", "merge-patch", "strategic-merge-patch"].map((form) => `application/${form}+json`);
  const writes = [
    ...whole.flatMap((type) => [
      { method: "POST", path: configMaps, type },
      { method: "PUT", path: target, type },
      { method: "DELETE", path: target, type },
    ]),
    ...patches.map((type) => ({ method: "PATCH", path: target, type })),
  ];
  const bodies = ["\0\x01\x02\xff\xfe", "k8s\0\xff\xff\xff\xff\x0f", '{"a":', "null", '"text"', "7"];
  // These say nothing about how to delete, so a deletion takes them.
  const misshapen = ['{"metadata":{"name":{}}}', '{"__proto__":{"a":1},"metadata":[]}'];
  for (const { method, path, type } of writes) {
    for (const text of method === "DELETE" ? bodies : [...bodies, ...misshapen]) {
      const body = Buffer.from(text, "latin1");
      const reply = await api.call(path, { method, body, headers: { "content-type": type } });
      const what = `${method} ${type} ${JSON.stringify(text)}: ${reply.text}`;
      assert.ok([400, 415, 422].includes(reply.code), what);
      assert.equal(reply.body["kind"], "Status", what);
    }
  }
  assert.equal((await api.call(target)).code, 200);
});

test("a client that closes its half after asking still gets its answer", async () => {
  const socket = await dial([`GET ${pods} HTTP/1.1`, "Connection: close"]);
  socket.end();
  assert.match(await everythingFrom(socket), /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*\r\n.*"kind":"PodList"/);
});

test("a client that goes away in the middle of its body creates nothing", async () => {
  const whole = JSON.stringify(configMap("half"));
  const socket = await dial([`POST ${configMaps} HTTP/1.1`, `Content-Length: ${whole.length}`]);
  socket.write(whole.slice(0, 20));
  await until("the request has come", () => api.server.stats.requests > 0);
  socket.destroy();
  await assertServes();
  await assert.rejects(api.client.get(resources.configMaps, { namespace: "default", name: "half" }), (error: unknown) =>
    hasStatus(error, 404),
  );
});

test("a watch ends when its client closes its half or goes away", async () => {
  const open = api.server.stats.openWatches;
  for (const leave of [(one: TLSSocket) => one.end(), (one: TLSSocket) => one.destroy()]) {
    const socket = await dial([`GET ${pods}?watch=1 HTTP/1.1`]);
    await until("the watch is open", () => api.server.stats.openWatches === open + 1);
    leave(socket);
    socket.resume();
    await until("the watch has ended", () => api.server.stats.openWatches === open);
  }
  await assertServes();
});

test("two thousand idle watches hold nobody up, hear of a change all alike, and leave nothing behind", async () => {
  const count = 2000;
  const open = api.server.stats.openWatches;
  const before = api.server.stats.revision;
  const sockets: TLSSocket[] = [];
  let told = 0;
  try {
    // The full handshakes of a few hundred at a time keep the accept queue short.
    for (let started = 0; started < count; started += 200) {
      const dialled = Array.from({ length: 200 }, () =>
        dial([`GET ${pods}?watch=1&resourceVersion=${before}&fieldSelector=metadata.name%3Dheard HTTP/1.1`]),
      );
      sockets.push(...(await Promise.all(dialled)));
    }
    for (const socket of sockets) {
      socket.on("data", (chunk: Buffer) => {
        if (chunk.includes('"type":"ADDED"')) told += 1;
      });
    }
    await until("all watches are open", () => api.server.stats.openWatches === open + count);
    await assertServes();
    await api.client.create(resources.pods, podNamed("heard"));
    await until("every watch is told", () => told === count);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await until("all watches have ended", () => api.server.stats.openWatches === open);
  await assertServes();
});

test("ten thousand idle watches over shared connections hear of a change all alike, and leave nothing behind", async () => {
  const [connections, each] = [50, 200];
  const open = api.server.stats.openWatches;
  const { port, caCert: ca, token } = api.server;
  const path = `${pods}?watch=1&resourceVersion=${api.server.stats.revision}&fieldSelector=metadata.name%3Dheard-by-all`;
  const sessions = Array.from({ length: connections }, () => connectHttp2(`https://127.0.0.1:${port}`, { ca }));
  let told = 0;
  try {
    for (const session of sessions) {
      for (let started = 0; started < each; started += 1) {
        const stream = session.request({ ":path": path, authorization: `Bearer ${token}` });
        stream.on("error", () => {}); // They end when their session does.
        stream.on("data", (chunk: Buffer) => {
          if (chunk.includes('"type":"ADDED"')) told += 1;
        });
      }
    }
    await until("all watches are open", () => api.server.stats.openWatches === open + connections * each, 60_000);
    await assertServes();
    await api.client.create(resources.pods, podNamed("heard-by-all"));
    await until("every watch is told", () => told === connections * each, 60_000);
  } finally {
    for (const session of sessions) session.destroy();
  }
  await until("all watches have ended", () => api.server.stats.openWatches === open, 60_000);
  await assertServes();
});
