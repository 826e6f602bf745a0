import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import { type LogFields, silentLogger, VirtualClock } from "../../src/base/index.ts";
import {
  BackOff,
  type CacheApi,
  type CacheChange,
  type CacheOptions,
  type ConfigMap,
  KubeClient,
  KubeError,
  ResourceCache,
  resources,
} from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Cut, SmallApiServer } from "./small-api-server.ts";

let server: SmallApiServer;
let client: KubeClient;

async function start(): Promise<void> {
  server = new SmallApiServer();
  client = new KubeClient({ server: await server.start() });
}

async function stop(): Promise<void> {
  await client.close();
  await server.stop();
}

beforeEach(start);
afterEach(stop);

/** Runs `body` with a running cache whose clock stands still unless it is told to move. */
async function withCache(
  body: (cache: ResourceCache<ConfigMap>, clock: VirtualClock) => Promise<void>,
  options: CacheOptions = {},
): Promise<void> {
  const clock = new VirtualClock();
  const cache = new ResourceCache<ConfigMap>(client, resources.configMaps, { clock, random: () => 0.5, ...options });
  const abort = new AbortController();
  const running = cache.run(abort.signal);
  try {
    await body(cache, clock);
  } finally {
    abort.abort();
    await running;
  }
}

/** Moves the clock until whoever waits on it has woken, and hardly further. */
async function passWait(clock: VirtualClock): Promise<void> {
  await until("the cache waits", () => clock.waiting === 1);
  while (clock.waiting === 1) await clock.advance(50);
}

function contents(cache: ResourceCache<ConfigMap>): Record<string, string | undefined> {
  return Object.fromEntries(cache.items().map((one) => [one.metadata.name, one.data?.["value"]]));
}

function truth(): Record<string, string | undefined> {
  return Object.fromEntries([...server.objects.values()].map((one) => [one.metadata.name, one.data?.["value"]]));
}

test("lists, then follows, and tells each change once it shows", async () => {
  server.write("a", "1");
  await withCache(async (cache) => {
    const seen: string[] = [];
    cache.onChange((change: CacheChange<ConfigMap>) => {
      const { name } = change.object.metadata;
      const before = change.type === "modified" ? change.previous.data?.["value"] : "";
      seen.push(`${change.type} ${name} ${before}>${cache.get("default", name)?.data?.["value"] ?? ""}`);
    });
    await cache.synced;
    await until("the watch stands", () => server.watching === 1);
    server.write("b", "2");
    server.write("b", "3");
    server.remove("a");
    await until("all is told", () => seen.length === 4);
    assert.deepEqual(seen, ["added a >1", "added b >2", "modified b 2>3", "deleted a >"]);
  });
});

test("objects come without the books of who wrote which field, listed or watched", async () => {
  server.write("listed", "1");
  await withCache(async (cache) => {
    await cache.synced;
    await until("the watch stands", () => server.watching === 1);
    server.write("watched", "2");
    await until("both are there", () => cache.items().length === 2);
    for (const { metadata } of cache.items()) assert.ok(!("managedFields" in metadata), metadata.name);
  });
});

test("goes on from the bookmark after a cut, without a new list", async () => {
  await withCache(async (cache, clock) => {
    await until("the watch stands", () => server.watching === 1);
    server.write("a", "1");
    await until("it has come", () => cache.get("default", "a") !== undefined);
    server.bookmark();
    server.cut("reset");
    await until("the cache waits", () => clock.waiting === 1);
    server.write("a", "2");
    await passWait(clock);
    await until("the change has come", () => cache.get("default", "a")?.data?.["value"] === "2");
    assert.equal(server.count("list"), 1);
    assert.equal(cache.problem, undefined);
  });
});

