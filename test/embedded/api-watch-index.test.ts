/** Watches of a field's value: each gets exactly what concerns it, however slowly it reads. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { silentLogger, VirtualClock } from "../../src/base/index.ts";
import type { ApiContext } from "../../src/embedded/api/context.ts";
import type { HttpResponse } from "../../src/embedded/api/http.ts";
import type { JsonObject } from "../../src/embedded/api/json.ts";
import { Registry } from "../../src/embedded/api/registry.ts";
import { rendererFor } from "../../src/embedded/api/render.ts";
import { parseSelectors } from "../../src/embedded/api/selectors.ts";
import { Store } from "../../src/embedded/api/store.ts";
import { builtInTypes } from "../../src/embedded/api/types.ts";
import { WatchHub } from "../../src/embedded/api/watch-hub.ts";

const PODS = "pods.";
const NAMES = ["p", "q", "r"];
const NODES = ["", "a", "b"];
const SELECTORS = ["", "spec.nodeName=a", "spec.nodeName=b", "spec.nodeName=a,metadata.name!=q", "spec.nodeName!=a"];

/** A client that reads when it is told to. */
class SlowClient extends Writable implements HttpResponse {
  statusCode = 200;
  headersSent = false;
  text = "";
  #reads = true;
  #pending: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1 });
  }

  setHeader(): void {}

  writeHead(): void {
    this.headersSent = true;
  }

  reads(reads: boolean): void {
    this.#reads = reads;
    if (!reads) return;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    if (this.#reads) done();
    else this.#pending = done;
  }
}

type Action =
  | { readonly kind: "write"; readonly name: string; readonly node: string }
  | { readonly kind: "delete" | "turn" | "compact"; readonly name: string }
  | { readonly kind: "open"; readonly selector: string; readonly reads: boolean }
  | { readonly kind: "reads"; readonly at: number; readonly reads: boolean };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      name: fc.constantFrom(...NAMES),
      node: fc.constantFrom(...NODES),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), name: fc.constantFrom(...NAMES) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("turn" as const), name: fc.constant("") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), name: fc.constant("") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("open" as const),
      selector: fc.constantFrom(...SELECTORS),
      reads: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("reads" as const), at: fc.nat(5), reads: fc.boolean() }),
  },
);

interface Client {
  readonly response: SlowClient;
  readonly selector: string;
}

class Stage {
  readonly context: ApiContext;
  readonly hub: WatchHub;
  readonly clients: Client[] = [];
  readonly #type = builtInTypes.find((one) => one.plural === "pods");

  constructor() {
    const registry = new Registry(builtInTypes);
    const common = { registry, clock: new VirtualClock(), log: silentLogger, readLogs: undefined };
    this.context = { ...common, store: new Store() };
    this.hub = new WatchHub(this.context);
  }

  async act(one: Action): Promise<void> {
    if (one.kind === "turn") await turn();
    else if (one.kind === "compact") this.context.store.collection(PODS).forget();
    else if (one.kind === "open") this.open(one.selector, one.reads);
    else if (one.kind === "reads") this.clients[one.at]?.response.reads(one.reads);
    else this.write(one.name, one.kind === "write" ? one.node : undefined);
  }

  /** `undefined` deletes the pod. */
  write(name: string, node: string | undefined): void {
    const { store } = this.context;
    const before = store.collection(PODS).find("d", name);
    const metadata = { name, namespace: "d" };
    const object: JsonObject = { metadata, spec: node === "" || node === undefined ? {} : { nodeName: node } };
    if (node === undefined && before !== undefined) store.remove(PODS, before.object, before);
    else if (node !== undefined && before !== undefined) store.replace(PODS, object, before);
    else if (node !== undefined) store.create(PODS, object);
  }

  open(selector: string, reads = true): void {
    assert.ok(this.#type !== undefined);
    const collection = this.context.store.collection(PODS);
    const selection = { namespace: undefined, ...parseSelectors(this.#type, "", selector) };
    const { filter = () => true } = selection;
    const renderer = rendererFor({ type: this.#type, form: "object", rowObject: "None", nowMs: () => 0 });
    const initial = collection.list(undefined).filter(filter);
    const rest = { renderer, initial, position: collection.end, bookmarks: true, initialEndRevision: undefined };
    const response = new SlowClient();
    response.reads(reads);
    this.hub.start(response, { type: this.#type, collection, selection, ...rest }, 1_000);
    this.clients.push({ response, selector });
  }

  /** Lets everyone read to the end. */
  async finish(): Promise<void> {
    for (const { response } of this.clients) response.reads(true);
    for (let count = 0; count < 5; count += 1) await turn();
  }

  /** `name@node` of what the selector selects now. */
  selected(selector: string): readonly string[] {
    assert.ok(this.#type !== undefined);
    const { filter = () => true } = parseSelectors(this.#type, "", selector);
    return this.context.store
      .collection(PODS)
      .list(undefined)
      .filter(filter)
      .map((one) => shown(one.object));
  }
}

function shown(object: unknown): string {
  const { metadata, spec } = object as { metadata: { name: string }; spec: { nodeName?: string } };
  return `${metadata.name}@${spec.nodeName ?? ""}`;
}

/** What a client knows after its events; undefined when it was told that it fell behind. */
function replay(text: string): readonly string[] | undefined {
  const known = new Map<string, string>();
  for (const line of text.split("\n").filter(Boolean)) {
    const { type, object } = JSON.parse(line);
    if (type === "ERROR") return undefined;
    if (type === "BOOKMARK") continue;
    const { name } = object.metadata;
    assert.equal(known.has(name), type !== "ADDED", `${type} ${name} in ${text}`);
    if (type === "DELETED") known.delete(name);
    else known.set(name, shown(object));
  }
  return [...known.values()].sort();
}

test("every watch ends with what its selector selects, whatever happens while it reads or does not", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 100 }), async (actions) => {
      const stage = new Stage();
      try {
        for (const one of actions) await stage.act(one);
        await stage.finish();
        for (const { response, selector } of stage.clients) {
          const known = replay(response.text);
          const mayBeBehind = actions.some(({ kind }) => kind === "compact");
          assert.ok(known !== undefined || mayBeBehind, "told to list again without a compaction");
          if (known !== undefined) assert.deepEqual(known, [...stage.selected(selector)].sort(), selector);
        }
      } finally {
        stage.hub.close();
      }
    }),
    { numRuns: 300 },
  );
});

test("a watch whose node is quiet outlives a history that has moved on", async () => {
  const stage = new Stage();
  stage.open("spec.nodeName=a");
  await turn();
  for (let count = 0; count < 10; count += 1) {
    stage.write("p", "b");
    await turn();
  }
  stage.context.store.collection(PODS).forget();
  stage.write("q", "a");
  await stage.finish();
  assert.deepEqual(replay(stage.clients[0]?.response.text ?? ""), ["q@a"]);
  stage.hub.close();
});

test("a slow watch is sent the rest of what it began with before it is told that it fell behind", async () => {
  const stage = new Stage();
  // Two of them fill what is handed to a connection at once.
  for (const name of NAMES) stage.write(name, "n".repeat(150_000));
  stage.open("", false);
  stage.write("p", "a");
  stage.context.store.collection(PODS).forget();
  await stage.finish();
  const { text = "", writableFinished } = stage.clients[0]?.response ?? {};
  const lines = text.split("\n").filter(Boolean);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).type),
    ["ADDED", "ADDED", "ADDED", "ERROR"],
  );
  assert.equal(writableFinished, true);
  stage.hub.close();
});
