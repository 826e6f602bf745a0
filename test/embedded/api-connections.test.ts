/** Over how many connections clients reach the API server. */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { startApiServer } from "../../src/embedded/index.ts";
import { KubeClient, type Pod, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";

/** Passes bytes on to the server, and counts who comes. */
async function countingProxy(t: TestContext, target: number): Promise<{ readonly port: number; count(): number }> {
  let count = 0;
  const proxy = createServer((client) => {
    count += 1;
    const upstream = connect(target, "127.0.0.1");
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => proxy.close());
  return { port: (proxy.address() as AddressInfo).port, count: () => count };
}

test("250 watches and a list of one client share a few connections", async (t) => {
  const server = await startApiServer({ clock: systemClock, log: silentLogger });
  t.after(() => server.close());
  const proxy = await countingProxy(t, server.port);
  const client = new KubeClient({ ...server.connection(), server: `https://127.0.0.1:${proxy.port}` });
  const stop = new AbortController();
  t.after(async () => {
    stop.abort();
    await client.close();
  });
  for (let at = 0; at < 250; at += 1) {
    const watch = client.watch<Pod>(resources.pods, { fieldSelector: `spec.nodeName=node-${at}`, signal: stop.signal });
    watch.next().catch(() => {});
  }
  await until("all watches are open", () => server.stats.openWatches === 250);
  await client.list<Pod>(resources.pods);
  assert.ok(proxy.count() <= 5, `${proxy.count()} connections`);
});
