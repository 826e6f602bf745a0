/** When the live view draws, whom it asks, and what keys do. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { silentLogger, VirtualClock } from "../../../src/base/index.ts";
import type { Line, Terminal, TerminalListener } from "../../../src/cli/terminal.ts";
import { LiveView } from "../../../src/cli/up/live/view.ts";
import {
  type KubeApi,
  type KubeObject,
  type Node,
  type Pod,
  ResourceCache,
  resources,
} from "../../../src/kube/index.ts";
import { snapshot } from "../../insight/support/cluster.ts";
import { gpu } from "../../sharing/fixtures.ts";
import { until } from "../../support/until.ts";

/** A terminal that keeps what is drawn. */
class PaperTerminal implements Terminal {
  readonly hasKeys = true;
  readonly pictures: string[] = [];
  listener: TerminalListener | undefined;
  columns = 100;

  get last(): string {
    return this.pictures.at(-1) ?? "";
  }

  size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.columns, rows: 20 };
  }

  open(listener: TerminalListener): () => void {
    this.listener = listener;
    return () => {
      this.listener = undefined;
    };
  }

  draw(lines: readonly Line[]): void {
    this.pictures.push(lines.map((line) => line.map(({ text }) => text).join("")).join("\n"));
  }
}

/** A fleet that stands still. */
function stillFleet(count: number): Pick<KubeApi, "list" | "watch"> {
  const nodes = Array.from({ length: count }, (_, at) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node-${String(at).padStart(4, "0")}`, resourceVersion: "1" },
  }));
  return {
    list: async <T extends KubeObject>(type: { readonly plural: string }) => ({
      items: (type.plural === "nodes" ? nodes : []) as unknown as T[],
      resourceVersion: "1",
    }),
    watch: async function* (_type, options) {
      await new Promise((resolve) => options?.signal?.addEventListener("abort", resolve));
    },
  };
}

interface Started {
  readonly view: LiveView;
  readonly terminal: PaperTerminal;
  readonly clock: VirtualClock;
  readonly asked: string[];
  quits(): number;
  stop(): Promise<void>;
}

async function start(t: TestContext, nodes: number): Promise<Started> {
  const terminal = new PaperTerminal();
  const clock = new VirtualClock(1_000_000);
  const asked: string[] = [];
  let quits = 0;
  const api = stillFleet(nodes) as KubeApi;
  const caches = {
    nodes: new ResourceCache<Node>(api, resources.nodes, { clock }),
    pods: new ResourceCache<Pod>(api, resources.pods, { clock }),
  };
  const view = new LiveView({
    terminal,
    caches,
    clock,
    log: silentLogger,
    server: "https://127.0.0.1:1",
    kubeconfigPath: "/tmp/kubeconfig",
    gpus: nodes,
    simulated: true,
    findings: [],
    snapshot: async (name) => {
      asked.push(name);
      return snapshot(name, { gpus: [gpu(0)] });
    },
    onQuit: () => {
      quits += 1;
    },
  });
  const ending = new AbortController();
  const running = view.run(ending.signal);
  const stop = async (): Promise<void> => {
    ending.abort();
    await running;
  };
  t.after(stop);
  await until("the fleet is in view", async () => {
    await clock.advance(50);
    return terminal.last.includes("A100-SXM4-80GB");
  });
  return { view, terminal, clock, asked, quits: () => quits, stop };
}

test("a burst of changes costs one picture, and a change shows within a quarter of a second", async (t) => {
  const { view, terminal, clock } = await start(t, 2);
  await clock.advance(2_000);
  const before = terminal.pictures.length;
  for (let count = 1; count <= 100; count += 1) view.tell(`line ${count}`);
  await clock.advance(250);
  assert.match(terminal.last, /line 100/);
  assert.ok(terminal.pictures.length - before <= 2, `${terminal.pictures.length - before} pictures`);
});

test("steady changes are drawn a few times a second", async (t) => {
  const { view, terminal, clock } = await start(t, 2);
  const before = terminal.pictures.length;
  for (let ms = 0; ms < 3_000; ms += 10) {
    view.tell(`at ${ms}`);
    await clock.advance(10);
  }
  const count = terminal.pictures.length - before;
  assert.ok(count >= 9 && count <= 18, `${count} pictures in 3 s`);
});

test("of 1,000 nodes only the agents of those in view are asked", async (t) => {
  const { asked, terminal, clock } = await start(t, 1_000);
  await clock.advance(10_000);
  assert.ok(new Set(asked).size <= 20, `${new Set(asked).size} nodes`);
  assert.match(terminal.last, /1000 nodes/);
});

test("keys scroll nodes or pods, and q leaves", async (t) => {
  const { terminal, quits } = await start(t, 50);
  const press = (key: string): void => terminal.listener?.onKey(key);
  press("down");
  assert.match(terminal.last, /^node-0001/m);
  assert.doesNotMatch(terminal.last, /^node-0000/m);
  press("tab");
  press("down");
  assert.match(terminal.last, /^node-0001/m, "the nodes stay while the pods have the keys");
  press("tab");
  press("home");
  assert.match(terminal.last, /^node-0000/m);
  for (let count = 0; count < 30; count += 1) press("pagedown");
  assert.match(terminal.last, /^node-0049/m, "the end is the end");
  assert.equal(quits(), 0);
  press("q");
  assert.equal(quits(), 1);
});

test("a terminal of another size gets another picture at once", async (t) => {
  const { terminal } = await start(t, 2);
  terminal.columns = 30;
  terminal.listener?.onResize();
  for (const line of terminal.last.split("\n")) assert.ok(line.length <= 30, line);
});

test("when it ends, the terminal is given back", async (t) => {
  const { terminal, stop } = await start(t, 2);
  assert.notEqual(terminal.listener, undefined);
  await stop();
  assert.equal(terminal.listener, undefined);
});