test("keeps what it knows while the server is away, and says so", async () => {
  server.write("a", "1");
  await withCache(async (cache, clock) => {
    await until("the watch stands", () => server.watching === 1);
    for (let index = 0; index < 3; index += 1) server.refusals.push({ status: 500, body: "broken" });
    server.cut("reset");
    for (let index = 0; index < 3; index += 1) {
      await until("the cache waits", () => clock.waiting === 1);
      assert.ok(cache.problem instanceof KubeError);
      assert.deepEqual(contents(cache), { a: "1" });
      await passWait(clock);
    }
    await passWait(clock);
    await until("the watch stands again", () => server.watching === 1);
  });
});

test("after 410 lists anew and tells what was missed", async () => {
  server.write("gone", "1");
  server.write("same", "1");
  server.write("changed", "1");
  await withCache(async (cache, clock) => {
    await until("the watch stands", () => server.watching === 1);
    const seen: string[] = [];
    cache.onChange((change) => seen.push(`${change.type} ${change.object.metadata.name}`));
    seen.length = 0; // What was there before is not what was missed.
    server.cut("orderly");
    await until("the cache waits", () => clock.waiting === 1);
    server.remove("gone");
    server.write("changed", "2");
    server.write("new", "1");
    server.compact();
    await passWait(clock);
    await passWait(clock);
    await until("all is told", () => seen.length === 3);
    assert.deepEqual(seen.sort(), ["added new", "deleted gone", "modified changed"]);
    assert.deepEqual(contents(cache), truth());
    assert.equal(server.count("list"), 2);
  });
});

test("a server that sends one event and closes is asked ever more slowly", async () => {
  server.closesAfterEvent = true;
  await withCache(async (cache, clock) => {
    await cache.synced;
    for (let step = 0; step < 12; step += 1) {
      await until("the cache watches or waits", () => server.watching === 1 || clock.waiting === 1);
      if (clock.waiting === 0) server.write("a", String(step));
      await until("the cache waits", () => clock.waiting === 1);
      const before = server.count("watch");
      await clock.advance(100 * 2 ** Math.min(step, 6));
      assert.equal(server.count("watch"), before, `no watch in the first half of wait ${step}`);
      await passWait(clock);
    }
    await until("the last event has come", () => cache.get("default", "a")?.data?.["value"] === truth()["a"]);
  });
});

test("waits as long as the server asks", async () => {
  server.refusals.push({ status: 429, headers: { "retry-after": "20" }, body: "" });
  await withCache(async (cache, clock) => {
    await until("the cache waits", () => clock.waiting === 1);
    await clock.advance(19_000);
    assert.equal(server.requests.length, 1);
    await clock.advance(1000);
    await cache.synced;
  });
});

test("a list that fails late is not asked for again at once", async () => {
  const clock = new VirtualClock();
  let lists = 0;
  const api: CacheApi = {
    list: async () => {
      lists += 1;
      if (lists > 1) throw new TypeError("asked again at once");
      await clock.advance(60_000);
      throw new KubeError("overloaded", { status: 503, reason: "ServiceUnavailable" });
    },
    watch: (type) => client.watch(type),
  };
  const cache = new ResourceCache(api, resources.configMaps, { clock });
  const abort = new AbortController();
  const running = cache.run(abort.signal);
  try {
    await until("the cache waits or broke", () => clock.waiting === 1 || lists > 1);
  } finally {
    abort.abort();
    await running;
  }
});

test("lists anew when the server has not come as far as the cache, as after a restore from a backup", async () => {
  server.write("lost", "1");
  await withCache(async (cache, clock) => {
    await until("the watch stands", () => server.watching === 1);
    server.remove("lost");
    server.compact();
    const status = {
      kind: "Status",
      code: 504,
      reason: "Timeout",
      message: "Too large resource version: 3, current: 1",
    };
    server.refusals.push({ status: 504, body: JSON.stringify(status) });
    await until("it is gone", () => cache.get("default", "lost") === undefined);
    server.cut("reset");
    await passWait(clock);
    await passWait(clock);
    await until("the watch stands again", () => server.watching === 1);
    assert.equal(server.count("list"), 2);
  });
});

