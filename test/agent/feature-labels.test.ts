/** The agent keeps its node labelled, on the Node or through a file. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  FeatureLabeller,
  type FeatureLabellerOptions,
  type FeatureLabelSettings,
  type LabelledState,
  machineTypeReader,
} from "../../src/agent/feature-labels.ts";
import { silentLogger, VirtualClock } from "../../src/base/index.ts";
import type { ClusterPolicyConfig, FeatureFlags, MigStrategy } from "../../src/config/index.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import { FEATURE_LABELS_ANNOTATION } from "../../src/insight/index.ts";
import { KubeError, type Node } from "../../src/kube/index.ts";
import { type ConfigParts, config, gpu, gpus, place, settings } from "../sharing/fixtures.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type Texts = Readonly<Record<string, string>>;

/** An API server with one Node, its agent and what that looks at. */
class LabelledNode {
  readonly clock = new VirtualClock(1_724_632_719_500);
  readonly driver: SimulatedDriver;
  /** The Node after each change, the newest last. */
  readonly versions: Node[];
  away = false;
  #seen = 0;
  labeller: FeatureLabeller;

  constructor(labels: Texts = {}, own: Partial<FeatureLabelSettings> = {}) {
    const model = modelById("a100-sxm4-80gb") ?? assert.fail();
    this.driver = new SimulatedDriver({ models: [model], seed: "node-a", driverVersion: "550.107.02" });
    this.versions = [{ apiVersion: "v1", kind: "Node", metadata: { name: "node-a", labels: { ...labels } } }];
    this.labeller = this.startAgent(own);
  }

  /** Another agent, which knows nothing of the one before. */
  startAgent(own: Partial<FeatureLabelSettings> = {}): FeatureLabeller {
    const { clock, driver } = this;
    const api: FeatureLabellerOptions["api"] = {
      mergePatch: async (_type, _ref, patch) => {
        if (this.away) throw new KubeError("the server is away", { status: 503, reason: "ServiceUnavailable" });
        this.versions.push(merged(this.node, patch));
        return JSON.parse(JSON.stringify(this.node));
      },
    };
    const readMachineType = async (path: string) =>
      path === "/sys/class/dmi/id/product_name" ? "DGX A100\n" : undefined;
    this.labeller = new FeatureLabeller({
      node: "node-a",
      driver,
      api,
      clock,
      log: silentLogger,
      readMachineType,
      ...own,
    });
    return this.labeller;
  }

  get node(): Node {
    return this.versions.at(-1) ?? assert.fail();
  }

  get labels(): Texts {
    return this.node.metadata.labels ?? {};
  }

