/** The control socket: who may open it, what it takes, what it refuses. */
import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { finding, silentLogger } from "../../../src/base/index.ts";
import { sendFault } from "../../../src/cli/fault/control-client.ts";
import { causeFault } from "../../../src/cli/fault/fault.ts";
import { type Control, serveControl } from "../../../src/cli/up/control.ts";
import type { Fault, FaultAnswer } from "../../../src/cli/up/control-protocol.ts";
import { everythingBelow, temporaryDirectory } from "../../support/temporary.ts";
import { until } from "../../support/until.ts";

interface Served {
  readonly socketPath: string;
  readonly control: Control;
  /** What was asked for. */
  readonly faults: Fault[];
}

async function served(t: TestContext, answer?: (fault: Fault) => Promise<FaultAnswer>): Promise<Served> {
  const socketPath = join(await temporaryDirectory(t), "control.sock");
  const faults: Fault[] = [];
  const control = await serveControl({
    socketPath,
    facts: { pid: 1, stateDir: "/state", nodes: ["node-a"] },
    log: silentLogger,
    cause: async (fault) => {
      faults.push(fault);
      return answer === undefined ? { ok: true, report: { done: ["done"], lookAt: [] } } : answer(fault);
    },
  });
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await control.close();
    isOpen = false;
  };
  t.after(close);
  return { socketPath, control: { close }, faults };
}

function post(socketPath: string, body: string, path = "/v1/faults", method = "POST"): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve([response.statusCode ?? 0, text]));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const { signal } = new AbortController();

test("Ctrl-C while the cluster is busy is told, with what may happen yet", async (t) => {
  const { socketPath, faults } = await served(t, () => new Promise(() => {}));
  const ending = new AbortController();
  const said: string[] = [];
  const output = { answer: (text: string) => void said.push(text), progress: (text: string) => void said.push(text) };
  const fault = { kind: "api-outage", forMs: 5 } as const;
  const asked = causeFault({ fault, stateDir: dirname(socketPath), env: {}, output, signal: ending.signal });
  await until("it was asked", () => faults.length === 1);
  ending.abort();
  assert.equal(await asked, 1);
  assert.match(said.join("\n"), /control-failed: tranche fault\n {2}ended before the cluster answered/);
});

test("only its user can open the socket, whatever the mask, and it is gone afterwards", async (t) => {
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  const { socketPath, control } = await served(t);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  assert.equal(process.umask(), 0, "the mask is as it was");
  await control.close();
  assert.deepEqual(await everythingBelow(join(socketPath, "..")), []);
});

test("a socket that a killed process left is replaced", async (t) => {
  const socketPath = join(await temporaryDirectory(t), "control.sock");
  await writeFile(socketPath, "");
  const options = { socketPath, facts: { pid: 1, stateDir: "/state", nodes: [] }, log: silentLogger };
  const control = await serveControl({ ...options, cause: async () => ({ ok: false, findings: [] }) });
  assert.equal((await post(socketPath, "", "/v1/cluster", "GET"))[0], 200);
  await control.close();
});

const good: readonly Fault[] = [
  { kind: "gpu", node: "node-a", index: 0, xid: 79 },
  { kind: "driver", node: "node-a" },
  { kind: "driver", node: "node-a", forMs: 1500.5 },
  { kind: "driver-end", node: "node-a" },
  { kind: "kubelet-restart", node: "node-a" },
  { kind: "node-reboot", node: "node-a" },
  { kind: "api-outage", forMs: 10_000 },
];
for (const fault of good) {
  test(`${JSON.stringify(fault)} arrives as it was sent`, async (t) => {
    const { socketPath, faults } = await served(t);
    const reached = await sendFault(socketPath, fault, signal);
    assert.deepEqual(faults, [fault]);
    assert.deepEqual(reached, { kind: "answer", value: { ok: true, report: { done: ["done"], lookAt: [] } } });
  });
}

const reboot = { kind: "node-reboot", node: "node-a" };
const bad = [
  { name: "no JSON", body: "{", status: 400, says: /no JSON object/ },
  { name: "a list", body: "[]", status: 400, says: /no JSON object/ },
  { name: "another version", body: { version: 2, fault: reboot }, status: 400, says: /has version 2, .* version 1/ },
  { name: "no version", body: { fault: reboot }, status: 400, says: /version/ },
  { name: "no fault", body: { version: 1 }, status: 400, says: /names no fault/ },
  {
    name: "a fault nobody knows",
    body: { version: 1, fault: { ...reboot, kind: "fire" } },
    status: 400,
    says: /"fire/,
  },
  { name: "no node", body: { version: 1, fault: { kind: "node-reboot" } }, status: 400, says: /no node/ },
  {
    name: "an index that is none",
    body: { version: 1, fault: { kind: "gpu", node: "a", index: -1, xid: 79 } },
    status: 400,
    says: /index/,
  },
  {
    name: "an XID that is none",
    body: { version: 1, fault: { kind: "gpu", node: "a", index: 0, xid: "79" } },
    status: 400,
    says: /XID/,
  },
  {
    name: "a duration of nothing",
    body: { version: 1, fault: { kind: "api-outage", forMs: 0 } },
    status: 400,
    says: /duration/,
  },
  {
    name: "a duration of months",
    body: { version: 1, fault: { kind: "driver", node: "a", forMs: 1e10 } },
    status: 400,
    says: /duration/,
  },
  { name: "a body without end", body: "x".repeat(100_000), status: 413, says: /longer than 65536 bytes/ },
  { name: "another path", body: "{}", path: "/v2/faults", status: 404, says: /there is no POST/ },
  { name: "another method", body: "{}", method: "PUT", status: 404, says: /there is no PUT/ },
];
for (const { name, body, path, method, status, says } of bad) {
  test(`${name} is refused, changes nothing, and the socket lives on`, async (t) => {
    const { socketPath, faults } = await served(t);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const [code, answer] = await post(socketPath, text, path, method);
    assert.equal(code, status);
    const { version, findings } = JSON.parse(answer);
    assert.equal(version, 1);
    assert.equal(findings[0].code, "control-failed");
    assert.match(findings[0].message, says);
    assert.deepEqual(faults, []);
    assert.equal((await sendFault(socketPath, { kind: "driver", node: "a" }, signal)).kind, "answer");
  });
}

test("a refusal comes with its findings, and an error as one", async (t) => {
  const one = finding("fault-refused", { kind: "cluster", name: "node-a" }, "no", { remedy: "wait" });
  const { socketPath } = await served(t, async ({ kind }) => {
    if (kind === "driver") throw new Error("broken");
    return { ok: false, findings: [one] };
  });
  const refused = await sendFault(socketPath, { kind: "api-outage", forMs: 1 }, signal);
  assert.deepEqual(refused, { kind: "answer", value: { ok: false, findings: [one] } });
  const broken = await sendFault(socketPath, { kind: "driver", node: "a" }, signal);
  assert.match(JSON.stringify(broken), /"code":"control-failed".*the cluster could not do it: broken/);
});

test("closing does not wait for a request that takes long", async (t) => {
  const asked = Promise.withResolvers<void>();
  const { socketPath, control } = await served(t, () => {
    asked.resolve();
    return new Promise(() => {});
  });
  const reached = sendFault(socketPath, { kind: "driver", node: "a" }, signal);
  await asked.promise;
  await control.close();
  assert.equal((await reached).kind, "failed");
  await until(
    "nobody listens",
    async () => (await sendFault(socketPath, { kind: "driver", node: "a" }, signal)).kind === "gone",
  );
});
