import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { XidWatch } from "../../src/agent/health/xid-watch.ts";
import { silentLogger, VirtualClock } from "../../src/base/index.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";

test("a driver that is down is tried again until its events can be followed; the end of the agent ends it", async () => {
  const clock = new VirtualClock();
  const driver = new SimulatedDriver({ models: [modelById("t4-16gb") ?? assert.fail()], seed: "node-a" });
  const [gpu] = await driver.list();
  const repair = driver.failCall({
    call: "xidEvents",
    times: Number.POSITIVE_INFINITY,
    nvmlCode: "driver-not-loaded",
  });
  const seen: number[] = [];
  const watch = new XidWatch({ driver, clock, log: silentLogger, onXid: ({ xid }) => seen.push(xid) });
  const ending = new AbortController();
  const running = watch.run(ending.signal);
  const raise = async (xid: number): Promise<void> => {
    driver.raiseXid({ gpuUuid: gpu?.uuid ?? "", xid });
    await turn();
  };
  await clock.advance(60_000);
  assert.match(watch.problem ?? "", /xidEvents failed: driver-not-loaded/);
  const tries = driver.calls().get("xidEvents") ?? 0;
  assert.ok(tries > 10 && tries < 40, `it was tried ${tries} times in a minute`);
  await raise(48);
  repair();
  await clock.advance(5_000);
  assert.equal(watch.problem, undefined);
  watch.hurry();
  await raise(63);
  await raise(79);
  assert.deepEqual(seen, [63, 79]);
  ending.abort();
  await running;
});

test("a watch that waits tries at once when the driver is known to answer", async () => {
  const clock = new VirtualClock();
  const driver = new SimulatedDriver({ models: [modelById("t4-16gb") ?? assert.fail()], seed: "node-a" });
  driver.unload();
  const watch = new XidWatch({ driver, clock, log: silentLogger, onXid: () => {} });
  const ending = new AbortController();
  const running = watch.run(ending.signal);
  await clock.advance(60_000);
  driver.load();
  assert.notEqual(watch.problem, undefined);
  watch.hurry();
  await turn();
  assert.equal(watch.problem, undefined);
  ending.abort();
  await running;
});
