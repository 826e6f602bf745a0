/** The journal: what a crash leaves, what damage is noticed, what a disk that fails does. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { type Finding, systemClock, VirtualClock } from "../../src/base/index.ts";
import { Journal, readKept } from "../../src/embedded/api/journal.ts";
import { readJournal } from "../../src/embedded/api/journal-lines.ts";
import type { JsonObject } from "../../src/embedded/api/json.ts";
import { type KeptState, Store } from "../../src/embedded/api/store.ts";
import { until } from "../support/until.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

const collections = ["pods.", "events.", "widgets.example.com"] as const;

/** One step of a random history. */
type Write =
  | { readonly kind: "put" | "remove"; readonly collection: string; readonly name: string; readonly value: string }
  /** Time for the disk. */
  | { readonly kind: "pause" };

const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("put" as const, "put" as const, "remove" as const),
      collection: fc.constantFrom(...collections),
      name: fc.constantFrom("a", "b", "c"),
      // Whatever people put into objects, line feeds and half characters among it.
      value: fc.string({ unit: "binary", maxLength: 12 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "pause" as const }) },
);

function toldNothing(one: Finding): void {
  assert.fail(one.message);
}

function objectOf(name: string, value: string): JsonObject {
  return { metadata: { namespace: "default", name }, value };
}

function apply(store: Store, one: Exclude<Write, { readonly kind: "pause" }>): void {
  const there = store.collection(one.collection).find("default", one.name);
  const object = objectOf(one.name, one.value);
  if (one.kind === "remove") {
    if (there !== undefined) store.remove(one.collection, there.object, there);
  } else if (there === undefined) store.create(one.collection, object);
  else store.replace(one.collection, object, there);
}

/** What a store holds, in a form that compares. */
function contents(store: Store): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...store.collections()].flatMap(([key, one]) => {
      const texts = one.list().map((version) => version.text);
      return texts.length === 0 ? [] : [[key, texts]];
    }),
  );
}

function contentsOf(state: KeptState): Record<string, readonly string[]> {
  const store = new Store();
  store.restore(state);
  return contents(store);
}

interface Recorded {
  readonly disk: MemoryDisk;
  /** Revision to what the store held then. */
  readonly states: ReadonlyMap<number, Record<string, readonly string[]>>;
  /** How many disk steps there were, and what had been confirmed by then. */
  readonly confirmed: readonly { readonly steps: number; readonly revision: number }[];
}

/** Carries out a history over a journal that is compacted every few writes. */
async function record(writes: readonly Write[], smallestGrowth: number): Promise<Recorded> {
  const disk = new MemoryDisk();
  const store = new Store();
  const journal = new Journal({
    path: "journal",
    kept: undefined,
    clock: systemClock,
    tell: toldNothing,
    disk,
    smallestGrowth,
  });
  const states = new Map<number, Record<string, readonly string[]>>();
  const confirmed: { steps: number; revision: number }[] = [];
  const note = (): void => void states.set(store.revision, contents(store));
  note();
  await journal.follow(store);
  for (const one of writes) {
    if (one.kind === "pause") {
      const { revision } = store;
      await journal.written();
      confirmed.push({ steps: disk.steps.length, revision });
      continue;
    }
    apply(store, one);
    note();
  }
  await journal.close();
  confirmed.push({ steps: disk.steps.length, revision: store.revision });
  return { disk, states, confirmed };
}

test("after a crash at any byte there is a prefix of the writes, with all that was confirmed", async () => {
  let compactions = 0;
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(write, { maxLength: 40, size: "max" }),
      fc.integer({ min: 0, max: 400 }),
      async (writes, growth) => {
        const { disk, states, confirmed } = await record(writes, growth);
        compactions += disk.steps.filter((one) => one.added === "").length - 1;
        for (const [index, { before, added }] of disk.steps.entries()) {
          const atLeast = Math.max(1, ...confirmed.filter((one) => one.steps <= index).map((one) => one.revision));
          const bytes = Buffer.from(added);
          for (let length = 0; length <= bytes.length; length++) {
            const read = readJournal(before + bytes.subarray(0, length).toString("utf8"));
            assert.ok(read.kind === "read", JSON.stringify(read));
            assert.deepEqual(contentsOf(read.state), states.get(read.state.revision));
            assert.ok(read.state.revision >= atLeast, "what was confirmed is lost");
            assert.equal(read.cutOff, length > 0 && bytes[length - 1] !== 10);
            cuts += 1;
          }
        }
        const whole = readJournal(disk.content);
        assert.ok(whole.kind === "read" && !whole.cutOff);
        assert.equal(whole.state.revision, Math.max(...states.keys()));
      },
    ),
    { numRuns: 25 },
  );
  assert.ok(compactions > 5 && cuts > 2_000, `${compactions} compactions, ${cuts} cuts`);
});

