import assert from "node:assert/strict";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import { generate } from "selfsigned";
import { KubeClient, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** An HTTP/2 server whose watches never tell anything, behind a line that can be cut without a word. */
async function silentServer(t: TestContext) {
  const certificate = await generate([{ name: "commonName", value: "api" }], {
    extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
  });
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer({ cert: certificate.cert, key: certificate.private });
  let watches = 0;
  server.on("session", (session) => void sessions.add(session));
  server.on("stream", (stream, { ":path": path }) => {
    stream.on("error", () => {}).respond({ ":status": 200, "content-type": "application/json" });
    if (path?.includes("watch=true")) watches += 1;
    else stream.end('{"metadata":{"name":"n"}}');
  });
  const port = await portOf(server);
  let isCut = false;
  const line = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (data) => isCut || to.write(data)).on("error", () => {});
      from.on("close", () => to.destroy());
    }
  });
  t.after(() => {
    line.close();
    for (const session of sessions) session.destroy();
    server.close();
  });
  return {
    connection: { server: `https://127.0.0.1:${await portOf(line)}`, caData: certificate.cert },
    watches: () => watches,
    cut: () => {
      isCut = true;
    },
  };
}

test("a connection that has gone silent is given up within forty seconds, and its watch with it", async (t) => {
  const server = await silentServer(t);
  // Only pings are sent at intervals.
  t.mock.timers.enable({ apis: ["setInterval"] });
  const client = new KubeClient(server.connection);
  t.after(() => client.close());
  let isOver = false;
  const next = client.watch(resources.nodes)[Symbol.asyncIterator]().next();
  const ended = assert.rejects(next, { reason: "ConnectionFailed", retryable: true }).finally(() => {
    isOver = true;
  });
  await until("the watch stands", () => server.watches() === 1);
  for (let round = 0; round < 3; round += 1) {
    t.mock.timers.tick(20_000);
    // Answers come in order: when this one is there, the one to the ping is.
    await client.get(resources.nodes, { name: "n" });
  }
  assert.equal(isOver, false, "a line that answers stays");
  server.cut();
  t.mock.timers.tick(20_000);
  t.mock.timers.tick(20_000);
  await ended;
});
