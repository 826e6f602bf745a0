/** Random errors, lists, resets, reboots and time against a twin that goes through the whole history each time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HealthBook } from "../../src/agent/health/health-book.ts";
import { QUIET_MS, xidMeaning } from "../../src/agent/health/xid-table.ts";
import { gpu } from "../sharing/fixtures.ts";

const cut = gpu(0, "1g.10gb@0 3g.40gb@4");
const whole = gpu(1);
const gpus = [cut, whole];
const [small = "", large = ""] = cut.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid));
const devices = [
  { uuid: small, gpu: 0 },
  { uuid: large, gpu: 0 },
  { uuid: whole.uuid, gpu: 1 },
];

type Event =
  | { readonly kind: "xid"; readonly xid: number; readonly gpu: number; readonly slice: number | undefined }
  | { readonly kind: "list"; readonly there: readonly boolean[] }
  | { readonly kind: "reset"; readonly gpu: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "silent" | "reboot" };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant("xid" as const),
    xid: fc.constantFrom(48, 79, 94, 94),
    gpu: fc.constantFrom(0, 1),
    slice: fc.constantFrom(undefined, 0),
  }),
  fc.record({ kind: fc.constant("list" as const), there: fc.tuple(fc.boolean(), fc.boolean()) }),
  fc.record({ kind: fc.constant("list" as const), there: fc.constant([true, true]) }),
  fc.record({ kind: fc.constant("reset" as const), gpu: fc.constantFrom(0, 1) }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(1, QUIET_MS / 2, QUIET_MS) }),
  fc.record({ kind: fc.constantFrom("silent" as const, "reboot" as const) }),
);

function feed(book: HealthBook, one: Event, nowMs: number): void {
  switch (one.kind) {
    case "xid": {
      const { uuid: gpuUuid, instances } = gpus[one.gpu] ?? assert.fail();
      const gpuInstanceId = one.slice === undefined ? undefined : instances[one.slice]?.id;
      book.raised({ gpuUuid, xid: one.xid, gpuInstanceId, computeInstanceId: undefined }, nowMs);
      break;
    }
    case "list":
      book.listed(gpus.filter((_, index) => one.there[index]));
      break;
    case "reset":
      book.reset(gpus[one.gpu]?.uuid ?? "");
      break;
    case "pass":
      book.calm(nowMs);
      break;
    case "silent":
      book.silent();
      break;
    case "reboot":
      book.rebooted();
      break;
  }
}

/** Whether the device is healthy after `history`, the last list and every error looked at anew. */
function isHealthy(history: readonly Event[], device: { readonly uuid: string; readonly gpu: number }): boolean {
  const times = history.map((_, at) => timeAt(history, at));
  const answers =
    history.findLastIndex((one) => one.kind === "list") > history.findLastIndex((one) => one.kind === "silent");
  const thereAt = (at: number): boolean => {
    const last = history.slice(0, at + 1).findLast((one) => one.kind === "list");
    return last?.there[device.gpu] === true;
  };
  if (!answers || !thereAt(history.length - 1)) return false;
  const concerns = (one: Event): boolean => {
    if (one.kind !== "xid" || one.gpu !== device.gpu) return false;
    return device.gpu === 1 || one.slice === undefined || devices[one.slice]?.uuid === device.uuid;
  };
  const isOver = (at: number): boolean => {
    const error = history[at];
    if (error?.kind !== "xid") return true;
    const { recovery } = xidMeaning(error.xid);
    return history.some((one, later) => {
      if (later <= at) return false;
      const isBack = one.kind === "list" && thereAt(later) && !thereAt(later - 1);
      if (one.kind === "reboot" || isBack) return true;
      if (one.kind === "reset" && one.gpu === device.gpu) return recovery !== "reboot";
      const isSame = (two: Event, when: number): boolean =>
        when <= later &&
        two.kind === "xid" &&
        two.xid === error.xid &&
        two.gpu === error.gpu &&
        scope(two) === scope(error);
      const last = history.findLastIndex(isSame);
      return one.kind === "pass" && recovery === "quiet" && (times[later] ?? 0) >= (times[last] ?? 0) + QUIET_MS;
    });
  };
  return history.every((one, at) => !concerns(one) || isOver(at));
}

/** What the error is about; the GPU that is not cut has no slices. */
function scope(error: Event): number | undefined {
  return error.kind === "xid" && error.gpu === 0 ? error.slice : undefined;
}

/** Time stands still but for what passes. */
function timeAt(history: readonly Event[], at: number): number {
  return history.slice(0, at + 1).reduce((sum, one) => sum + (one.kind === "pass" ? one.ms : 0), 0);
}

test("the book says of every device what the whole history says", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 25 }), (events) => {
      const book = new HealthBook();
      const history: Event[] = [{ kind: "list", there: [true, true] }];
      book.listed(gpus);
      for (const one of events) {
        // A GPU that was missing at a reboot is not known any more, and raises nothing.
        if (one.kind === "xid" && book.gpu(gpus[one.gpu]?.uuid ?? "") === undefined) continue;
        history.push(one);
        feed(book, one, timeAt(history, history.length - 1));
        for (const device of devices) {
          const gpuUuid = gpus[device.gpu]?.uuid ?? "";
          assert.equal(book.isHealthy({ uuid: device.uuid, gpuUuid }), isHealthy(history, device), device.uuid);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
