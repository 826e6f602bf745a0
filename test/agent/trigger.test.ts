import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Trigger } from "../../src/agent/trigger.ts";
import { VirtualClock } from "../../src/base/index.ts";

/** A wait of 5 s and whether it is over. */
async function waiting(trigger: Trigger, signal = new AbortController().signal) {
  const wait = { over: false, done: Promise.resolve() };
  wait.done = trigger.wait(5_000, signal).then(() => {
    wait.over = true;
  });
  await turn();
  return wait;
}

test("a wait ends when the trigger is set", async () => {
  const trigger = new Trigger(new VirtualClock());
  const wait = await waiting(trigger);
  assert.equal(wait.over, false);
  trigger.set();
  await wait.done;
  assert.equal(trigger.pending, false);
});

test("what was set before the wait ends it at once, however often it was set", async () => {
  const trigger = new Trigger(new VirtualClock());
  trigger.set();
  trigger.set();
  assert.equal(trigger.pending, true);
  assert.equal((await waiting(trigger)).over, true);
  assert.equal(trigger.pending, false);
  assert.equal((await waiting(trigger)).over, false);
});

test("a wait ends after its time, and leaves no sleeper behind", async () => {
  const clock = new VirtualClock();
  const trigger = new Trigger(clock);
  const wait = await waiting(trigger);
  await clock.advance(4_999);
  assert.equal(wait.over, false);
  await clock.advance(1);
  await wait.done;
  const next = await waiting(trigger);
  trigger.set();
  await next.done;
  await turn();
  assert.equal(clock.waiting, 0);
});

test("what is set between two waits is not lost", async () => {
  const trigger = new Trigger(new VirtualClock());
  const wait = await waiting(trigger);
  trigger.set();
  await wait.done;
  trigger.set();
  assert.equal((await waiting(trigger)).over, true);
});

test("a wait breaks off with the signal's reason, before and during it", async () => {
  const clock = new VirtualClock();
  const trigger = new Trigger(clock);
  const ending = new AbortController();
  const wait = await waiting(trigger, ending.signal);
  ending.abort(new Error("the agent ends"));
  await assert.rejects(wait.done, /the agent ends/);
  await assert.rejects(trigger.wait(5_000, ending.signal), /the agent ends/);
  assert.equal(clock.waiting, 0);
});
