import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Amounts,
  type ChooseInput,
  chooseConfigs,
  type PlannerConfig,
  type PlannerNode,
  type PlannerPod,
} from "../../src/planner/index.ts";
import { bruteForce, scoreOf } from "./brute-force.ts";

interface Node extends PlannerNode {
  /** What it offers under each config, `now` without. */
  readonly under: Readonly<Record<string, Amounts>>;
}

interface Pod extends PlannerPod {
  readonly only?: readonly string[];
}

type Input = ChooseInput<Node, PlannerConfig, Pod>;

function inputOf(nodes: readonly Node[], pods: readonly Pod[], configs: readonly string[]): Input {
  return {
    nodes,
    pods,
    configs: configs.map((name) => ({ name })),
    offersAfter: (node, config) => node.under[config?.name ?? "now"],
    mayRun: (pod, node) => pod.only === undefined || pod.only.includes(node.name),
  };
}

const a100 = {
  now: { gpu: 1 },
  "all-1g": { "mig-1g": 7 },
  "all-3g": { "mig-3g": 2 },
  mixed: { "mig-1g": 3, "mig-3g": 1 },
};
const configs = ["all-1g", "all-3g", "mixed"];

function nodeOf(name: string, under: Node["under"], extra: Partial<Node> = {}): Node {
  return { name, under, config: undefined, allocatable: { cpu: 8, pods: 100 }, used: {}, ...extra };
}

function podsOf(count: number, requests: Amounts, only?: readonly string[]): Pod[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `${Object.keys(requests).join("+")}-${index}`;
    return only === undefined ? { name, requests } : { name, requests, only };
  });
}

function chosen(input: Input): Record<string, string> {
  const plan = chooseConfigs(input);
  return Object.fromEntries(plan.choices.map(({ node, config }) => [node.name, config?.name ?? "stays"]));
}

const oneNode = [nodeOf("a", a100)];
const twoNodes = [nodeOf("a", a100), nodeOf("b", a100)];
const rows: { name: string; nodes: Node[]; pods: Pod[]; want: Record<string, string> }[] = [
  { name: "without pods nothing changes", nodes: twoNodes, pods: [], want: { a: "stays", b: "stays" } },
  {
    name: "pods that want whole GPUs leave nodes as they are",
    nodes: twoNodes,
    pods: podsOf(2, { gpu: 1 }),
    want: { a: "stays", b: "stays" },
  },
  {
    name: "one slice of each kind needs one node with both",
    nodes: twoNodes,
    pods: [...podsOf(1, { "mig-1g": 1 }), ...podsOf(1, { "mig-3g": 1 })],
    want: { a: "stays", b: "mixed" },
  },
  {
    name: "the config that creates less beyond the demand is taken",
    nodes: oneNode,
    pods: podsOf(1, { "mig-3g": 1 }),
    want: { a: "all-3g" },
  },
  {
    name: "more pods count more than fewer changes",
    nodes: twoNodes,
    pods: [...podsOf(7, { "mig-1g": 1 }), ...podsOf(2, { "mig-3g": 1 })],
    want: { a: "all-1g", b: "all-3g" },
  },
  {
    name: "a node that is labelled already stays",
    nodes: [nodeOf("a", { ...a100, now: { "mig-1g": 7 } }, { config: "all-1g" }), nodeOf("b", a100)],
    pods: podsOf(2, { "mig-3g": 1 }),
    want: { a: "stays", b: "all-3g" },
  },
  {
    name: "what a pod holds is kept",
    nodes: [nodeOf("a", { ...a100, now: { "mig-1g": 7 } }, { used: { "mig-1g": 2 } })],
    pods: [...podsOf(1, { "mig-3g": 1 }), ...podsOf(1, { gpu: 1 })],
    want: { a: "mixed" },
  },
  {
    name: "a config the node cannot take is not chosen",
    nodes: [nodeOf("a", { now: { gpu: 1 }, "all-1g": { "mig-1g": 4 } })],
    pods: podsOf(1, { "mig-3g": 1 }),
    want: { a: "stays" },
  },
  {
    name: "selectors decide which node is cut",
    nodes: twoNodes,
    pods: [...podsOf(7, { "mig-1g": 1 }, ["b"]), ...podsOf(1, { gpu: 1 })],
    want: { a: "stays", b: "all-1g" },
  },
  {
    name: "CPUs that are short keep pods away",
    nodes: [nodeOf("a", a100, { allocatable: { cpu: 2.5 } })],
    pods: [...podsOf(3, { "mig-1g": 1, cpu: 1 }), ...podsOf(2, { "mig-3g": 1, cpu: 0.5 })],
    want: { a: "mixed" },
  },
  {
    name: "between equals the first in the file is taken",
    nodes: [nodeOf("a", { now: {}, "all-3g": { "mig-3g": 1 }, "all-1g": { "mig-3g": 1 } })],
    pods: podsOf(1, { "mig-3g": 1 }),
    want: { a: "all-1g" },
  },
];
for (const { name, nodes, pods, want } of rows) {
  test(name, () => assert.deepEqual(chosen(inputOf(nodes, pods, configs)), want));
}

test("says in numbers what each change brings", () => {
  const pods = [...podsOf(7, { "mig-1g": 1 }), ...podsOf(2, { "mig-3g": 1 }), ...podsOf(1, { gpu: 1 }, ["c"])];
  const plan = chooseConfigs(inputOf([...twoNodes, nodeOf("c", { now: { gpu: 1 } })], pods, configs));
  assert.deepEqual(
    plan.choices.map(({ node, podsWith, podsWithout, offers }) => [node.name, podsWith, podsWithout, offers]),
    [
      ["a", 10, 3, { "mig-1g": 7 }],
      ["b", 10, 8, { "mig-3g": 2 }],
      ["c", 10, 10, { gpu: 1 }],
    ],
  );
  assert.deepEqual([plan.podsNow, plan.placements.length, plan.waiting, plan.exact], [1, 10, [], true]);
});

