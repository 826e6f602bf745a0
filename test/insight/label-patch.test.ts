/** The change of a Node that brings its feature labels about. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { MigStrategy } from "../../src/config/index.ts";
import { FEATURE_LABELS_ANNOTATION, featureLabelPatch, featureLabels } from "../../src/insight/index.ts";
import type { Node } from "../../src/kube/index.ts";
import { config, gpu } from "../sharing/fixtures.ts";

const nfdList = "nfd.node.kubernetes.io/feature-labels";
type Texts = Readonly<Record<string, string>>;

function node(labels: Texts, annotations: Texts = {}): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", labels: { ...labels }, annotations: { ...annotations } },
  };
}

/** As the API server does (RFC 7396). */
function patched(before: Node, { patch }: ReturnType<typeof featureLabelPatch>): Node {
  const merged = (old: Texts = {}, changes: Readonly<Record<string, string | null>> = {}): Record<string, string> => {
    const next = { ...old, ...changes };
    return Object.fromEntries(Object.entries(next).flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
  };
  const { labels, annotations } = before.metadata;
  return node(merged(labels, patch?.metadata.labels), merged(annotations, patch?.metadata.annotations));
}

function wanted(texts: Texts): ReadonlyMap<string, string> {
  return new Map(Object.entries(texts));
}

describe("whose labels are changed", () => {
  const own = { [FEATURE_LABELS_ANNOTATION]: "nvidia.com/gpu.count,nvidia.com/gpu.product" };
  const rows: readonly {
    readonly name: string;
    readonly labels: Texts;
    readonly annotations?: Texts;
    readonly wanted: Texts;
    readonly want: Texts;
    readonly leftToNfd?: readonly string[];
    readonly replaced?: readonly string[];
  }[] = [
    {
      name: "what is missing is written, the labels of others stay",
      labels: { zone: "a", "nvidia.com/mig.config": "all-balanced" },
      wanted: { "nvidia.com/gpu.count": "8" },
      want: { zone: "a", "nvidia.com/mig.config": "all-balanced", "nvidia.com/gpu.count": "8" },
    },
    {
      name: "a label of its own that no longer holds is taken away, another one under nvidia.com/ is not",
      labels: { "nvidia.com/gpu.count": "8", "nvidia.com/gpu.product": "A", "nvidia.com/gpu.present": "true" },
      annotations: own,
      wanted: { "nvidia.com/gpu.count": "4" },
      want: { "nvidia.com/gpu.count": "4", "nvidia.com/gpu.present": "true" },
    },
    {
      name: "a value set by hand gives way",
      labels: { "nvidia.com/gpu.count": "9" },
      wanted: { "nvidia.com/gpu.count": "8" },
      want: { "nvidia.com/gpu.count": "8" },
      replaced: ["nvidia.com/gpu.count"],
    },
    {
      name: "its own former value gives way without a word",
      labels: { "nvidia.com/gpu.count": "9" },
      annotations: own,
      wanted: { "nvidia.com/gpu.count": "8" },
      want: { "nvidia.com/gpu.count": "8" },
    },
    {
      name: "what Node Feature Discovery writes is left to it",
      labels: { "nvidia.com/gpu.count": "9", "nvidia.com/gpu.product": "A" },
      annotations: { [nfdList]: "cpu-model.id,nvidia.com/gpu.count", ...own },
      wanted: { "nvidia.com/gpu.count": "8" },
      want: { "nvidia.com/gpu.count": "9" },
      leftToNfd: ["nvidia.com/gpu.count"],
    },
    {
      name: "also when it has a name",
      labels: { "nvidia.com/gpu.count": "9" },
      annotations: { [`gpus.${nfdList}`]: "nvidia.com/gpu.count" },
      wanted: { "nvidia.com/gpu.count": "8" },
      want: { "nvidia.com/gpu.count": "9" },
      leftToNfd: ["nvidia.com/gpu.count"],
    },
    {
      name: "nothing is wanted any more",
      labels: { zone: "a", "nvidia.com/gpu.count": "8" },
      annotations: own,
      wanted: {},
      want: { zone: "a" },
    },
  ];
  for (const { name, labels, annotations, wanted: texts, want, leftToNfd = [], replaced = [] } of rows) {
    test(name, () => {
      const before = node(labels, annotations);
      const change = featureLabelPatch(before, wanted(texts));
      assert.deepEqual(patched(before, change).metadata.labels, want);
      assert.deepEqual(change.leftToNfd, leftToNfd);
      assert.deepEqual(change.replaced, replaced);
    });
  }

  test("a Node that is right is left alone", () => {
    const texts = { "nvidia.com/gpu.count": "8" };
    const right = patched(node({ zone: "a" }), featureLabelPatch(node({ zone: "a" }), wanted(texts)));
    assert.equal(featureLabelPatch(right, wanted(texts)).patch, undefined);
    assert.equal(featureLabelPatch(node({}), new Map()).patch, undefined);
  });
});

describe("after any sequence of layouts, configs and strategies", () => {
  const layouts = [undefined, "", "1g.10gb@0 1g.10gb@1", "2g.20gb@0 1g.10gb+me@2", "3g.40gb@4 2g.20gb@0(1c.2g.20gb)"];
  const situation = fc.record({
    layouts: fc.array(fc.constantFrom(...layouts), { maxLength: 3 }),
    strategy: fc.constantFrom<MigStrategy>("none", "single", "mixed"),
    share: fc.constantFrom<readonly string[]>([], ["gpu x4"], ["gpu x2", "mig-1g.10gb x3"]),
    timestamp: fc.option(fc.nat(), { nil: undefined }),
  });
  const names = ["zone", "nvidia.com/gpu.present", "nvidia.com/gpu.count", "nvidia.com/mig-1g.10gb.count"];

  test("the Node has the labels of the last one and those of others, and nothing else", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...names), fc.constantFrom("a", "1")),
        fc.array(situation, { minLength: 1, maxLength: 6 }),
        (foreign, situations) => {
          let now = node(foreign);
          let last: ReadonlyMap<string, string> = new Map();
          for (const { layouts: cut, strategy, share, timestamp } of situations) {
            last = featureLabels({
              nodeName: "n",
              gpus: cut.map((layout, index) => gpu(index, layout)),
              driverVersion: "550.107.02",
              facts: { cudaVersion: "12.4", pciClasses: new Map(), fabrics: new Map(), vgpuHost: "none" },
              config: config({ share }),
              migStrategy: strategy,
              machineType: undefined,
              timestamp,
            }).labels;
            now = patched(now, featureLabelPatch(now, last));
            // What a user set under a name that came to be wanted belongs to the agent from then on.
            for (const name of last.keys()) delete foreign[name];
            assert.deepEqual(now.metadata.labels, { ...foreign, ...Object.fromEntries(last) });
          }
          assert.equal(featureLabelPatch(now, last).patch, undefined);
        },
      ),
    );
  });
});
