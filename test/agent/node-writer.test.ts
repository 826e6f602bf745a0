import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeWriter, type NodeWriterApi } from "../../src/agent/node-writer.ts";
import { type Finding, finding, type LogFields, silentLogger, VirtualClock } from "../../src/base/index.ts";
import { KubeError, type KubeEvent, type KubeObject, type Node } from "../../src/kube/index.ts";

/** An API server that takes events and patches of nodes, and can be away. */
class SmallApi {
  readonly events: string[] = [];
  readonly patches: unknown[] = [];
  readonly warnings: string[] = [];
  away = false;

  /** A writer on it. */
  writer(): NodeWriter {
    const api: NodeWriterApi = {
      get: () => assert.fail("no event is there twice"),
      update: () => assert.fail("no event is there twice"),
      create: async (_type, object) => {
        this.#assertThere();
        if (isEvent(object)) this.events.push(eventText(object));
        return object;
      },
      mergePatch: async (_type, _ref, patch) => {
        this.#assertThere();
        this.patches.push(patch);
        return JSON.parse(JSON.stringify(node));
      },
    };
    const warn = (_fields: LogFields, message: string): void => void this.warnings.push(message);
    return new NodeWriter({ node: "node-a", api, clock: new VirtualClock(0), log: { ...silentLogger, warn } });
  }

  #assertThere(): void {
    if (this.away) throw new KubeError("the server is away", { status: 503, reason: "ServiceUnavailable" });
  }
}

function isEvent(object: KubeObject): object is KubeEvent {
  return object.kind === "Event";
}

function eventText({ type, reason, message, involvedObject: { kind, name }, source }: KubeEvent): string {
  return `${type} ${reason} ${kind}/${name} by ${source?.component}: ${message}`;
}

const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" } };
const label = "nvidia.com/mig.config.state";

const states = [
  { name: "a state is written where there is none", before: undefined, state: "pending", want: "pending" },
  { name: "another state is written", before: "pending", state: "success", want: "success" },
  { name: "no state takes the label away", before: "success", state: undefined, want: null },
  { name: "the same state is not written again", before: "failed", state: "failed", want: undefined },
  { name: "no state is not written where there is none", before: undefined, state: undefined, want: undefined },
] as const;
for (const { name, before, state, want } of states) {
  test(name, async () => {
    const api = new SmallApi();
    const labels = before === undefined ? {} : { [label]: before };
    await api.writer().writeState({ ...node, metadata: { name: "node-a", labels } }, state);
    assert.deepEqual(api.patches, want === undefined ? [] : [{ metadata: { labels: { [label]: want } } }]);
  });
}

test("a state that cannot be written is an error, since others wait for it", async () => {
  const api = new SmallApi();
  api.away = true;
  await assert.rejects(api.writer().writeState(node, "success"), KubeError);
});

const config = "tranche.dev/device-plugin-config";
const said = '{"name":"a","hash":"0f","since":"1970-01-01T00:00:00.000Z"}';
const configs = [
  { name: "the config in force is said", before: undefined, hash: "0f", sinceMs: 0, want: said },
  {
    name: "since when stays as an agent before has said it",
    before: said,
    hash: "0f",
    sinceMs: 5_000,
    want: undefined,
  },
  { name: "another config is said", before: said.replace("0f", "0e"), hash: "0f", sinceMs: 0, want: said },
  { name: "the defaults are no config to tell of", before: said, hash: undefined, sinceMs: 0, want: null },
  { name: "nothing is written where there is none", before: undefined, hash: undefined, sinceMs: 0, want: undefined },
] as const;
for (const { name, before, hash, sinceMs, want } of configs) {
  test(name, async () => {
    const api = new SmallApi();
    const annotations = before === undefined ? {} : { [config]: before };
    const inForce = { name: hash && "a", hash, sinceMs };
    await api.writer().writePluginConfig({ ...node, metadata: { name: "node-a", annotations } }, inForce);
    assert.deepEqual(api.patches, want === undefined ? [] : [{ metadata: { annotations: { [config]: want } } }]);
  });
}

const held: Finding = finding("slice-in-use", { kind: "gpu", name: "node-a GPU 0" }, "it is held by pod ml/a", {
  remedy: "delete the pod",
});
const placed = finding("ignored-key", { kind: "config", name: "x" }, "key foo means nothing", {
  place: { file: "configmap/default/x/config.yaml", line: 3, column: 1 },
});
const covered = finding("mig-gpu-uncovered", { kind: "config", name: "x" }, "no entry is for GPU 1");

test("a finding becomes an event that says where, what was seen and what to do", async () => {
  const api = new SmallApi();
  await api.writer().writeFindings(node, [held, placed, covered]);
  assert.deepEqual(api.events, [
    "Warning SliceInUse Node/node-a by tranche-agent: node-a GPU 0: it is held by pod ml/a; delete the pod",
    "Warning IgnoredKey Node/node-a by tranche-agent: configmap/default/x/config.yaml:3:1: key foo means nothing",
    "Normal MigGpuUncovered Node/node-a by tranche-agent: x: no entry is for GPU 1",
  ]);
});

test("a finding is told when it comes and when it comes back, not as long as it stays", async () => {
  const api = new SmallApi();
  const writer = api.writer();
  const lengths: number[] = [];
  for (const findings of [[held], [held], [], [held], [held, { ...held, message: "it is held by pod ml/b" }]]) {
    await writer.writeFindings(node, findings);
    lengths.push(api.events.length);
  }
  assert.deepEqual(lengths, [1, 1, 1, 2, 3]);
});

test("a finding whose event cannot be written holds nothing up and is told later", async () => {
  const api = new SmallApi();
  const writer = api.writer();
  api.away = true;
  await writer.writeFindings(node, [held]);
  assert.deepEqual([api.events, api.warnings], [[], ["event not written"]]);
  api.away = false;
  await writer.writeFindings(node, [held]);
  await writer.writeFindings(node, [held]);
  assert.equal(api.events.length, 1);
});
