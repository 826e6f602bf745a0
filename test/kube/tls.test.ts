import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { generate } from "selfsigned";
import { KubeClient, type KubeConnection, resources } from "../../src/kube/index.ts";

const altNames = [{ type: 7 as const, ip: "127.0.0.1" }];
const certificate = await generate([{ name: "commonName", value: "api" }], {
  extensions: [{ name: "subjectAltName", altNames }],
});
const user = await generate([{ name: "commonName", value: "user" }]);

let asked: string | undefined;
const server = createServer(
  { cert: certificate.cert, key: certificate.private, requestCert: true, rejectUnauthorized: false },
  (request, response) => {
    asked = (request.socket as TLSSocket).getPeerCertificate()?.subject?.CN as string | undefined;
    response.end('{"metadata":{"name":"n"}}');
  },
);
let url: string;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function ask(connection: Omit<KubeConnection, "server">): Promise<string | undefined> {
  const client = new KubeClient({ server: url, ...connection });
  try {
    await client.get(resources.nodes, { name: "n" });
    return asked;
  } finally {
    await client.close();
  }
}

test("trusts the authority of the connection and shows its client certificate", async () => {
  const identity = { clientCertData: user.cert, clientKeyData: user.private };
  assert.equal(await ask({ caData: certificate.cert, ...identity }), "user");
});

test("refuses a server that the authority does not vouch for", async () => {
  await assert.rejects(ask({ caData: user.cert }), { reason: "ConnectionFailed", status: 0 });
  await assert.rejects(ask({}), { reason: "ConnectionFailed", status: 0 });
});

test("accepts any server only when told so", async () => {
  assert.equal(await ask({ insecureSkipTlsVerify: true }), undefined);
});
