/** Pictures of the live view: how they look, and that they keep to the terminal whatever there is to show. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { finding } from "../../../src/base/index.ts";
import type { View } from "../../../src/cli/up/live/assemble.ts";
import { frame } from "../../../src/cli/up/live/frame.ts";
import type { LiveGpu, LiveState, Size } from "../../../src/cli/up/live/state.ts";
import { podOf, snapshot } from "../../insight/support/cluster.ts";
import { gpu } from "../../sharing/fixtures.ts";
import { pictureOf, readyNode, smallInput, stateAt } from "./support/small-view.ts";

const rows: readonly { name: string; size: Size; view?: Partial<View>; want: string }[] = [
  {
    name: "wide: what a GPU is cut into stands beside it",
    size: { columns: 120, rows: 30 },
    want: `\
tranche up  2 nodes, 4 GPUs (simulated); 4 of 5 pods running, 1 pending.                          ↑↓ nodes  Tab  q quits
export KUBECONFIG=/tmp/tranche-AbCdEf/kubeconfig   https://127.0.0.1:40123

node-a100  mig.config mixed: pending
  0 A100-SXM4-80GB █░░░░░░░░░░░  8.0/80.0 GiB slice-in-use ●1g a │······│●2g.20gb 1/2 │○3g.40gb
  1 A100-SXM4-80GB ░░░░░░░░░░░░  0.0/80.0 GiB ok           ······│······│······│······│······│······│······│······
node-t4  cordoned  1 nvidia.com/gpu unavailable
  0 Tesla T4       ████████████ 14.6/15.0 GiB ok           ● 2 of 4 time slices ml/c ml/d
  1 Tesla T4       ░░░░░░░░░░░░  0.0/15.0 GiB ok           ○ whole GPU free

POD   STATE                  NODE       DEVICES                   AGE
ml/a  Running                node-a100  1 nvidia.com/mig-1g.10gb  120m
ml/b  Running                node-a100  1 nvidia.com/mig-2g.20gb  3m20s
ml/c  Running                node-t4    1 nvidia.com/gpu.shared   65s
ml/d  Running                node-t4    1 nvidia.com/gpu.shared   64s
ml/e  Pending Unschedulable  -          -                         5s

warning slice-in-use: node-a100 GPU 0: 1g.10gb@0 is held by pod ml/a
  → delete the pod
warning pod-unschedulable: ml/e: no node fits: 0/2 nodes are available: 2 Insufficient nvidia.com/mig-1g.10gb; held by …
  → wait until one of the holders ends, or offer more of it

65s    pod ml/c Running on node-t4
4s     pod ml/e FailedScheduling: 0/2 nodes are available`,
  },
  {
    name: "80 × 24: it stands below, and what does not fit is counted",
    size: { columns: 80, rows: 24 },
    want: `\
tranche up  2 nodes, 4 GPUs (simulated); 4 of 5 pods running, 1 pending.
export KUBECONFIG=/tmp/tranche-AbCdEf/kubeconfig   https://127.0.0.1:40123

node-a100  mig.config mixed: pending
  0 A100-SXM4-80GB █░░░░░░░  8.0/80.0 GiB slice-in-use
    ●1g a   │········│●2g.20gb 1 of 2  │○3g.40gb
  1 A100-SXM4-80GB ░░░░░░░░  0.0/80.0 GiB ok
    ········│········│········│········│········│········│········│········
node-t4  cordoned  1 nvidia.com/gpu unavailable
  0 Tesla T4       ████████ 14.6/15.0 GiB ok
    ● 2 of 4 time slices ml/c ml/d
… 1 GPU more

POD   STATE                  NODE       DEVICES                   AGE
ml/a  Running                node-a100  1 nvidia.com/mig-1g.10gb  120m
ml/b  Running                node-a100  1 nvidia.com/mig-2g.20gb  3m20s
ml/c  Running                node-t4    1 nvidia.com/gpu.shared   65s
ml/d  Running                node-t4    1 nvidia.com/gpu.shared   64s
ml/e  Pending Unschedulable  -          -                         5s

warning slice-in-use: node-a100 GPU 0: 1g.10gb@0 is held by pod ml/a
  → delete the pod

4s     pod ml/e FailedScheduling: 0/2 nodes are available`,
  },
  {
    name: "40 × 10: every part has its share",
    size: { columns: 40, rows: 10 },
    want: `\
tranche up  2 nodes, 4 GPUs (simulated)…
export KUBECONFIG=/tmp/tranche-AbCdEf/ku
beconfig
node-a100  mig.config mixed: pending
  0 A10… █░░░  8.0/80.0 GiB slice-in-use
… 1 GPU and 1 node more
ml/a  Running  node-a1…  1 nvidi…  120m
ml/b  Running  node-a1…  1 nvidi…  3m20s
… 3 pods more
warning slice-in-use: node-a100 GPU 0: …`,
  },
  {
    name: "scrolled: what is above is counted too",
    size: { columns: 80, rows: 12 },
    view: { nodeOffset: 1, podOffset: 2 },
    want: `\
tranche up  2 nodes, 4 GPUs (simulated); 4 of 5 pods running, 1 pending.
export KUBECONFIG=/tmp/tranche-AbCdEf/kubeconfig   https://127.0.0.1:40123
node-t4  cordoned  1 nvidia.com/gpu unavailable
  0 Tesla T4 ████████ 14.6/15.0 GiB ok ● 2 of 4 time slices ml/c ml/d
  1 Tesla T4 ░░░░░░░░  0.0/15.0 GiB ok ○ whole GPU free
… 1 above
POD   STATE    NODE     DEVICES                  AGE
ml/c  Running  node-t4  1 nvidia.com/gpu.shared  65s
ml/d  Running  node-t4  1 nvidia.com/gpu.shared  64s
… 1 pod more, 2 above
warning slice-in-use: node-a100 GPU 0: 1g.10gb@0 is held by pod ml/a
4s     pod ml/e FailedScheduling: 0/2 nodes are available`,
  },
];
for (const { name, size, view, want } of rows) {
  test(name, () => assert.equal(pictureOf(stateAt(size, view), size), want));
}

test("a node whose agent has not told yet is there with its name", () => {
  const size = { columns: 80, rows: 24 };
  const picture = pictureOf(stateAt(size, {}, { snapshots: new Map() }), size);
  assert.match(picture, /^node-a100 {2}its agent has not told yet$/m);
});

test("a path with a space is shown as a shell takes it", () => {
  const size = { columns: 80, rows: 24 };
  const picture = pictureOf(stateAt(size, {}, { kubeconfigPath: "/tmp/my clusters/kubeconfig" }), size);
  assert.match(picture, /^export KUBECONFIG='\/tmp\/my clusters\/kubeconfig' {3}/m);
});

test("of a fleet only what fits is shown, and the rest is counted", () => {
  const size = { columns: 110, rows: 20 };
  const told = Array.from({ length: 1000 }, (_, at) =>
    snapshot(`node-${String(at).padStart(3, "0")}`, { gpus: [gpu(0), gpu(1)] }),
  );
  const nodes = told.map((one) => readyNode(one));
  const pods = Array.from({ length: 500 }, (_, at) => podOf(`ml/pod-${String(at).padStart(3, "0")}`));
  const snapshots = new Map(told.map((one) => [one.node, one]));
  const picture = pictureOf(stateAt(size, { nodeOffset: 990 }, { nodes, pods, snapshots, gpus: 2000 }), size);
  assert.match(picture, /1000 nodes, 2000 GPUs \(simulated\); 500 of 500 pods running/);
  assert.match(picture, /^node-990\n {2}0 .*\n {2}1 .*\nnode-991\n {2}0 .*\n {2}1 .*\n… 8 nodes more, 990 above$/m);
  assert.match(picture, /^ml\/pod-000 .*(\nml\/pod-.*)*\n… 49\d pods more$/m);
});

/** Each with the cells a terminal gives it (UAX #11); the last ones are marks and controls. */
const ALPHABET: Readonly<Record<string, number>> = {
  a: 1,
  "-": 1,
  é: 1,
  漢: 2,
  か: 2,
  한: 2,
  "😀": 2,
  "🚀": 2,
  "（": 2,
  // A mark that takes a place of its own (general category Mc), unlike the accent below.
  "\u093e": 1,
  "\u0301": 0,
  "\u200d": 0,
  "\ufe0f": 0,
  "\u202e": 0,
  "\u001b": 0,
  "\n": 0,
};
const OTHERS = /[\x20-\x7e█░●○·│…→↑↓]/u;

