/** When keys are served, and how long a controller waits to see what it wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, VirtualClock } from "../../src/base/index.ts";
import { AwaitedWrites } from "../../src/embedded/controllers/awaited-writes.ts";
import { WorkQueue } from "../../src/embedded/controllers/work-queue.ts";
import { KubeError, type Pod, ResourceCache, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { podOf } from "./controllers-support.ts";
import { MemoryApi } from "./support/memory-api.ts";

interface Served {
  readonly key: string;
  readonly atMs: number;
}

/** A queue that runs, with what it served. */
function queueOf(serve: (key: string) => void | Promise<void> = () => {}) {
  const clock = new VirtualClock();
  const served: Served[] = [];
  const queue = new WorkQueue({ clock, log: silentLogger, random: () => 0.999 }, async (key) => {
    served.push({ key, atMs: clock.now() });
    await serve(key);
  });
  const abort = new AbortController();
  const running = queue.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  const times = (key: string): readonly number[] => served.filter((one) => one.key === key).map((one) => one.atMs);
  return { clock, queue, times, stop };
}

/** Lets time pass in small steps, and whatever is woken do its work. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += 10) {
    await new Promise((resolve) => setImmediate(resolve));
    if (passed < ms) await clock.advance(Math.min(10, ms - passed));
  }
}

test("a key is served at once, and again after 50 ms however often it was added", async () => {
  const { clock, queue, times, stop } = queueOf();
  queue.add("a");
  await pass(clock, 10);
  for (let count = 0; count < 5; count += 1) queue.add("a");
  queue.add("b");
  assert.equal(queue.idle, false);
  await pass(clock, 200);
  assert.deepEqual([times("a"), times("b")], [[0, 50], [10]]);
  assert.equal(queue.idle, true);
  await stop();
});

test("a key that waits for a time leaves the queue idle and is served then", async () => {
  const { clock, queue, times, stop } = queueOf();
  queue.addAfter("a", 5000);
  queue.addAfter("a", 9000);
  await pass(clock, 4990);
  assert.deepEqual([queue.idle, times("a")], [true, []]);
  await pass(clock, 10_000);
  assert.deepEqual(times("a"), [5000]);
  await stop();
});

test("a key whose time comes within 50 ms of its service is served when they are over", async () => {
  let isFirst = true;
  const { clock, queue, times, stop } = queueOf(() => {
    if (isFirst) queue.addAfter("a", 1);
    isFirst = false;
  });
  queue.add("a");
  await pass(clock, 100);
  assert.deepEqual(times("a"), [0, 50]);
  await stop();
});

test("what fails is tried again after longer and longer waits, which are no work", async () => {
  const { clock, queue, times, stop } = queueOf(() => {
    throw new KubeError("quota", { status: 403, reason: "Forbidden" });
  });
  queue.add("a");
  await pass(clock, 1);
  assert.equal(queue.idle, true);
  await pass(clock, 10_000);
  const gaps = times("a").map((ms, index, all) => ms - (all[index - 1] ?? 0));
  assert.ok(
    gaps.length > 3 && gaps.every((gap, index) => index < 2 || gap > 1.5 * (gaps[index - 1] ?? 0)),
    gaps.join(),
  );
  await stop();
});

test("who was too late looks again soon, and that is work", async () => {
  let isStale = true;
  const { clock, queue, times, stop } = queueOf(() => {
    if (isStale) throw new KubeError("stale", { status: 409, reason: "Conflict" });
  });
  queue.add("a");
  await pass(clock, 40);
  assert.equal(queue.idle, false);
  isStale = false;
  await pass(clock, 100);
  assert.deepEqual([queue.idle, times("a")], [true, [0, 50]]);
  await stop();
});

test("a write is awaited until the cache has come so far, and not for ever", async () => {
  const clock = new VirtualClock();
  const api = new MemoryApi();
  const cache = new ResourceCache<Pod>(api, resources.pods, { clock });
  const abort = new AbortController();
  const running = cache.run(abort.signal);
  await cache.synced;
  // The API in memory tells a watch only what comes after it was opened.
  await pass(clock, 0);
  const awaited = new AwaitedWrites(clock);
  const created = await api.create(resources.pods, podOf("p"));
  awaited.written("a", cache, created);
  assert.deepEqual([awaited.has("a"), awaited.has("b"), awaited.idle], [true, false, false]);
  await until("the cache shows it", () => !awaited.has("a"));
  assert.deepEqual([cache.get("default", "p")?.metadata.uid, awaited.idle], [created.metadata.uid, true]);
  // Nobody deletes it, whatever the controller believes.
  awaited.deleted("a", cache, created);
  await clock.advance(29_999);
  assert.equal(awaited.has("a"), true);
  await clock.advance(1);
  assert.equal(awaited.has("a"), false);
  abort.abort();
  await running;
});
