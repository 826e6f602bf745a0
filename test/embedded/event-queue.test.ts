/** Events while the API server is away; the API is in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, VirtualClock } from "../../src/base/index.ts";
import { EventQueue } from "../../src/embedded/kubelet/event-queue.ts";
import { type EventApi, KubeError, type KubeEvent, type Node, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { MemoryApi } from "./support/memory-api.ts";

const about: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-a", uid: "1" } };

/** A queue whose API fails with `failure` while there is one. */
function queueOver(api: MemoryApi) {
  const clock = new VirtualClock(1_700_000_000_000);
  const state: { failure: KubeError | undefined; tries: number } = { failure: undefined, tries: 0 };
  const failing: EventApi = {
    create: async (type, object) => {
      state.tries += 1;
      if (state.failure !== undefined) throw state.failure;
      return api.create(type, object);
    },
    get: (type, ref) => api.get(type, ref),
    update: (type, object) => api.update(type, object),
  };
  const queue = new EventQueue({ api: failing, clock, log: silentLogger, component: "kubelet", host: "node-a" });
  return { queue, clock, state };
}

const away = new KubeError("connection refused", { status: 0, reason: "ConnectionFailed" });

test("events wait for a server that is away, and come in order", async () => {
  const api = new MemoryApi();
  const { queue, clock, state } = queueOver(api);
  state.failure = away;
  queue.tell(about, "Normal", ["First", "one"]);
  queue.tell(about, "Normal", ["Second", "two"]);
  await until("a try was made", () => state.tries === 1 && clock.waiting === 1);
  await clock.advance(5_000);
  assert.deepEqual(api.events("node-a"), []);
  assert.equal(queue.busy, true);
  state.failure = undefined;
  await until("both are told", async () => {
    await clock.advance(1_000);
    return !queue.busy;
  });
  assert.deepEqual(api.events("node-a"), ["First: one", "Second: two"]);
});

test("an event bears the time at which it happened", async () => {
  const api = new MemoryApi();
  const { queue, clock, state } = queueOver(api);
  state.failure = away;
  queue.tell(about, "Normal", ["First", "one"]);
  await until("it waits", () => clock.waiting === 1);
  state.failure = undefined;
  await clock.advance(60_000);
  await until("it is told", () => !queue.busy);
  const [event] = (await api.list<KubeEvent>(resources.events)).items;
  assert.deepEqual([event?.firstTimestamp, event?.lastTimestamp], ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"]);
});

test("an event that the server refuses is not tried again and holds up nobody", async () => {
  const api = new MemoryApi();
  const { queue, state } = queueOver(api);
  state.failure = new KubeError("no", { status: 403, reason: "Forbidden" });
  queue.tell(about, "Normal", ["First", "one"]);
  await until("it is given up", () => !queue.busy);
  assert.equal(state.tries, 1);
});

test("a component that ends does not wait for a server that is away", async () => {
  const { queue, clock, state } = queueOver(new MemoryApi());
  state.failure = away;
  queue.tell(about, "Normal", ["First", "one"]);
  await until("it waits", () => clock.waiting === 1);
  await queue.flushed();
  assert.equal(state.tries, 2);
});