test("a byte that was changed before the last line is refused, one in the last line costs that line", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(write, { minLength: 4, maxLength: 10 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (writes, at, flip) => {
        const { disk, states } = await record(writes, 1_000_000);
        const bytes = Buffer.from(disk.content);
        const position = at % bytes.length;
        const lastLine = bytes.lastIndexOf(10, bytes.length - 2) + 1;
        bytes[position] = (bytes[position] ?? 0) ^ flip;
        const read = readJournal(bytes.toString("utf8"));
        if (position < lastLine - 1 || lastLine === 0) {
          assert.notEqual(read.kind, "read");
          return;
        }
        if (read.kind !== "read") return;
        assert.equal(read.cutOff, true);
        assert.deepEqual(contentsOf(read.state), states.get(read.state.revision));
      },
    ),
    { numRuns: 300 },
  );
});

test("a line that is missing, doubled or moved is noticed", async () => {
  const puts = ["a", "b", "c"].map((name) => ({ kind: "put" as const, collection: "pods.", name, value: "" }));
  const { disk } = await record([...puts, ...puts], 1_000_000);
  const lines = disk.content.split("\n").slice(0, -1);
  const variants = {
    missing: lines.toSpliced(2, 1),
    doubled: lines.toSpliced(2, 0, lines[2] ?? ""),
    moved: [...lines.slice(0, 2), lines[3], lines[2], ...lines.slice(4)],
  };
  const found = Object.entries(variants).map(([name, some]) => {
    const read = readJournal(`${some.join("\n")}\n`);
    return `${name}: ${read.kind === "damaged" ? `line ${read.line}: ${read.what}` : read.kind}`;
  });
  assert.deepEqual(found, [
    "missing: line 3: it has revision 4 where 3 is due",
    "doubled: line 4: it has revision 3 where 4 is due",
    "moved: line 3: it has revision 4 where 3 is due",
  ]);
});