const obstacles = [
  { name: "no node admits it", pod: { name: "x", requests: {}, only: [] }, want: { kind: "no-node", nodes: 1 } },
  {
    name: "no config offers it",
    pod: { name: "x", requests: { "mig-2g": 1 } },
    want: { kind: "not-offered", resource: "mig-2g", nodes: 1 },
  },
  {
    name: "no node has so many",
    pod: { name: "x", requests: { "mig-1g": 9 } },
    want: { kind: "too-large", resource: "mig-1g", wanted: 9, most: 7 },
  },
  {
    name: "no config has all it wants at once",
    pod: { name: "x", requests: { "mig-1g": 4, "mig-3g": 1 } },
    want: { kind: "no-node-with-all", nodes: 1 },
  },
] satisfies { name: string; pod: Pod; want: unknown }[];
for (const { name, pod, want } of obstacles) {
  test(`a pod that waits is told why: ${name}`, () => {
    const { waiting } = chooseConfigs(inputOf(oneNode, [pod], configs));
    assert.deepEqual(waiting, [{ pod, obstacle: want }]);
  });
}

test("a pod that waits is told why: others took the place", () => {
  const { waiting } = chooseConfigs(inputOf(oneNode, podsOf(8, { "mig-1g": 1 }), configs));
  assert.deepEqual(
    waiting.map(({ obstacle }) => obstacle),
    [{ kind: "taken-by-others", nodes: 1 }],
  );
});

const resource = fc.constantFrom("gpu", "mig-1g", "mig-3g");
const amounts = fc.dictionary(resource, fc.integer({ min: 0, max: 3 }), { maxKeys: 3, noNullPrototype: true });
const randomNode = fc.record({
  under: fc.record(
    { now: amounts, "all-1g": amounts, "all-3g": amounts, mixed: amounts },
    { requiredKeys: ["now"], noNullPrototype: true },
  ),
  config: fc.option(fc.constant("all-1g"), { nil: undefined, freq: 6 }),
  allocatable: fc.record({ cpu: fc.integer({ min: 0, max: 4 }) }),
  used: fc.dictionary(resource, fc.integer({ min: 0, max: 1 }), { maxKeys: 1, noNullPrototype: true }),
});
const randomPod = fc.record(
  {
    requests: fc.dictionary(fc.constantFrom("gpu", "mig-1g", "mig-3g", "cpu"), fc.integer({ min: 0, max: 2 }), {
      maxKeys: 2,
      noNullPrototype: true,
    }),
    only: fc.uniqueArray(fc.constantFrom("node-0", "node-1", "node-2"), { maxLength: 3 }),
  },
  { requiredKeys: ["requests"] },
);
const randomInput = fc
  .tuple(fc.array(randomNode, { minLength: 1, maxLength: 3 }), fc.array(randomPod, { maxLength: 5 }))
  .map(([nodes, pods]) =>
    inputOf(
      nodes.map((node, index) => ({ ...node, name: `node-${index}` })) as Node[],
      pods.map((pod, index) => ({ ...pod, name: `pod-${index}` })),
      configs,
    ),
  );

test("chooses what trying everything chooses", () => {
  fc.assert(
    fc.property(randomInput, (input) => {
      const plan = chooseConfigs(input);
      const want = bruteForce(input as ChooseInput<PlannerNode, PlannerConfig, PlannerPod>);
      const order = plan.choices.map(({ config }) => (config === undefined ? -1 : configs.indexOf(config.name)));
      assert.deepEqual(order, want.order);
      assert.equal(plan.placements.length, want.placed);
      assert.equal(plan.exact, true);
      assert.equal(plan.placements.length + plan.waiting.length, input.pods.length);
    }),
    { numRuns: 300 },
  );
});

test("its placements fit, and its numbers without a change are true", () => {
  fc.assert(
    fc.property(randomInput, (input) => {
      const plan = chooseConfigs(input);
      const plain = input as ChooseInput<PlannerNode, PlannerConfig, PlannerPod>;
      const order = plan.choices.map(({ config }) => (config === undefined ? -1 : configs.indexOf(config.name)));
      for (const [index, { node, offers, podsWithout }] of plan.choices.entries()) {
        const left: Record<string, number> = { ...node.allocatable, ...offers };
        const guests = plan.placements.filter((one) => one.node === node).map(({ pod }) => pod);
        for (const { requests } of [{ requests: node.used }, ...guests]) {
          for (const [name, count] of Object.entries(requests)) left[name] = (left[name] ?? 0) - count;
        }
        for (const pod of guests) {
          assert.ok(input.mayRun(pod, node));
          for (const [name, count] of Object.entries(pod.requests)) assert.ok(count === 0 || (left[name] ?? 0) >= 0);
        }
        assert.equal(podsWithout, scoreOf(plain, order.with(index, -1))?.placed);
      }
    }),
    { numRuns: 100 },
  );
});

test("a fleet too large to try everything still gets what each pod needs", () => {
  const nodes = Array.from({ length: 40 }, (_, index) =>
    nodeOf(`node-${String(index).padStart(2, "0")}`, a100, { allocatable: { cpu: 8 + index, pods: 100 } }),
  );
  const pods = [
    ...podsOf(100, { "mig-1g": 1, cpu: 1 }),
    ...podsOf(20, { "mig-3g": 1, cpu: 1 }),
    ...podsOf(5, { gpu: 1, cpu: 1 }),
  ];
  const plan = chooseConfigs(inputOf(nodes, pods, configs));
  assert.deepEqual([plan.placements.length, plan.exact], [125, false]);
});