const UNSAFE = ["\u001b", "\n", "\u202e", "\u200d", "\ufe0f"];

function cellsOf(text: string): number {
  let cells = 0;
  for (const character of text) {
    const known = ALPHABET[character] ?? (OTHERS.test(character) ? 1 : undefined);
    assert.ok(known !== undefined, `U+${character.codePointAt(0)?.toString(16)} comes from nowhere`);
    cells += known;
  }
  return cells;
}

const word = fc.string({ unit: fc.constantFrom(...Object.keys(ALPHABET)), maxLength: 60 });
const size = fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) });
const holder = fc.option(word, { nil: null });

const liveGpu: fc.Arbitrary<LiveGpu> = fc
  .record({
    layout: fc.constantFrom(undefined, "", "1g.10gb@0 2g.20gb@2 3g.40gb@4", "7g.80gb@0"),
    model: word,
    pod: holder,
    usedMiB: fc.integer({ min: 0, max: 200_000 }),
    trouble: fc.boolean(),
  })
  .map(({ layout, model, pod, usedMiB, trouble }) => {
    const told = snapshot("n", { gpus: [gpu(0, layout)] });
    const input = smallInput({ nodes: [readyNode(told)], snapshots: new Map([["n", told]]), pods: [] });
    const known = stateAt({ columns: 80, rows: 9 }, {}, input).nodes.items[0]?.gpus?.[0];
    assert.ok(known !== undefined);
    const shares = known.shares.map((one) => ({ ...one, pod }));
    const instances = known.instances.map((one) => ({ ...one, pod }));
    const troubles = trouble ? [finding("driver-call-failed", { kind: "gpu", name: "n GPU 0" }, "no")] : [];
    return { ...known, model, shares, instances, usedMiB, troubles };
  });

