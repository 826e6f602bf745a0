/** One agent a node: the locks that the agents of a machine meet. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { takeAgentLock } from "../../../src/cli/agent/agent-lock.ts";
import { NodeLock, type NodeLockOptions } from "../../../src/cli/agent/node-lock.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

interface LockedNode {
  readonly options: NodeLockOptions;
  readonly lock: NodeLock;
  /** The lock where the kubelet's plugins are. */
  readonly path: string;
}

async function locked(t: TestContext): Promise<LockedNode> {
  const directory = await temporaryDirectory(t);
  const devicePluginDirectory = join(directory, "plugins");
  const options = { node: "node-a", stateDir: join(directory, "state"), devicePluginDirectory };
  const lock = await NodeLock.take(options);
  assert.ok(lock.ok);
  t.after(() => lock.value.release());
  return { options, lock: lock.value, path: join(devicePluginDirectory, "tranche-agent.lock") };
}

test("locks that stand are kept without a word, and refuse another agent", async (t) => {
  const { options, lock } = await locked(t);
  assert.deepEqual(await lock.keep(), []);
  const other = await NodeLock.take(options);
  assert.match(other.findings[0]?.message ?? "", /is held by agent of node-a, process \d+/);
});

test("a lock is made anew when the kubelet has emptied its directory", async (t) => {
  const { options, lock } = await locked(t);
  await rm(options.devicePluginDirectory, { recursive: true });
  await mkdir(options.devicePluginDirectory);
  assert.deepEqual(await lock.keep(), []);
  const other = await NodeLock.take({ ...options, stateDir: `${options.stateDir}-2` });
  assert.equal(other.ok, false);
});

test("another agent that has got the lock meanwhile is told, as long as it is there", async (t) => {
  const { lock, path } = await locked(t);
  await rm(path);
  const other = await takeAgentLock(path, "agent of node-b");
  assert.ok(other.taken);
  for (const _turn of [1, 2]) {
    const [found] = await lock.keep();
    assert.equal(found?.code, "second-agent");
    assert.match(found?.message ?? "", /tranche-agent\.lock is held by agent of node-b$/);
  }
  assert.equal(await other.lock.stands(), true);
  await other.lock.release();
  assert.deepEqual(await lock.keep(), []);
  assert.equal((await takeAgentLock(path, "")).taken, false);
});
