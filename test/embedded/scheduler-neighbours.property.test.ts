/** Terms about other pods, against a twin that adds everything up anew for each question. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide } from "../../src/embedded/scheduler/pass.ts";
import type { Node, Pod } from "../../src/kube/index.ts";
import { clusterOf, nodeOf, podOf } from "./scheduler-support.ts";

const required = "requiredDuringSchedulingIgnoredDuringExecution";
const place = { app: fc.constantFrom("red", "blue"), key: fc.constantFrom("zone", "kubernetes.io/hostname") };
const term = fc.record(place);
const spread = fc.record({
  ...place,
  maxSkew: fc.integer({ min: 1, max: 2 }),
  minDomains: fc.integer({ min: 1, max: 4 }),
  nodeAffinityPolicy: fc.constantFrom("Honor", "Ignore"),
  nodeTaintsPolicy: fc.constantFrom("Honor", "Ignore"),
});
const pool = fc.constantFrom("x", "y");
const nodeShape = fc.record({
  gpus: fc.nat({ max: 4 }),
  zone: fc.option(fc.constantFrom("east", "west"), { freq: 4 }),
  pool,
  isTainted: fc.boolean(),
});
const podShape = fc.record({
  app: place.app,
  gpus: fc.nat({ max: 2 }),
  near: fc.array(term, { maxLength: 1 }),
  apart: fc.array(term, { maxLength: 1 }),
  spread: fc.array(spread, { maxLength: 2 }),
  pool: fc.option(pool),
  bearsTaints: fc.boolean(),
  on: fc.option(fc.nat({ max: 4 }), { freq: 3 }),
  isGoing: fc.boolean(),
});

type Shape<T> = T extends fc.Arbitrary<infer U> ? U : never;
type Term = Shape<typeof term>;
type PodShape = Shape<typeof podShape>;

interface TwinNode {
  readonly node: Node;
  readonly shape: Shape<typeof nodeShape>;
}

interface Placed {
  readonly shape: PodShape;
  readonly on: TwinNode;
  readonly isGoing: boolean;
}

function twinNode(shape: Shape<typeof nodeShape>, index: number): TwinNode {
  const labels = { pool: shape.pool, ...(shape.zone === null ? {} : { zone: shape.zone }) };
  const node = nodeOf(`n${index}`, shape.gpus, labels);
  return { shape, node: shape.isTainted ? { ...node, spec: { taints: [{ key: "t", effect: "NoSchedule" }] } } : node };
}

function podAs(shape: PodShape, name: string, on: string | undefined): Pod {
  const asTerm = ({ app, key }: Term): object => ({ labelSelector: { matchLabels: { app } }, topologyKey: key });
  const isGoing = on !== undefined && shape.isGoing;
  return podOf(name, shape.gpus, {
    labels: { app: shape.app },
    metadata: isGoing ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {},
    ...(on === undefined ? {} : { on }),
    spec: {
      affinity: {
        podAffinity: { [required]: shape.near.map(asTerm) },
        podAntiAffinity: { [required]: shape.apart.map(asTerm) },
      },
      topologySpreadConstraints: shape.spread.map(({ app, key, ...rest }) => {
        return { ...asTerm({ app, key }), ...rest, whenUnsatisfiable: "DoNotSchedule" };
      }),
      ...(shape.pool === null ? {} : { nodeSelector: { pool: shape.pool } }),
      ...(shape.bearsTaints ? { tolerations: [{ operator: "Exists" }] } : {}),
    },
  });
}

function labelOf({ node }: TwinNode, key: string): string | undefined {
  return node.metadata.labels?.[key];
}

/** Whether two nodes are one place under a key. */
function isSamePlace(key: string, a: TwinNode, b: TwinNode): boolean {
  return labelOf(a, key) !== undefined && labelOf(a, key) === labelOf(b, key);
}

function isSelected({ pool: wanted }: PodShape, { shape }: TwinNode): boolean {
  return wanted === null || wanted === shape.pool;
}

function isBorne({ bearsTaints }: PodShape, { shape }: TwinNode): boolean {
  return bearsTaints || !shape.isTainted;
}