const liveState: fc.Arbitrary<LiveState> = fc
  .record({
    summary: word,
    kubeconfigPath: word,
    nodes: fc.array(
      fc.record({
        name: word,
        notes: fc.array(word, { maxLength: 2 }),
        migConfig: fc.option(word, { nil: undefined }),
        gpus: fc.option(fc.array(liveGpu, { maxLength: 4 }), { nil: undefined }),
      }),
      { maxLength: 6 },
    ),
    pods: fc.array(fc.record({ namespace: word, name: word, reason: word, node: word }), { maxLength: 12 }),
    findings: fc.array(fc.record({ message: word, remedy: word }), { maxLength: 3 }),
    log: fc.array(word, { maxLength: 8 }),
    more: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ nodes, pods, findings, log, more, ...rest }) => ({
    ...rest,
    server: "https://127.0.0.1:1",
    nodes: { total: nodes.length + 2 * more, offset: more, items: nodes },
    pods: {
      total: pods.length + 2 * more,
      offset: more,
      items: pods.map((pod) => ({ ...pod, phase: "Pending", message: "", containers: [], createdMs: 0 })),
    },
    findings: findings.map(({ message, remedy }) =>
      finding("not-settled", { kind: "cluster", name: message }, message, { remedy }),
    ),
    log: log.map((text) => ({ atMs: 0, text })),
    nowMs: 5_000,
    focus: "nodes",
  }));

test("no picture has a line wider than the terminal, or more lines than it, whatever there is to show", () => {
  fc.assert(
    fc.property(liveState, size, (state, terminal) => {
      const lines = frame(state, terminal).map((line) => line.map(({ text }) => text).join(""));
      assert.ok(lines.length <= terminal.rows, `${lines.length} lines`);
      for (const line of lines) {
        assert.ok(cellsOf(line) <= terminal.columns, `${cellsOf(line)} cells: ${JSON.stringify(line)}`);
        // Nothing that moves the cursor or turns the writing gets through.
        for (const unsafe of UNSAFE) assert.ok(!line.includes(unsafe), JSON.stringify(line));
      }
    }),
    { numRuns: 300 },
  );
});
