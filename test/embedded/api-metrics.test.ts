/** What the API server counts of itself. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { until } from "../support/until.ts";
import { startHarness } from "./api-support.ts";

test("counts requests by verb, resource and code, and tells what it keeps, to those who have the token", async () => {
  const api = await startHarness();
  try {
    const body = { metadata: { name: "a" } };
    for (const code of [201, 409]) {
      assert.equal((await api.call("/api/v1/namespaces/default/configmaps", { method: "POST", body })).code, code);
    }
    await api.call("/api/v1/configmaps");
    await api.call("/api/v1/nodes/none");
    const lines = async (): Promise<readonly string[]> => (await api.call("/metrics")).text.split("\n");
    const series = (verb: string, more: string, code: number): string =>
      `apiserver_request_total{code="${code}",component="apiserver",group="",${more},subresource="",verb="${verb}",version="v1"} 1`;
    const wanted = [
      series("POST", 'resource="configmaps",scope="namespace"', 201),
      series("POST", 'resource="configmaps",scope="namespace"', 409),
      series("LIST", 'resource="configmaps",scope="cluster"', 200),
      series("GET", 'resource="nodes",scope="resource"', 404),
      'apiserver_storage_objects{resource="configmaps"} 1',
      'apiserver_longrunning_requests{verb="WATCH"} 0',
    ];
    // A request counts once its connection has been written to, which may be after its answer is read.
    for (const line of wanted) await until(line, async () => (await lines()).includes(line));
    const watch = api.watch("/api/v1/nodes?watch=1");
    await until("the watch counts", async () =>
      (await lines()).includes('apiserver_longrunning_requests{verb="WATCH"} 1'),
    );
    watch.close();
    assert.equal((await api.call("/metrics", { token: null })).code, 401);
  } finally {
    await api.stop();
  }
});

test("what strangers write into methods and paths becomes no series", async () => {
  const api = await startHarness();
  const session = connect(api.server.url, { ca: api.server.caCert });
  const call = (method: string, path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":method": method, ":path": path }, { endStream: true });
      stream.on("error", reject).on("close", resolve).resume();
    });
  try {
    for (const one of ["a", "b", "c"]) {
      await call("GET", `/api/v1/namespaces/default/pods/p/made-up-${one}`);
      await call(`MADE-UP-${one}`, "/api/v1/nodes");
      await call(`MADE-UP-${one}`, "/made/up");
    }
    let counted: readonly string[] = [];
    await until("all are counted", async () => {
      const lines = (await api.call("/metrics")).text.split("\n");
      counted = lines.filter((line) => line.startsWith('apiserver_request_total{code="401"'));
      return counted.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0) === 9;
    });
    assert.deepEqual(
      counted.map((line) => /resource="([^"]*)".*verb="([^"]*)".* (\d+)$/.exec(line)?.slice(1).join(" ")).sort(),
      [" other 3", "nodes other 3", "pods GET 3"],
    );
  } finally {
    session.close();
    await api.stop();
  }
});
