/** The API server goes away and comes back on the same port, with all it holds. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { ResourceCache, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, startHarness } from "./api-support.ts";

const configMaps = "/api/v1/namespaces/default/configmaps";

async function withServer(body: (api: Harness, clock: VirtualClock) => Promise<void>): Promise<void> {
  const clock = new VirtualClock(Date.now());
  const api = await startHarness({ clock });
  try {
    await body(api, clock);
  } finally {
    await api.stop();
  }
}

function answers(api: Harness): Promise<boolean> {
  return api.call("/livez").then(
    () => true,
    () => false,
  );
}

/** Lets time pass until the outage has ended. */
async function over(outage: Promise<unknown>, clock: VirtualClock): Promise<void> {
  let ended = false;
  void outage.then(() => {
    ended = true;
  });
  await until("the outage is over", async () => {
    await clock.advance(1_000);
    return ended;
  });
}

test("connections are refused for as long as asked, watches end, and nothing is lost", async () => {
  await withServer(async (api, clock) => {
    await api.call(configMaps, { method: "POST", body: { metadata: { name: "before" } } });
    const version = api.server.resourceVersion();
    const watch = api.watch(`${configMaps}?watch=1`);
    await until("the watch is open", () => watch.events.length > 0);
    let isOver = false;
    const outage = api.server.outage(10_000).then(() => {
      isOver = true;
    });
    await until("the watch ends", () => watch.ended);
    await assert.rejects(api.call("/livez"), { code: "ECONNREFUSED" });
    await clock.advance(9_999);
    assert.equal(await answers(api), false);
    assert.equal(isOver, false);
    await over(outage, clock);
    assert.equal((await api.call(`${configMaps}/before`)).code, 200);
    const next = api.watch(`${configMaps}?watch=1&resourceVersion=${version}`);
    await api.call(configMaps, { method: "POST", body: { metadata: { name: "after" } } });
    await until("the watch goes on where it was", () => next.summary.includes("ADDED after"));
    assert.deepEqual(next.summary, ["ADDED after"]);
  });
});

test("an outage can come again, and one that is asked for meanwhile is the same", async () => {
  await withServer(async (api, clock) => {
    for (const round of [1, 2]) {
      const first = api.server.outage(1_000);
      const second = api.server.outage(60_000);
      await until("it is away", async () => !(await answers(api)));
      await over(Promise.all([first, second]), clock);
      assert.equal(await answers(api), true, `round ${round}`);
    }
  });
});

test("a client that never speaks does not hold up an outage", async () => {
  await withServer(async (api, clock) => {
    const silent = connect(api.server.port, "127.0.0.1");
    let isCut = false;
    silent.on("error", () => {});
    silent.on("close", () => {
      isCut = true;
    });
    await until("it is connected", () => silent.readyState === "open");
    const outage = api.server.outage(1_000);
    await until("it is cut off", () => isCut);
    await over(outage, clock);
  });
});

test("a port that another program has taken meanwhile is waited for", async () => {
  await withServer(async (api, clock) => {
    const outage = api.server.outage(1_000);
    await until("it is away", async () => !(await answers(api)));
    const thief = createServer();
    await new Promise<void>((resolve) => {
      thief.listen(api.server.port, "127.0.0.1", resolve);
    });
    await clock.advance(2_000);
    await new Promise((resolve) => thief.close(resolve));
    await over(outage, clock);
    assert.equal(await answers(api), true);
  });
});

test("a server that is closed during an outage does not come back", async () => {
  await withServer(async (api) => {
    const outage = api.server.outage(60_000);
    await until("it is away", async () => !(await answers(api)));
    await api.server.close();
    await outage;
    assert.equal(await answers(api), false);
  });
});

test("a client whose watches were given up as they opened lives through an outage", async () => {
  await withServer(async (api, clock) => {
    const giveUp = new AbortController();
    const caches = [resources.nodes, resources.pods, resources.events, resources.configMaps].map(
      (type) => new ResourceCache(api.client, type, { clock }),
    );
    const runs = caches.map((one) => one.run(giveUp.signal));
    await Promise.all(caches.map((one) => one.synced));
    // The requests of the watches are on their way, or about to be.
    giveUp.abort();
    await Promise.all(runs);
    await api.client.list(resources.pods);
    await over(api.server.outage(1_000), clock);
    await until("the client is connected again", () =>
      api.client.list(resources.pods).then(
        () => true,
        () => false,
      ),
    );
  });
});
