/** Which share ids stay on offer when a config offers fewer, or pods hold others than the first ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { heldElsewhere, overHeld, takenDevices, withHeldShares } from "../../src/agent/held-shares.ts";
import type { Allocation } from "../../src/kubelet/index.ts";
import type { Device, Offer } from "../../src/sharing/index.ts";

const resource = "nvidia.com/gpu";

/** `GPU-a 2 GPU-b 0`: two shares of one GPU, the other whole. */
function offer(text: string): Offer {
  const devices = [...text.matchAll(/(\S+) (\d+)/g)].flatMap(([, uuid = "", count = "0"]) =>
    count === "0"
      ? [device(uuid, uuid)]
      : Array.from({ length: Number(count) }, (_, at) => device(uuid, `${uuid}::${at}`)),
  );
  return { resource, devices, sharing: "time-slicing", failRequestsGreaterThanOne: false };
}

function device(uuid: string, id: string): Device {
  const common = { gpuUuid: uuid, gpuIndex: 0, index: "0", migProfile: undefined, memoryMiB: 1, numaNode: undefined };
  return { ...common, id, uuid, paths: [] };
}

function held(...ids: readonly string[]): readonly Allocation[] {
  return ids.map((id, at) => ({ namespace: "ml", pod: `p-${at}`, container: "main", resource, deviceIds: [id] }));
}

const idsOf = (offers: readonly Offer[]): string => offers.flatMap((one) => one.devices.map(({ id }) => id)).join(" ");

// As many as a kubelet takes; looking for each among all others would take minutes, at every turn.
test("a pod keeps its share of a GPU with very many", () => {
  const [kept] = withHeldShares([offer("GPU-a 65000")], held("GPU-a::70000"), [offer("GPU-a 65000")]);
  assert.equal(kept?.devices.length, 65_000);
  assert.equal(kept.devices.at(-1)?.id, "GPU-a::70000");
});

interface Row {
  readonly name: string;
  readonly offer: string;
  readonly held: readonly string[];
  readonly before?: string;
  readonly want: string;
}

const rows: readonly Row[] = [
  { name: "nobody holds anything", offer: "GPU-a 2", held: [], want: "GPU-a::0 GPU-a::1" },
  { name: "what is held is among the first", offer: "GPU-a 2", held: ["GPU-a::1"], want: "GPU-a::0 GPU-a::1" },
  { name: "a later one is held", offer: "GPU-a 2", held: ["GPU-a::7"], want: "GPU-a::0 GPU-a::7" },
  {
    name: "held ids stay on their own GPU",
    offer: "GPU-a 2 GPU-b 2",
    held: ["GPU-b::5", "GPU-b::1"],
    want: "GPU-a::0 GPU-a::1 GPU-b::5 GPU-b::1",
  },
  { name: "more are held than offered", offer: "GPU-a 1", held: ["GPU-a::3", "GPU-a::4"], want: "GPU-a::3" },
  { name: "more than before", offer: "GPU-a 3", before: "GPU-a 2", held: [], want: "GPU-a::0 GPU-a::1 GPU-a::2" },
  {
    name: "a whole GPU bears the id of the share that is held",
    offer: "GPU-a 0",
    held: ["GPU-a::3"],
    want: "GPU-a::3",
  },
  { name: "and its own once nobody holds that", offer: "GPU-a 0", before: "GPU-a 4", held: [], want: "GPU-a" },
  {
    name: "a pod that has the whole GPU has one of its shares",
    offer: "GPU-a 2",
    held: ["GPU-a"],
    want: "GPU-a::0 GPU-a",
  },
  {
    name: "no share is the whole GPU for anybody else",
    offer: "GPU-a 2",
    before: "GPU-a 0",
    held: [],
    want: "GPU-a::0 GPU-a::1",
  },
];
for (const { name, offer: text, held: ids, before, want } of rows) {
  test(name, () =>
    assert.equal(idsOf(withHeldShares([offer(text)], held(...ids), before === undefined ? [] : [offer(before)])), want),
  );
}

