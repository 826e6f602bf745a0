import assert from "node:assert/strict";
import { test } from "node:test";
import { HealthBook, type HealthChange } from "../../src/agent/health/health-book.ts";
import { placeName } from "../../src/agent/health/health-text.ts";
import { QUIET_MS } from "../../src/agent/health/xid-table.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { gpu } from "../sharing/fixtures.ts";

/** GPU 0 is cut into two slices, GPU 1 is whole. */
const cut = gpu(0, "1g.10gb@0 3g.40gb@4");
const whole = gpu(1);
const [small = "", large = ""] = cut.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid));
const everything = [small, large, whole.uuid];

class Book {
  readonly book = new HealthBook();
  readonly told: string[] = [];

  constructor() {
    this.sees(cut, whole);
  }

  sees(...gpus: readonly Gpu[]): void {
    this.hears(this.book.listed(gpus));
  }

  xid(
    xid: number,
    { uuid, at, atMs = 0 }: { uuid: string; at?: readonly (number | undefined)[]; atMs?: number },
  ): void {
    const [gpuInstanceId, computeInstanceId] = at ?? [];
    this.hears(this.book.raised({ gpuUuid: uuid, xid, gpuInstanceId, computeInstanceId }, atMs));
  }

  hears(changes: readonly HealthChange[]): void {
    for (const change of changes) {
      const { gpuUuid, devices } = change.kind === "ill" ? change.illness : change;
      const why = change.kind === "ill" ? (change.illness.xid ?? "gone") : `${change.xids.join()} ${change.why}`;
      const name = placeName(gpuUuid, this.book.gpu(gpuUuid), devices).replaceAll(/ \([^)]*\)/g, "");
      this.told.push(`${change.kind} ${name}: ${why}`);
    }
  }

  get healthy(): readonly string[] {
    return everything.filter((uuid) =>
      this.book.isHealthy({ uuid, gpuUuid: uuid === whole.uuid ? whole.uuid : cut.uuid }),
    );
  }
}

const [first] = cut.instances;
const [part] = first?.computeInstances ?? [];

const concerned = [
  { name: "an error without an instance concerns all of the GPU", at: undefined, ill: [small, large] },
  { name: "an error of a GPU instance concerns its devices only", at: [first?.id, undefined], ill: [small] },
  { name: "an error of a compute instance concerns that one", at: [first?.id, part?.id], ill: [small] },
  { name: "an instance that does not stand stands for all of the GPU", at: [99, 0], ill: [small, large] },
];
for (const { name, at, ill } of concerned) {
  test(name, () => {
    const one = new Book();
    one.xid(94, { uuid: cut.uuid, ...(at === undefined ? {} : { at }) });
    assert.deepEqual(
      one.healthy,
      everything.filter((uuid) => !ill.includes(uuid)),
    );
    assert.equal(one.book.isIll(cut.uuid), ill.length > 1, "a GPU of which a part is ill can still be changed");
  });
}

test("a GPU that the driver no longer lists stays known, unhealthy, until it is listed again", () => {
  const one = new Book();
  one.sees(whole);
  assert.deepEqual(one.book.gpus, [cut, whole]);
  assert.deepEqual(one.healthy, [whole.uuid]);
  one.sees(whole);
  one.sees(cut, whole);
  assert.deepEqual(one.healthy, everything);
  assert.deepEqual(one.told, ["ill GPU 0: gone", "well GPU 0:  the driver lists it again"]);
});

test("a GPU that fell off the bus is told of once, and is well when it is back", () => {
  const one = new Book();
  one.xid(79, { uuid: cut.uuid });
  one.sees(whole);
  one.xid(79, { uuid: cut.uuid });
  one.hears(one.book.reset(cut.uuid));
  assert.deepEqual(one.healthy, [whole.uuid]);
  one.sees(cut, whole);
  assert.deepEqual(one.told, ["ill GPU 0: 79", "well GPU 0: 79 the driver lists it again"]);
});

test("an error that a program can be restarted after is over when it has not come again for its time", () => {
  const one = new Book();
  one.xid(94, { uuid: cut.uuid, at: [first?.id, part?.id], atMs: 0 });
  one.xid(94, { uuid: cut.uuid, at: [first?.id, part?.id], atMs: 1_000 });
  assert.equal(one.book.nextCalmMs, QUIET_MS + 1_000);
  one.hears(one.book.calm(QUIET_MS + 999));
  assert.deepEqual(one.healthy, [large, whole.uuid]);
  one.hears(one.book.calm(QUIET_MS + 1_000));
  assert.deepEqual(one.healthy, everything);
  assert.deepEqual(one.told, [
    "ill GPU 0 1g.10gb@0: 94",
    "well GPU 0 1g.10gb@0: 94 it did not come again for 10 minutes",
  ]);
  assert.equal(one.book.nextCalmMs, undefined);
});

test("an error that needs a reset is not over by time, one that needs a reboot not by a reset", () => {
  const one = new Book();
  one.xid(95, { uuid: whole.uuid });
  one.xid(79, { uuid: cut.uuid });
  one.hears(one.book.calm(100 * QUIET_MS));
  assert.deepEqual(one.healthy, []);
  one.hears(one.book.reset(whole.uuid));
  one.hears(one.book.reset(cut.uuid));
  assert.deepEqual(one.healthy, [whole.uuid]);
  one.hears(one.book.rebooted());
  assert.deepEqual(one.healthy, everything);
  assert.deepEqual(one.told.slice(2), ["well GPU 1: 95 the GPU was reset", "well GPU 0: 79 the node was rebooted"]);
});

test("what another error still holds down is not told to be well", () => {
  const one = new Book();
  one.xid(94, { uuid: cut.uuid, at: [first?.id, part?.id] });
  one.xid(95, { uuid: cut.uuid });
  one.hears(one.book.calm(QUIET_MS));
  assert.deepEqual(one.told, ["ill GPU 0 1g.10gb@0: 94", "ill GPU 0: 95"]);
  one.hears(one.book.reset(cut.uuid));
  assert.deepEqual(one.told.slice(2), ["well GPU 0: 95 the GPU was reset"]);
});

test("an error of a slice goes with the slice", () => {
  const one = new Book();
  one.xid(95, { uuid: cut.uuid, at: [first?.id, part?.id] });
  one.sees(gpu(0, "3g.40gb@4"), whole);
  one.sees(cut, whole);
  assert.deepEqual(one.healthy, everything);
  assert.deepEqual(one.book.illnesses(), []);
});

test("nothing is healthy while the driver does not answer, and errors are kept", () => {
  const one = new Book();
  one.xid(95, { uuid: whole.uuid });
  one.book.silent();
  assert.deepEqual(one.healthy, []);
  one.sees(cut, whole);
  assert.deepEqual(one.healthy, [small, large]);
});

test("a GPU that is missing after a reboot has been taken out", () => {
  const one = new Book();
  one.sees(whole);
  one.book.rebooted();
  assert.deepEqual(one.book.gpus, [whole]);
  assert.deepEqual(one.book.illnesses(), []);
});