async function directoryOf(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "journal-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

/** A journal on disk with one object in it. */
async function written(directory: string): Promise<{ readonly path: string; readonly lines: readonly string[] }> {
  const path = join(directory, "journal.jsonl");
  const journal = new Journal({ path, kept: undefined, clock: systemClock, tell: toldNothing });
  const store = new Store();
  await journal.follow(store);
  for (const name of ["a", "b"]) store.create("pods.", objectOf(name, "x"));
  assert.equal(await journal.close(), undefined);
  return { path, lines: (await readFile(path, "utf8")).split("\n").slice(0, -1) };
}

test("the file is for its owner only, has a line a change, and is shorter after the next start", async (t) => {
  const directory = await directoryOf(t);
  const { path, lines } = await written(directory);
  assert.equal(((await stat(path)).mode & 0o777).toString(8), "600");
  assert.equal(lines.length, 3);
  const kept = await readKept(path);
  assert.ok(kept.ok && kept.value !== undefined);
  const store = new Store();
  store.restore(kept.value);
  const journal = new Journal({ path, kept: kept.value, clock: systemClock, tell: toldNothing });
  await journal.follow(store);
  const a = store.collection("pods.").find("default", "a");
  assert.ok(a);
  store.remove("pods.", a.object, a);
  await journal.close();
  const again = await readKept(path);
  assert.ok(again.ok && again.value !== undefined);
  assert.deepEqual(contentsOf(again.value), contents(store));
  assert.deepEqual(await readdir(directory), ["journal.jsonl"]);
});

const unreadable = [
  {
    name: "a line in the middle was changed",
    change: (lines: readonly string[]) => lines.with(1, (lines[1] ?? "").replace('"x"', '"y"')),
    want: "journal-damaged: line 2 cannot be trusted: it does not fit its check sum",
  },
  {
    name: "a later format",
    change: (lines: readonly string[]) => lines.with(0, (lines[0] ?? "").replace('"version":1', '"version":2')),
    want: "journal-newer: it was written by a later version of Tranche (format 2)",
  },
  {
    name: "a file of something else",
    change: () => ["my notes"],
    want: "state-dir-unusable: FILE is a file of something else",
  },
  { name: "an empty file", change: () => [], want: "state-dir-unusable: FILE is a file of something else" },
];
for (const { name, change, want } of unreadable) {
  test(`${name}: refused with what to do, and left as it is`, async (t) => {
    const { path, lines } = await written(await directoryOf(t));
    const text = change(lines)
      .map((one) => `${one}\n`)
      .join("");
    await writeFile(path, text);
    const read = await readKept(path);
    assert.ok(!read.ok);
    const [one] = read.findings;
    assert.equal(`${one?.code}: ${one?.message}`.replaceAll(path, "FILE"), want);
    assert.notEqual(one?.remedy, "");
    assert.equal(await readFile(path, "utf8"), text);
  });
}

test("the remedy for a damaged line saves what stands before it", async (t) => {
  const { path, lines } = await written(await directoryOf(t));
  await writeFile(path, [...lines.slice(0, 2), "?", ...lines.slice(2)].map((one) => `${one}\n`).join(""));
  const read = await readKept(path);
  assert.match(read.ok ? "" : (read.findings[0]?.remedy ?? ""), /head -n 2 /);
  await writeFile(
    path,
    lines
      .slice(0, 2)
      .map((one) => `${one}\n`)
      .join(""),
  );
  const saved = await readKept(path);
  assert.ok(saved.ok && saved.value !== undefined);
  assert.deepEqual(Object.keys(contentsOf(saved.value)), ["pods."]);
});

test("a last line that was cut off is left out and told of", async (t) => {
  const { path, lines } = await written(await directoryOf(t));
  await writeFile(path, lines.join("\n").slice(0, -5));
  const read = await readKept(path);
  assert.ok(read.ok && read.value !== undefined);
  assert.deepEqual(
    read.findings.map((one) => one.code),
    ["journal-cut-off"],
  );
  assert.equal(contentsOf(read.value)["pods."]?.length, 1);
});

test("a disk that fails is told of once, holds up nobody, and gets everything when it is well again", async () => {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const told: Finding[] = [];
  const store = new Store();
  const journal = new Journal({
    path: "DIR/journal.jsonl",
    kept: undefined,
    clock,
    tell: (one) => told.push(one),
    disk,
  });
  await journal.follow(store);
  disk.fault = new Error("ENOSPC: no space left on device, write");
  for (const name of ["a", "b"]) {
    store.create("pods.", objectOf(name, ""));
    await journal.written();
  }
  assert.deepEqual(
    told.map((one) => `${one.code}: ${one.message}`),
    [
      "journal-not-written: cannot write DIR/journal.jsonl: ENOSPC: no space left on device, write; changes are kept in memory only",
    ],
  );
  await until("it waits for another try", () => clock.waiting > 0);
  await clock.advance(1_000);
  await until("it waits again", () => clock.waiting > 0);
  disk.fault = undefined;
  await clock.advance(1_000);
  await until("it is well again", () => told.length === 2);
  assert.equal(told[1]?.code, "journal-caught-up");
  store.create("pods.", objectOf("c", ""));
  assert.equal(await journal.close(), undefined);
  const read = readJournal(disk.content);
  assert.ok(read.kind === "read");
  assert.deepEqual(contentsOf(read.state), contents(store));
});

test("at the end a failed disk is tried once more, and what stays unwritten is told", async () => {
  for (const recovers of [true, false]) {
    const disk = new MemoryDisk();
    const store = new Store();
    const journal = new Journal({ path: "j", kept: undefined, clock: new VirtualClock(), tell: () => {}, disk });
    await journal.follow(store);
    disk.fault = new Error("EIO");
    store.create("pods.", objectOf("a", ""));
    await journal.written();
    if (recovers) disk.fault = undefined;
    assert.equal((await journal.close())?.code, recovers ? undefined : "journal-not-written");
    const read = readJournal(disk.content);
    assert.equal(read.kind === "read" && read.state.objects.size, recovers ? 1 : 0);
  }
});
