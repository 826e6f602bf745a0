import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { DevicePluginConnection } from "../../src/kubelet/index.ts";
import { temporaryDirectory } from "./support/fixtures.ts";

test("what is stopped keeps neither the process alive nor a file behind", async (t) => {
  const directory = await temporaryDirectory(t);
  const script = join(import.meta.dirname, "support", "start-and-stop.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, directory], { timeout: 20_000 });
  assert.equal(stdout, "stopped\n");
  assert.deepEqual(await readdir(directory, { recursive: true }), ["pod-resources"]);
});

test("a wait for a plugin that never comes ends with its signal, and its timer with it", {
  timeout: 8_000,
}, async (t) => {
  const socketPath = join(await temporaryDirectory(t), "never.sock");
  const ending = new AbortController();
  const connecting = DevicePluginConnection.connect(socketPath, { timeoutMs: 60_000, signal: ending.signal });
  setImmediate(() => ending.abort(new Error("the kubelet stopped")));
  await assert.rejects(connecting, /the kubelet stopped/);
});