  /** One turn, in which the agent sees the Node as it was `lag` changes ago, but never older than it saw it before. */
  update(parts: Partial<LabelledState>, lag = 0): ReturnType<FeatureLabeller["update"]> {
    this.#seen = Math.max(this.#seen, this.versions.length - 1 - lag);
    const node = this.versions[this.#seen] ?? assert.fail();
    return this.labeller.update({ node, gpus: gpus(1), desired: desired({}), ...parts });
  }
}

/** The Node with a JSON merge patch of labels and annotations applied (RFC 7396). */
function merged(node: Node, patch: unknown): Node {
  const { metadata }: { readonly metadata: Record<"labels" | "annotations", Record<string, string | null>> } =
    JSON.parse(JSON.stringify(patch));
  const texts = (before: Texts = {}, changes: Record<string, string | null>): Record<string, string> =>
    Object.fromEntries(
      Object.entries({ ...before, ...changes }).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
    );
  const { name, labels, annotations } = node.metadata;
  return {
    ...node,
    metadata: { name, labels: texts(labels, metadata.labels), annotations: texts(annotations, metadata.annotations) },
  };
}

interface DesiredParts extends ConfigParts {
  readonly strategy?: MigStrategy;
  readonly gfd?: FeatureFlags;
  readonly policy?: Partial<ClusterPolicyConfig["gfd"]>;
}

function desired({ strategy = "mixed", gfd, policy, ...parts }: DesiredParts): LabelledState["desired"] {
  const whole: ClusterPolicyConfig = {
    name: "cluster-policy",
    migStrategy: undefined,
    migManager: { enabled: true, configName: undefined, configDefault: undefined },
    devicePlugin: { enabled: true, configName: undefined, configDefault: undefined, env: new Map(), mpsRoot: "" },
    gfd: { enabled: true, env: new Map(), ...policy },
    cdiEnabled: true,
    place,
  };
  return {
    policy: policy === undefined ? undefined : whole,
    pluginConfig: { ...config(parts), flags: gfd === undefined ? {} : { gfd } },
    settings: { ...settings, migStrategy: strategy },
  };
}

describe("labels on the Node", () => {
  test("a fresh node gets versions, machine and GPUs, and keeps its own labels", async () => {
    const node = new LabelledNode({ zone: "a" });
    assert.deepEqual(await node.update({ gpus: await node.driver.list() }), []);
    assert.partialDeepStrictEqual(node.labels, {
      zone: "a",
      "nvidia.com/cuda.driver-version.full": "550.107.02",
      "nvidia.com/cuda.runtime-version.full": "12.4",
      "nvidia.com/gfd.timestamp": "1724632719",
      "nvidia.com/gpu.machine": "DGX-A100",
      "nvidia.com/gpu.mode": "compute",
      "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
      "nvidia.com/vgpu.present": "false",
    });
  });

  test("the time stays until another label changes, and nothing is written meanwhile", async () => {
    const node = new LabelledNode();
    await node.update({});
    await node.clock.advance(3_600_000);
    await node.update({});
    assert.equal(node.versions.length, 2);
    await node.update({ gpus: [gpu(0, "1g.10gb@0")] });
    assert.equal(node.labels["nvidia.com/gfd.timestamp"], "1724636319");
  });

  test("an agent that starts anew finds the labels right, and keeps their time unless they are not", async () => {
    const node = new LabelledNode();
    await node.update({});
    await node.clock.advance(3_600_000);
    node.startAgent();
    await node.update({});
    assert.equal(node.versions.length, 2);
    node.startAgent();
    await node.update({ gpus: gpus(2) });
    assert.equal(node.labels["nvidia.com/gfd.timestamp"], "1724636319");
  });

  test("no time is written when none is wanted", async () => {
    const node = new LabelledNode();
    await node.update({});
    await node.update({ desired: desired({ gfd: { noTimestamp: true } }) });
    assert.equal(node.labels["nvidia.com/gfd.timestamp"], undefined);
    assert.equal(node.labels["nvidia.com/gpu.count"], "1");
  });

  test("labels stay as they are while the driver is away, and go when the policy wants none", async () => {
    const node = new LabelledNode({ zone: "a" });
    await node.update({});
    node.startAgent();
    node.driver.unload();
    await node.update({ gpus: [] });
    assert.equal(node.labels["nvidia.com/gpu.count"], "1");
    await node.update({ desired: desired({ policy: { enabled: false } }) });
    assert.deepEqual(node.labels, { zone: "a" });
  });

  test("what the policy's environment says counts", async () => {
    const node = new LabelledNode();
    const env = new Map([
      ["GFD_NO_TIMESTAMP", "true"],
      ["GFD_MACHINE_TYPE_FILE", "/elsewhere"],
    ]);
    await node.update({ desired: desired({ policy: { env } }) });
    assert.equal(node.labels["nvidia.com/gfd.timestamp"], undefined);
    assert.equal(node.labels["nvidia.com/gpu.machine"], "unknown");
  });

  test("a second feature discovery is found and named", async () => {
    const node = new LabelledNode({ "nvidia.com/gpu.count": "1" });
    node.node.metadata.annotations = { "nfd.node.kubernetes.io/feature-labels": "nvidia.com/gpu.count" };
    const [one] = await node.update({});
    assert.equal(one?.code, "feature-labels-of-nfd");
    assert.deepEqual(one?.evidence["labels"], ["nvidia.com/gpu.count"]);
    assert.ok(!node.node.metadata.annotations?.[FEATURE_LABELS_ANNOTATION]?.includes("gpu.count"));
  });
});

describe("labels in a file for Node Feature Discovery", () => {
  test("written whole, readable by all, under the Node's nose, and gone when the agent ends", async (t) => {
    const directory = await temporaryDirectory(t);
    const outputFile = join(directory, "features.d", "gfd");
    const node = new LabelledNode();
    await node.update({});
    const inFile = desired({ gfd: { useNodeFeatureApi: false, outputFile, noTimestamp: true } });
    // Of the service, whose other files are for nobody but root.
    const before = process.umask(0o077);
    try {
      await node.update({ desired: inFile });
    } finally {
      process.umask(before);
    }
    assert.deepEqual(node.labels, {}, "the Node's labels come from the file now");
    const text = await readFile(outputFile, "utf8");
    assert.match(text, /^nvidia\.com\/gpu\.product=NVIDIA-A100-SXM4-80GB$/m);
    for (const line of text.trimEnd().split("\n")) assert.match(line, /^nvidia\.com\/[^=]+=[^=]*$/);
    assert.equal((await stat(outputFile)).mode & 0o777, 0o644);
    assert.deepEqual(await readdir(join(directory, "features.d")), ["gfd"]);
    await writeFile(outputFile, "stale=1\n");
    await node.update({ desired: inFile });
    assert.equal(await readFile(outputFile, "utf8"), text);
    await node.labeller.stop();
    assert.deepEqual(await readdir(join(directory, "features.d")), []);
  });

  test("the command line asks for it, and back on the Node the file is taken away", async (t) => {
    const directory = await temporaryDirectory(t);
    const node = new LabelledNode({}, { environment: new Map([["--output-file", join(directory, "gfd")]]) });
    await node.update({});
    assert.deepEqual(await readdir(directory), ["gfd"]);
    assert.deepEqual(node.labels, {});
    const other = new LabelledNode();
    const inFile = desired({ gfd: { useNodeFeatureApi: false, outputFile: join(directory, "other") } });
    await other.update({ desired: inFile });
    await other.update({});
    assert.deepEqual(await readdir(directory), ["gfd"]);
    assert.equal(other.labels["nvidia.com/gpu.count"], "1");
  });

  test("a file that cannot be written is a finding", async (t) => {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, "file"), "");
    const node = new LabelledNode({}, { environment: new Map([["--output-file", join(directory, "file", "gfd")]]) });
    const [one] = await node.update({});
    assert.equal(one?.code, "feature-file-not-written");
  });
});