test("lists anew when the server breaks over what comes next, again and again", async () => {
  const clock = new VirtualClock();
  let version = 1;
  const asked: (string | undefined)[] = [];
  const api: CacheApi = {
    list: async () => ({ items: [], resourceVersion: String(version) }),
    watch: async function* (_type, { resourceVersion, signal } = {}) {
      asked.push(resourceVersion);
      if (resourceVersion === "1") throw new KubeError("cannot decode", { status: 500, reason: "InternalError" });
      await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    },
  };
  const cache = new ResourceCache(api, resources.configMaps, { clock });
  const abort = new AbortController();
  const running = cache.run(abort.signal);
  try {
    await until("the cache waits", () => clock.waiting === 1);
    version = 2;
    for (let index = 0; index < 3; index += 1) await clock.advance(30_000);
    assert.deepEqual(asked, ["1", "1", "2"]);
  } finally {
    abort.abort();
    await running;
  }
});

test("says once why it cannot follow, and nothing of a cut that was soon over", async () => {
  const warnings: unknown[] = [];
  const log = { ...silentLogger, warn: (fields: LogFields) => void warnings.push(fields["problem"]) };
  await withCache(
    async (cache, clock) => {
      await until("the watch stands", () => server.watching === 1);
      server.cut("reset");
      await passWait(clock);
      await until("the watch stands again", () => server.watching === 1);
      server.write("a", "1");
      await until("it has come", () => cache.get("default", "a") !== undefined);
      assert.deepEqual(warnings, []);
      for (let index = 0; index < 4; index += 1) server.refusals.push({ status: 403, body: "may not watch" });
      server.cut("reset");
      for (let index = 0; index < 5; index += 1) await passWait(clock);
      await until("the watch stands again", () => server.watching === 1);
      assert.deepEqual(warnings, ["GET /api/v1/configmaps was answered 403: may not watch"]);
    },
    { log },
  );
});

test("a signal before the first list rejects those who wait for it", async () => {
  const cache = new ResourceCache(client, resources.configMaps);
  const abort = new AbortController();
  abort.abort(new Error("stopped"));
  await cache.run(abort.signal);
  await assert.rejects(cache.synced, { message: "stopped" });
});

test("a listener that throws ends the cache loudly", async () => {
  server.write("a", "1");
  const cache = new ResourceCache(client, resources.configMaps);
  cache.onChange(() => {
    throw new Error("defect");
  });
  await assert.rejects(cache.run(new AbortController().signal), { message: "defect" });
});

test("an error that is no answer of the API ends the cache loudly", async () => {
  const api: CacheApi = {
    list: () => Promise.reject(new TypeError("defect")),
    watch: (type) => client.watch(type),
  };
  const cache = new ResourceCache(api, resources.configMaps);
  await assert.rejects(cache.run(new AbortController().signal), { message: "defect" });
  await assert.rejects(cache.synced, { message: "defect" });
});

test("back-off doubles to its maximum and forgets after calm", () => {
  const backOff = new BackOff(() => 0, { initialMs: 100, maximumMs: 700, steadyMs: 1000 });
  const waits = [0, 999, 0, 0, 0, 1000, 0].map((lastedMs) => backOff.afterTry(lastedMs));
  assert.deepEqual(waits, [50, 100, 200, 350, 350, 0, 50]);
});