test("an id that was given back stays on offer, as the kubelet may be giving it to a pod", () => {
  const first = withHeldShares([offer("GPU-a 2")], held("GPU-a::6", "GPU-a::7"), []);
  assert.equal(idsOf(first), "GPU-a::6 GPU-a::7");
  assert.equal(idsOf(withHeldShares([offer("GPU-a 2")], held("GPU-a::7"), first)), "GPU-a::7 GPU-a::6");
});

test("whatever is held, each GPU has as many ids as before, each once, and no held id gives way to a free one", () => {
  const ids = fc.uniqueArray(fc.constantFrom(..."ab").chain((gpu) => fc.nat(9).map((at) => `GPU-${gpu}::${at}`)));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), ids, (a, b, all) => {
      const before = offer(`GPU-a ${a} GPU-b ${b}`);
      const [after] = withHeldShares([before], held(...all), []);
      assert.ok(after);
      assert.deepEqual(
        after.devices.map(({ uuid }) => uuid),
        before.devices.map(({ uuid }) => uuid),
      );
      const listed = after.devices.map(({ id }) => id);
      assert.equal(new Set(listed).size, listed.length);
      for (const id of all.filter((one) => !listed.includes(one))) {
        const own = after.devices.filter(({ uuid }) => id.startsWith(`${uuid}::`));
        assert.ok(
          own.every((one) => all.includes(one.id)),
          `${id} gave way to a free one`,
        );
      }
    }),
  );
});

const elsewhere = [
  { name: "a share held under another name takes one place", offer: "GPU-a 3", held: ["GPU-a::0"], want: "GPU-a::2" },
  {
    name: "a whole GPU held in shares goes to nobody",
    offer: "GPU-a 0 GPU-b 0",
    held: ["GPU-a::0", "GPU-a::1"],
    want: "GPU-a",
  },
  {
    name: "more holders than places leave none",
    offer: "GPU-a 2",
    held: ["GPU-a::0", "GPU-a::1", "GPU-a::2"],
    want: "GPU-a::0 GPU-a::1",
  },
  { name: "what this name has is its own", offer: "GPU-a 2", own: ["GPU-a::1"], held: ["GPU-a::7"], want: "GPU-a::0" },
];
for (const { name, offer: text, own = [], held: ids, want } of elsewhere) {
  test(name, () => {
    const others = held(...ids).map((one) => ({ ...one, resource: "nvidia.com/gpu.shared" }));
    const taken = takenDevices([offer(text)], [...held(...own), ...others]);
    assert.equal([...taken].map(({ id }) => id).join(" "), want);
    const [found] = heldElsewhere([offer(text)], [...held(...own), ...others], "node-a");
    assert.match(found?.message ?? "", /nvidia\.com\/gpu now are held as nvidia\.com\/gpu\.shared by ml\/p-0/);
  });
}

test("a GPU that is offered under two names has its shares under both", () => {
  const other = { ...offer("GPU-a 2"), resource: "nvidia.com/small" };
  const offers = [offer("GPU-a 2"), other];
  assert.equal(takenDevices(offers, held("GPU-a::0", "GPU-a::1")).size, 0);
  assert.deepEqual(heldElsewhere(offers, held("GPU-a::0"), "node-a"), []);
});

test("says how many have to end when more is held than offered", () => {
  const [found] = overHeld([offer("GPU-a 2")], held("GPU-a::0", "GPU-a::3", "GPU-a::4"), "node-a");
  assert.match(found?.message ?? "", /hold 3 of nvidia\.com\/gpu, and it has 2 now; .* until 2 have ended$/);
  assert.deepEqual(overHeld([offer("GPU-a 2")], held("GPU-a::0", "GPU-a::3"), "node-a"), []);
});