function hasRoom(pod: PodShape, node: TwinNode, placed: readonly Placed[]): boolean {
  const used = placed.filter(({ on }) => on === node).reduce((sum, { shape }) => sum + shape.gpus, 0);
  return pod.gpus === 0 || used + pod.gpus <= node.shape.gpus;
}

function isEven(pod: PodShape, node: TwinNode, { nodes, placed }: Twin): boolean {
  return pod.spread.every(({ app, key, maxSkew, minDomains, nodeAffinityPolicy, nodeTaintsPolicy }) => {
    const counting = nodes.filter(
      (one) =>
        pod.spread.every((other) => labelOf(one, other.key) !== undefined) &&
        (nodeAffinityPolicy === "Ignore" || isSelected(pod, one)) &&
        (nodeTaintsPolicy === "Ignore" || isBorne(pod, one)),
    );
    const likeAt = (value: string | undefined): number =>
      placed.filter(({ shape, on, isGoing }) => {
        return shape.app === app && !isGoing && counting.includes(on) && labelOf(on, key) === value;
      }).length;
    const places = new Set(counting.map((one) => labelOf(one, key)));
    const least = places.size < minDomains ? 0 : Math.min(...[...places].map(likeAt));
    const value = labelOf(node, key);
    return value !== undefined && likeAt(value) + (pod.app === app ? 1 : 0) - least <= maxSkew;
  });
}

function isNear(pod: PodShape, node: TwinNode, placed: readonly Placed[]): boolean {
  if (pod.near.some(({ key }) => labelOf(node, key) === undefined)) return false;
  const meant = placed.filter(({ shape }) => pod.near.every(({ app }) => app === shape.app));
  if (pod.near.every(({ key }) => meant.some(({ on }) => isSamePlace(key, on, node)))) return true;
  const isFirst = !meant.some(({ on }) => pod.near.some(({ key }) => labelOf(on, key) !== undefined));
  return isFirst && pod.near.every(({ app }) => app === pod.app);
}

function isApart(pod: PodShape, node: TwinNode, placed: readonly Placed[]): boolean {
  return placed.every(({ shape, on }) => {
    const avoids = (one: PodShape, other: PodShape): boolean =>
      one.apart.some(({ app, key }) => app === other.app && isSamePlace(key, on, node));
    return !avoids(pod, shape) && !avoids(shape, pod);
  });
}

interface Twin {
  readonly nodes: readonly TwinNode[];
  readonly placed: Placed[];
}

function fits(pod: PodShape, node: TwinNode, twin: Twin): boolean {
  const { placed } = twin;
  const isAllowed = isSelected(pod, node) && isBorne(pod, node) && hasRoom(pod, node, placed);
  return isAllowed && isEven(pod, node, twin) && isNear(pod, node, placed) && isApart(pod, node, placed);
}

test("whatever pods ask of each other, each goes where it may, and waits only where nothing would do", () => {
  const nodes = fc.array(nodeShape, { minLength: 1, maxLength: 5 });
  const pods = fc.array(podShape, { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(nodes, pods, (nodeShapes, podShapes) => {
      const twin: Twin = { nodes: nodeShapes.map(twinNode), placed: [] };
      const all = podShapes.map((shape, index) => {
        const on = shape.on === null ? undefined : twin.nodes[shape.on];
        if (on !== undefined) twin.placed.push({ shape, on, isGoing: shape.isGoing });
        return podAs(shape, String(index), on?.node.metadata.name);
      });
      const state = clusterOf(
        twin.nodes.map(({ node }) => node),
        all,
      );
      for (const decision of decide(state)) {
        const { name } = decision.pod.metadata;
        const shape = podShapes[Number(name)];
        assert.ok(shape !== undefined);
        const open = twin.nodes.filter((node) => fits(shape, node, twin));
        if (decision.kind === "bind") {
          const on = open.find(({ node }) => node.metadata.name === decision.node);
          assert.ok(on !== undefined, `${name} may not go to ${decision.node}`);
          twin.placed.push({ shape, on, isGoing: false });
        } else {
          assert.deepEqual(open, [], `${name} waits but fits`);
        }
      }
    }),
    { numRuns: 400 },
  );
});