test("the machine's name is read below its root, and a file that is not there is none", async (t) => {
  const root = await temporaryDirectory(t);
  await mkdir(join(root, "sys/class/dmi/id"), { recursive: true });
  await writeFile(join(root, "sys/class/dmi/id/product_name"), "PowerEdge XE9680\n");
  const node = new LabelledNode({}, { readMachineType: machineTypeReader(root), root });
  await node.update({});
  assert.equal(node.labels["nvidia.com/gpu.machine"], "PowerEdge-XE9680");
  await node.update({ desired: desired({ gfd: { machineTypeFile: "/elsewhere", useNodeFeatureApi: false } }) });
  const text = await readFile(join(root, "etc/kubernetes/node-feature-discovery/features.d/gfd"), "utf8");
  assert.match(text, /^nvidia\.com\/gpu\.machine=unknown$/m);
});

describe("whatever happened before", () => {
  const layouts = [undefined, "", "1g.10gb@0 1g.10gb@1", "2g.20gb@0 1g.10gb+me@2", "7g.80gb@0"];
  const step = fc.record({
    cut: fc.array(fc.constantFrom(...layouts), { maxLength: 2 }),
    strategy: fc.constantFrom<MigStrategy>("none", "single", "mixed"),
    share: fc.constantFrom<readonly string[]>([], ["gpu x4"], ["mig-1g.10gb x3"]),
    enabled: fc.boolean(),
    /** How old the Node is that the agent sees, in changes. */
    lag: fc.nat({ max: 3 }),
    before: fc.constantFrom("nothing", "agent restarts", "server is away", "all labels deleted by hand"),
  });

  test("the Node ends with the labels of its last state, as if they had been made on a fresh one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const node = new LabelledNode({ zone: "a" });
        let last: Partial<LabelledState> = {};
        for (const { cut, strategy, share, enabled, lag, before } of steps) {
          // A new agent lists the Node before it looks at anything.
          if (before === "agent restarts") node.startAgent();
          if (before === "all labels deleted by hand") node.node.metadata.labels = { zone: "a" };
          node.away = before === "server is away";
          last = {
            gpus: cut.map((layout, index) => gpu(index, layout)),
            desired: desired({ strategy, share, policy: { enabled }, gfd: { noTimestamp: true } }),
          };
          await node.update(last, before === "agent restarts" ? 0 : lag).catch((error: unknown) => {
            if (!(error instanceof KubeError)) throw error;
          });
        }
        node.away = false;
        await node.update(last);
        const fresh = new LabelledNode({ zone: "a" });
        await fresh.update(last);
        assert.deepEqual(node.labels, fresh.labels);
        const changes = node.versions.length;
        await node.update(last);
        assert.equal(node.versions.length, changes, "a node that is right is written again");
      }),
      { numRuns: 200 },
    );
  });
});
