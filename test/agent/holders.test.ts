import assert from "node:assert/strict";
import { test } from "node:test";
import { type AdmittedPod, HolderBook, uuidOf } from "../../src/agent/holders.ts";
import { VirtualClock } from "../../src/base/index.ts";
import type { Allocation } from "../../src/kubelet/index.ts";

/** A book over a list that a test writes: `ml/a GPU-0::1` is one allocation. */
class SmallBook {
  readonly clock = new VirtualClock(5_000);
  readonly book: HolderBook;
  shown: readonly string[] = [];
  /** What the Kubernetes API shows as admitted. */
  admitted: readonly AdmittedPod[] = [];
  /** Called while a list is on its way. */
  meanwhile: () => void = () => {};

  constructor() {
    this.book = new HolderBook({ list: () => this.#list() }, this.clock, () => this.admitted);
  }

  /** `GPU-0=ml/a,ml/b`. */
  async holders(): Promise<readonly string[]> {
    return [...(await this.book.holders())].map(([uuid, pods]) => `${uuid}=${pods.join()}`);
  }

  async #list(): Promise<readonly Allocation[]> {
    const allocations = this.shown.map((text): Allocation => {
      const [fullName = "", ids = ""] = text.split(" ");
      const [namespace = "", pod = ""] = fullName.split("/");
      return { namespace, pod, container: "main", resource: "nvidia.com/gpu", deviceIds: ids.split(",") };
    });
    this.meanwhile();
    return allocations;
  }
}

test("a device is held by every pod that the kubelet lists for it or for a share of it", async () => {
  const one = new SmallBook();
  one.shown = ["ml/b GPU-0::1", "ml/a GPU-0::0,GPU-1", "ml/a GPU-0::2", "ml/c MIG-7"];
  assert.deepEqual(await one.holders(), ["GPU-0=ml/a,ml/b", "GPU-1=ml/a", "MIG-7=ml/c"]);
});

test("a device that was handed out counts as held before the kubelet lists its pod", async () => {
  const one = new SmallBook();
  one.book.granted("nvidia.com/gpu", ["GPU-0::1", "MIG-7"]);
  assert.deepEqual(await one.holders(), ["GPU-0=(admitting)", "MIG-7=(admitting)"]);
});

test("once the kubelet lists the pod, the device is free as soon as the pod is gone", async () => {
  const one = new SmallBook();
  one.book.granted("nvidia.com/gpu", ["GPU-0"]);
  one.shown = ["ml/a GPU-0"];
  assert.deepEqual(await one.holders(), ["GPU-0=ml/a"]);
  one.shown = [];
  assert.deepEqual(await one.holders(), []);
});

test("a device whose pod never turns up is free after ten seconds", async () => {
  const one = new SmallBook();
  one.book.granted("nvidia.com/gpu", ["GPU-0"]);
  await one.clock.advance(10_000);
  assert.deepEqual(await one.holders(), ["GPU-0=(admitting)"]);
  await one.clock.advance(1);
  assert.deepEqual(await one.holders(), []);
});

test("a device handed out again is held anew for ten seconds", async () => {
  const one = new SmallBook();
  one.book.granted("nvidia.com/gpu", ["GPU-0"]);
  await one.clock.advance(9_000);
  one.book.granted("nvidia.com/gpu", ["GPU-0"]);
  await one.clock.advance(9_000);
  assert.deepEqual(await one.holders(), ["GPU-0=(admitting)"]);
});

test("a device handed out while a list is on its way stays held, though the list names its holder before", async () => {
  const one = new SmallBook();
  one.shown = ["ml/before GPU-0"];
  one.meanwhile = () => one.book.granted("nvidia.com/gpu", ["GPU-0"]);
  assert.deepEqual(await one.holders(), ["GPU-0=(admitting),ml/before"]);
  one.meanwhile = () => {};
  one.shown = [];
  assert.deepEqual(await one.holders(), ["GPU-0=(admitting)"]);
});

test("who holds what is unknown while the kubelet is away", async () => {
  const book = new HolderBook({ list: () => Promise.reject(new Error("away")) }, new VirtualClock());
  book.granted("nvidia.com/gpu", ["GPU-0"]);
  await assert.rejects(book.holders(), /away/);
});

test("a pod that a kubelet at its start leaves out holds what it held before", async () => {
  const one = new SmallBook();
  one.admitted = [{ name: "ml/a", uid: "1" }];
  one.shown = ["ml/a GPU-0,GPU-1"];
  await one.holders();
  one.shown = [];
  assert.deepEqual(await one.holders(), ["GPU-0=ml/a", "GPU-1=ml/a"]);
  one.shown = ["ml/a GPU-2"];
  assert.deepEqual(await one.holders(), ["GPU-2=ml/a"]);
  one.shown = [];
  one.admitted = [];
  assert.deepEqual(await one.holders(), []);
});

test("a later pod of the same name does not hold what the earlier one held", async () => {
  const one = new SmallBook();
  one.admitted = [{ name: "ml/a", uid: "1" }];
  one.shown = ["ml/a GPU-0"];
  await one.holders();
  one.admitted = [{ name: "ml/a", uid: "2" }];
  one.shown = ["ml/a GPU-1"];
  assert.deepEqual(await one.holders(), ["GPU-1=ml/a"]);
});

test("who holds what is unknown while the kubelet leaves out a pod that it never told of", async () => {
  const one = new SmallBook();
  one.admitted = [
    { name: "ml/a", uid: "1" },
    { name: "ml/b", uid: "2" },
  ];
  one.shown = ["ml/a GPU-0"];
  await assert.rejects(one.book.holders(), /does not tell yet what ml\/b holds/);
  one.shown = ["ml/a GPU-0", "ml/b GPU-1"];
  assert.deepEqual(await one.holders(), ["GPU-0=ml/a", "GPU-1=ml/b"]);
});

/** `pod ids` of each presumed allocation, and whether that is all. */
async function presumed({ book }: SmallBook): Promise<readonly string[]> {
  const { allocations, isComplete } = await book.presumed();
  const texts = allocations.map(({ pod, resource, deviceIds }) => `${pod} ${resource} ${deviceIds.join()}`);
  return isComplete ? texts : [...texts, "and others"];
}

test("what was handed out and is not listed yet is presumed held, under its resource", async () => {
  const one = new SmallBook();
  one.book.granted("nvidia.com/gpu.shared", ["GPU-0::1"]);
  one.shown = ["ml/a GPU-1"];
  assert.deepEqual(await presumed(one), ["a nvidia.com/gpu GPU-1", "(admitting) nvidia.com/gpu.shared GPU-0::1"]);
  one.shown = ["ml/a GPU-1", "ml/b GPU-0::1"];
  assert.deepEqual(await presumed(one), ["a nvidia.com/gpu GPU-1", "b nvidia.com/gpu GPU-0::1"]);
});

test("what a kubelet at its start leaves out is presumed held as before, or not known at all", async () => {
  const one = new SmallBook();
  one.admitted = [{ name: "ml/a", uid: "1" }];
  one.shown = ["ml/a GPU-0"];
  await presumed(one);
  one.shown = [];
  assert.deepEqual(await presumed(one), ["a nvidia.com/gpu GPU-0"]);
  one.admitted = [{ name: "ml/a", uid: "2" }];
  assert.deepEqual(await presumed(one), ["and others"]);
});

test("while the kubelet is away, what it told last is presumed", async () => {
  const one = new SmallBook();
  one.shown = ["ml/a GPU-0"];
  await presumed(one);
  one.meanwhile = () => {
    throw new Error("away");
  };
  assert.deepEqual(await presumed(one), ["a nvidia.com/gpu GPU-0", "and others"]);
});

const ids = [
  { id: "GPU-5", want: "GPU-5" },
  { id: "GPU-5::3", want: "GPU-5" },
  { id: "MIG-5::12", want: "MIG-5" },
];
for (const { id, want } of ids) test(`${id} is of ${want}`, () => assert.equal(uuidOf(id), want));