const name = fc.constantFrom("a", "b", "c");
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("half" as const), name }) },
  fc.record({ kind: fc.constant("cut" as const), how: fc.constantFrom<Cut[]>("mid-line", "reset", "orderly") }),
  fc.record({ kind: fc.constantFrom("compact", "bookmark", "expire", "refuse", "rest") }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(one: Step, value: string): void {
  switch (one.kind) {
    case "write":
      server.write(one.name, value);
      break;
    case "half":
      server.writeCutInHalf(one.name, value);
      break;
    case "remove":
      server.remove(one.name);
      break;
    case "cut":
      server.cut(one.how);
      break;
    case "compact":
      server.compact();
      break;
    case "bookmark":
      server.bookmark();
      break;
    case "expire":
      server.expireWatches();
      break;
    case "refuse":
      server.refusals.push({ status: 503, body: "" });
      break;
    case "rest":
      break;
  }
}

/** Moves the clock over every wait until the cache knows the server's last write. Returns how many waits there were. */
async function catchUp(cache: ResourceCache<ConfigMap>, clock: VirtualClock): Promise<number> {
  server.write("last", "");
  const wanted = server.objects.get("last")?.metadata.resourceVersion;
  const arrived = (): boolean => cache.get("default", "last")?.metadata.resourceVersion === wanted;
  let waits = 0;
  while (!arrived()) {
    await until("the cache knows all or waits", () => arrived() || clock.waiting === 1);
    if (clock.waiting === 0) continue;
    waits += 1;
    await passWait(clock);
  }
  return waits;
}

test("whatever is written, cut and forgotten, the cache ends equal to the server, without a flood", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await withCache(async (cache, clock) => {
        const told = new Map<string, string | undefined>();
        cache.onChange(({ type, object }) => {
          if (type === "deleted") told.delete(object.metadata.name);
          else told.set(object.metadata.name, object.data?.["value"]);
        });
        for (const [index, one] of steps.entries()) {
          if (one.kind === "rest") await until("a watch or a wait", () => server.watching === 1 || clock.waiting === 1);
          take(one, String(index));
        }
        const waits = await catchUp(cache, clock);
        assert.deepEqual(contents(cache), truth());
        assert.deepEqual(Object.fromEntries(told), truth());
        // A round is a list and a watch at most and ends in a wait: waits bound the requests, events do not.
        const requests = server.requests.length;
        assert.ok(requests <= 2 * (waits + 1), `${requests} requests with ${waits} waits`);
      });
      // What the last run's connections still bring must not be counted here.
      await stop();
      await start();
    }),
    { numRuns: 60 },
  );
});

test("a collection that the server does not know is empty where that may be, until it comes", async () => {
  server.refusals.push({ status: 404, body: "404 page not found" });
  server.write("a", "1");
  await withCache(
    async (cache, clock) => {
      await cache.synced;
      assert.deepEqual(cache.items(), []);
      await passWait(clock);
      await until("it has come", () => cache.get("default", "a") !== undefined);
    },
    { absentIsEmpty: true },
  );
});

test("several follow one cache: each is told all of it, and it goes on until the last has left", async () => {
  server.write("a", "1");
  await withCache(async (cache) => {
    await cache.synced;
    const late = new AbortController();
    const seen: string[] = [];
    cache.onChange(({ type, object }) => seen.push(`${type} ${object.metadata.name}`));
    const following = cache.run(late.signal);
    assert.deepEqual(seen, ["added a"], "what is there already is told to whoever comes later");
    await until("one watch stands for both", () => server.watching === 1);
    late.abort();
    await following;
    server.write("b", "2");
    await until("the cache lives on", () => seen.includes("added b"));
    assert.equal(server.watching, 1);
  });
  await until("the last one took the watch along", () => server.watching === 0);
});

test("who leaves before the first list does not wait for it, though others do", async () => {
  const never: CacheApi = {
    list: (_type, _selection, signal) =>
      new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    watch: async function* () {},
  };
  const cache = new ResourceCache<ConfigMap>(never, resources.configMaps, { clock: new VirtualClock() });
  const [first, second] = [new AbortController(), new AbortController()];
  const running = [cache.run(first.signal), cache.run(second.signal)];
  const waiting = cache.waitForSync(first.signal);
  first.abort(new Error("leaves"));
  await assert.rejects(waiting, /leaves/);
  await running[0];
  second.abort();
  await running[1];
});
