import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import {
  type ConfigMap,
  type EventApi,
  hasStatus,
  inClusterConnection,
  KubeClient,
  KubeError,
  type KubeEvent,
  type KubeObject,
  type Pod,
  recordEvent,
  resources,
  type WatchEvent,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { SmallApiServer } from "./small-api-server.ts";

let server: SmallApiServer;
let client: KubeClient;

beforeEach(async () => {
  server = new SmallApiServer();
  client = new KubeClient({ server: await server.start(), token: "secret" });
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

test("reads a list in pages of 500 and completes the items with their kind", async () => {
  for (let index = 0; index < 1201; index += 1) server.write(`map-${index}`, "x");
  const { items } = await client.list<ConfigMap>(resources.configMaps, { namespace: "default" });
  assert.equal(items.length, 1201);
  assert.deepEqual([items[7]?.kind, items[7]?.apiVersion], ["ConfigMap", "v1"]);
  assert.equal(server.requests.length, 3);
  assert.equal(server.requests[0]?.url.pathname, "/api/v1/namespaces/default/configmaps");
  assert.equal(server.requests[0]?.headers.authorization, "Bearer secret");
});

test("reads the whole list when a page has expired", async () => {
  for (let index = 0; index < 501; index += 1) server.write(`map-${index}`, "x");
  server.forgetsPages = true;
  const { items } = await client.list(resources.configMaps);
  assert.equal(items.length, 501);
  assert.equal(server.requests.at(-1)?.url.search, "");
});

const object: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "a b", namespace: "ml" },
  spec: { containers: [] },
};
const calls = [
  {
    name: "create",
    run: () => client.create(resources.pods, object, { dryRun: true, fieldManager: "me" }),
    want: ["POST", "/api/v1/namespaces/ml/pods?dryRun=All&fieldManager=me", "application/json"],
  },
  {
    name: "update of a subresource",
    run: () => client.update(resources.pods, object, { subresource: "status" }),
    want: ["PUT", "/api/v1/namespaces/ml/pods/a%20b/status", "application/json"],
  },
  {
    name: "merge patch of a cluster-scoped object",
    run: () => client.mergePatch(resources.nodes, { name: "n1" }, { metadata: { labels: { a: null } } }),
    want: ["PATCH", "/api/v1/nodes/n1", "application/merge-patch+json"],
  },
  {
    name: "delete in a named group",
    run: () => client.delete(resources.clusterPolicies, { name: "p" }, { gracePeriodSeconds: 0 }),
    want: ["DELETE", "/apis/nvidia.com/v1/clusterpolicies/p", "application/json"],
  },
  {
    name: "create of a subresource",
    run: () => client.createSubresource(resources.pods, object.metadata, "binding", object),
    want: ["POST", "/api/v1/namespaces/ml/pods/a%20b/binding", "application/json"],
  },
];
for (const { name, run, want } of calls) {
  test(`${name} goes where the API has it`, async () => {
    await run().catch((error: unknown) => assert.ok(error instanceof KubeError));
    const seen = server.requests[0];
    assert.deepEqual([seen?.method, `${seen?.url.pathname}${seen?.url.search}`, seen?.headers["content-type"]], want);
  });
}

const refusals = [
  {
    name: "a Status names code, reason and message",
    answer: { status: 409, body: '{"kind":"Status","code":409,"reason":"Conflict","message":"changed meanwhile"}' },
    want: { status: 409, reason: "Conflict", message: "changed meanwhile", retryable: false, retryAfterMs: undefined },
  },
  {
    name: "too many requests can be tried again after what the header says",
    answer: { status: 429, headers: { "retry-after": "3" }, body: "slow down" },
    want: {
      status: 429,
      reason: "Unknown",
      message: "GET /api/v1/nodes/n was answered 429: slow down",
      retryable: true,
      retryAfterMs: 3000,
    },
  },
  {
    name: "without the header the Status tells how long to wait",
    answer: {
      status: 503,
      body: '{"kind":"Status","code":503,"reason":"Timeout","message":"busy","details":{"retryAfterSeconds":2}}',
    },
    want: { status: 503, reason: "Timeout", message: "busy", retryable: true, retryAfterMs: 2000 },
  },
];
for (const { name, answer, want } of refusals) {
  test(name, async () => {
    server.refusals.push(answer);
    await assert.rejects(client.get(resources.nodes, { name: "n" }), want);
  });
}

test("a connection that fails is a retryable error that names the call", async () => {
  const lost = new KubeClient({ server: "http://127.0.0.1:1" });
  await assert.rejects(lost.get(resources.nodes, { name: "n" }), (error: unknown) => {
    assert.ok(error instanceof KubeError);
    assert.deepEqual([error.status, error.reason, error.retryable], [0, "ConnectionFailed", true]);
    return /^GET \/api\/v1\/nodes\/n got no whole answer: .*ECONNREFUSED/.test(error.message);
  });
  await lost.close();
});

test("the caller's signal ends a watch with its own reason", async () => {
  const abort = new AbortController();
  const events = client.watch(resources.configMaps, { resourceVersion: "1000000", signal: abort.signal });
  const ended = assert.rejects(events[Symbol.asyncIterator]().next(), { message: "enough" });
  await until("the watch stands", () => server.watching === 1);
  abort.abort(new Error("enough"));
  await ended;
  await until("the server sees it go", () => server.watching === 0);
});

test("closing the client ends its watches for good", async () => {
  const first = client.watch(resources.configMaps, { resourceVersion: "1000000" })[Symbol.asyncIterator]().next();
  const ended = assert.rejects(first, { reason: "Closed", retryable: false });
  await until("the watch stands", () => server.watching === 1);
  await client.close();
  await ended;
});

test("breaking off the iteration closes the connection", async () => {
  const { resourceVersion } = await client.list(resources.configMaps);
  const events = client.watch<ConfigMap>(resources.configMaps, { resourceVersion });
  server.write("one", "1");
  for await (const event of events) {
    assert.equal(event.type === "ADDED" && event.object.metadata.name, "one");
    break;
  }
  await until("the server sees it go", () => server.watching === 0);
});

test("tells events, bookmarks and an orderly end", async () => {
  const { resourceVersion } = await client.list(resources.configMaps);
  const seen: WatchEvent<ConfigMap>[] = [];
  const reading = (async () => {
    for await (const event of client.watch<ConfigMap>(resources.configMaps, { resourceVersion })) seen.push(event);
  })();
  await until("the watch stands", () => server.watching === 1);
  server.write("one", "1");
  server.bookmark();
  server.remove("one");
  server.cut("orderly");
  await reading;
  assert.deepEqual(
    seen.map((event) => event.type),
    ["ADDED", "BOOKMARK", "DELETED"],
  );
  const query = server.requests.at(-1)?.url.searchParams;
  assert.deepEqual([query?.get("allowWatchBookmarks"), query?.get("timeoutSeconds")], ["true", "300"]);
});

test("a stream cut within a line is a failed connection", async () => {
  const next = client.watch(resources.configMaps, { resourceVersion: "1000000" })[Symbol.asyncIterator]().next();
  const ended = assert.rejects(next, { reason: "ConnectionFailed", message: /cut within a line/ });
  await until("the watch stands", () => server.watching === 1);
  server.cut("mid-line");
  await ended;
});

test("an expired version is status 410, in the answer and on the stream", async () => {
  server.write("one", "1");
  server.compact();
  const early = client.watch(resources.configMaps, { resourceVersion: "1" })[Symbol.asyncIterator]().next();
  await assert.rejects(early, (error) => hasStatus(error, 410));
  const late = client.watch(resources.configMaps, { resourceVersion: "1000000" })[Symbol.asyncIterator]().next();
  const ended = assert.rejects(late, { status: 410, reason: "Expired" });
  await until("the watch stands", () => server.watching === 1);
  server.expireWatches();
  await ended;
});

test("letters of several bytes survive a chunk border", async () => {
  const { resourceVersion } = await client.list(resources.configMaps);
  const events = client.watch<ConfigMap>(resources.configMaps, { resourceVersion })[Symbol.asyncIterator]();
  const next = events.next();
  await until("the watch stands", () => server.watching === 1);
  const text = "ü€𝄞".repeat(30_000);
  server.write("letters", text);
  const { value } = await next;
  assert.equal(value?.object.data.value, text);
  await events.return?.(undefined);
});

test("reads a service account's token again after a minute", async () => {
  const directory = await mkdtemp(join(tmpdir(), "service-account-"));
  await writeFile(join(directory, "token"), "first\n");
  await writeFile(join(directory, "ca.crt"), "PEM");
  await writeFile(join(directory, "namespace"), "gpu-operator");
  const clock = new VirtualClock();
  const connection = await inClusterConnection({ host: "fd00::1", port: "443", directory, clock });
  assert.deepEqual([connection.server, connection.namespace], ["https://[fd00::1]:443", "gpu-operator"]);
  const { token } = connection;
  assert.ok(typeof token === "function");
  await writeFile(join(directory, "token"), "second\n");
  assert.equal(await token(), "first");
  await clock.advance(60_000);
  assert.equal(await token(), "second");
});

test("the same event is counted up, another is written anew, and what is combined is one", async () => {
  const stored = new Map<string, KubeEvent>();
  const put = (object: KubeObject): void => void stored.set(object.metadata.name, object as KubeEvent);
  const api: EventApi = {
    create: async (_, event) => {
      if (stored.has(event.metadata.name)) throw new KubeError("exists", { status: 409, reason: "AlreadyExists" });
      put(event);
      return event;
    },
    get: async <T extends KubeObject>(_: unknown, ref: { name: string }) => stored.get(ref.name) as unknown as T,
    update: async (_, event) => {
      put(event);
      return event;
    },
  };
  const clock = new VirtualClock(Date.parse("2026-01-02T03:04:05.678Z"));
  const input = { object, type: "Warning", reason: "FailedScheduling", component: "default-scheduler" } as const;
  await recordEvent(api, { ...input, message: "no room" }, clock);
  await clock.advance(5000);
  await recordEvent(api, { ...input, message: "no room" }, clock);
  await recordEvent(api, { ...input, message: "no room at all" }, clock);
  for (const message of ["no room here", "no room there"])
    await recordEvent(api, { ...input, message, combined: true }, clock);
  assert.deepEqual(
    [...stored.values()].map(({ count, lastTimestamp, message }) => [count, lastTimestamp, message]),
    [
      [2, "2026-01-02T03:04:10Z", "no room"],
      [1, "2026-01-02T03:04:10Z", "no room at all"],
      [2, "2026-01-02T03:04:10Z", "(combined from similar events): no room there"],
    ],
  );
});
