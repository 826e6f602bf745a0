/** What kubectl shows of the API: tables, discovery, OpenAPI, the kubeconfig. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { columnsOf } from "../../src/embedded/api/columns.ts";
import type { JsonObject } from "../../src/embedded/api/json.ts";
import { humanDuration } from "../../src/embedded/api/table.ts";
import { builtInTypes } from "../../src/embedded/api/types.ts";
import { resources } from "../../src/kube/index.ts";
import { type Harness, podNamed, startHarness } from "./api-support.ts";

const startMs = Date.UTC(2026, 0, 1);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const tableForm = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
let api: Harness;

before(async () => {
  api = await startHarness({ clock: new VirtualClock(startMs) });
});
after(() => api.stop());

// apimachinery, pkg/util/duration/duration_test.go tells the same steps.
const durations = [
  { ms: -1500, want: "<invalid>" },
  { ms: -500, want: "0s" },
  { ms: 119_000, want: "119s" },
  { ms: 2 * minuteMs, want: "2m" },
  { ms: 2 * minuteMs + 1000, want: "2m1s" },
  { ms: 9 * minuteMs + 59_000, want: "9m59s" },
  { ms: 10 * minuteMs + 1000, want: "10m" },
  { ms: 3 * hourMs - 1, want: "179m" },
  { ms: 3 * hourMs, want: "3h" },
  { ms: 7 * hourMs + 59 * minuteMs, want: "7h59m" },
  { ms: 47 * hourMs, want: "47h" },
  { ms: 48 * hourMs, want: "2d" },
  { ms: 2 * dayMs + hourMs, want: "2d1h" },
  { ms: 8 * dayMs + hourMs, want: "8d" },
  { ms: 2 * 365 * dayMs, want: "2y" },
  { ms: 2 * 365 * dayMs + dayMs, want: "2y1d" },
  { ms: 8 * 365 * dayMs + dayMs, want: "8y" },
];
for (const { ms, want } of durations) {
  test(`${ms} ms read as ${want}`, () => assert.equal(humanDuration(ms), want));
}

/** An object's row as kubectl would print it, wide. */
function rowOf(kind: string, object: JsonObject): string {
  const type = builtInTypes.find((one) => one.kind === kind);
  assert.ok(type !== undefined);
  return columnsOf(type)
    .map((column) => column.cell(object, startMs))
    .join(" | ");
}

const metadata: JsonObject = { name: "x", creationTimestamp: "2025-12-31T23:59:00Z" };
const two = { containers: [{ name: "a" }, { name: "b" }], nodeName: "n" };
const rest = "60s | <none> | n | <none> | <none>";
const running = (name: string): JsonObject => ({ name, ready: true, restartCount: 0, state: { running: {} } });
const ended = (name: string, state: JsonObject): JsonObject => ({ name, ready: false, restartCount: 0, state });
const podRows: readonly { readonly name: string; readonly pod: JsonObject; readonly want: string }[] = [
  { name: "pending", pod: { status: { phase: "Pending" } }, want: "0/2 | Pending | 0" },
  {
    name: "running",
    pod: { status: { phase: "Running", containerStatuses: [running("a"), running("b")] } },
    want: "2/2 | Running | 0",
  },
  {
    name: "creating",
    pod: {
      status: { phase: "Pending", containerStatuses: [ended("a", { waiting: { reason: "ContainerCreating" } })] },
    },
    want: "0/2 | ContainerCreating | 0",
  },
  {
    name: "half completed",
    pod: {
      status: {
        phase: "Running",
        containerStatuses: [ended("a", { terminated: { exitCode: 0, reason: "Completed" } }), running("b")],
      },
    },
    want: "1/2 | NotReady | 0",
  },
  {
    name: "out of memory",
    pod: {
      status: {
        phase: "Failed",
        containerStatuses: [ended("a", { terminated: { exitCode: 1, reason: "OutOfMemory" } })],
      },
    },
    want: "0/2 | OutOfMemory | 0",
  },
  {
    name: "ended without a reason",
    pod: { status: { phase: "Failed", containerStatuses: [ended("a", { terminated: { exitCode: 3 } })] } },
    want: "0/2 | ExitCode:3 | 0",
  },
  {
    name: "refused by the kubelet",
    pod: { status: { phase: "Failed", reason: "UnexpectedAdmissionError" } },
    want: "0/2 | UnexpectedAdmissionError | 0",
  },
  {
    name: "crashing",
    pod: {
      status: {
        phase: "Running",
        containerStatuses: [
          {
            ...ended("a", { waiting: { reason: "CrashLoopBackOff" } }),
            restartCount: 4,
            lastState: { terminated: { finishedAt: "2025-12-31T23:59:30Z" } },
          },
          running("b"),
        ],
      },
    },
    want: "1/2 | CrashLoopBackOff | 4 (30s ago)",
  },
  {
    name: "terminating",
    pod: {
      metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
      status: { phase: "Running", containerStatuses: [running("a"), running("b")] },
    },
    want: "2/2 | Terminating | 0",
  },
];
for (const { name, pod, want } of podRows) {
  test(`shows a pod that is ${name}`, () =>
    assert.equal(rowOf("Pod", { metadata, spec: two, ...pod }), `x | ${want} | ${rest}`));
}

test("counts init containers until they are done", () => {
  const spec = { ...two, initContainers: [{ name: "i" }, { name: "j" }] };
  const withInits = (...initContainerStatuses: JsonObject[]): string =>
    rowOf("Pod", { metadata, spec, status: { phase: "Pending", initContainerStatuses } });
  const done = ended("i", { terminated: { exitCode: 0 } });
  assert.match(withInits(running("i")), /^x \| 0\/2 \| Init:0\/2 \|/);
  assert.match(withInits(done, running("j")), /^x \| 0\/2 \| Init:1\/2 \|/);
  assert.match(withInits(done, ended("j", { terminated: { exitCode: 1, reason: "Error" } })), /Init:Error/);
  assert.match(withInits(ended("i", { waiting: { reason: "CrashLoopBackOff" } })), /Init:CrashLoopBackOff/);
});

const otherRows: readonly { readonly kind: string; readonly object: JsonObject; readonly want: string }[] = [
  {
    kind: "Node",
    object: {
      metadata: { ...metadata, labels: { "node-role.kubernetes.io/worker": "" } },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
        nodeInfo: {
          kubeletVersion: "v1.35.0",
          osImage: "OS",
          kernelVersion: "6.1",
          containerRuntimeVersion: "sim://1",
        },
      },
    },
    want: "x | Ready,SchedulingDisabled | worker | 60s | v1.35.0 | 10.0.0.1 | <none> | OS | 6.1 | sim://1",
  },
  {
    kind: "Node",
    object: { metadata },
    want: "x | Unknown | <none> | 60s | <none> | <none> | <none> | <unknown> | <unknown> | <unknown>",
  },
  { kind: "ConfigMap", object: { metadata, data: { a: "1", b: "2" }, binaryData: { c: "" } }, want: "x | 3 | 60s" },
  { kind: "Namespace", object: { metadata, status: { phase: "Active" } }, want: "x | Active | 60s" },
  { kind: "ClusterPolicy", object: { metadata, status: { state: "ready" } }, want: "x | ready | 60s" },
  { kind: "Role", object: { metadata }, want: "x | 60s" },
  {
    kind: "Event",
    object: {
      metadata,
      type: "Warning",
      reason: "FailedScheduling",
      involvedObject: { kind: "Pod", name: "p" },
      source: { component: "default-scheduler" },
      message: "no room ",
      firstTimestamp: "2025-12-31T23:00:00Z",
      lastTimestamp: "2025-12-31T23:58:00Z",
      count: 3,
    },
    want: "2m | Warning | FailedScheduling | pod/p |  | default-scheduler | no room | 60m | 3 | x",
  },
  {
    kind: "Deployment",
    object: {
      metadata,
      spec: {
        replicas: 3,
        selector: { matchLabels: { a: "b" } },
        template: { spec: { containers: [{ name: "c", image: "i" }] } },
      },
      status: { readyReplicas: 1, updatedReplicas: 2 },
    },
    want: "x | 1/3 | 2 | 0 | 60s | c | i | a=b",
  },
  {
    kind: "Job",
    object: {
      metadata,
      spec: { completions: 2, selector: {}, template: {} },
      status: { succeeded: 1, startTime: "2025-12-31T23:59:00Z" },
    },
    want: "x | Running | 1/2 | 60s | 60s |  |  | <none>",
  },
];
for (const { kind, object, want } of otherRows) {
  test(`shows ${kind}: ${want}`, () => assert.equal(rowOf(kind, object), want));
}

test("answers a list and an object as tables whose rows carry what was asked for", async () => {
  await api.client.create(resources.pods, podNamed("shown"));
  const list = await api.call("/api/v1/namespaces/default/pods", { headers: tableForm });
  assert.deepEqual([list.body["kind"], list.body["apiVersion"]], ["Table", "meta.k8s.io/v1"]);
  const [first] = [list.body["rows"]?.["0"]];
  assert.deepEqual(first?.["cells"]?.["0"], "shown");
  assert.equal(String(first?.["object"]?.["kind"]), "PartialObjectMetadata");
  const whole = await api.call("/api/v1/namespaces/default/pods/shown?includeObject=Object", { headers: tableForm });
  assert.equal(String(whole.body["rows"]?.["0"]?.["object"]?.["kind"]), "Pod");
  const bare = await api.call("/api/v1/namespaces/default/pods?includeObject=None", { headers: tableForm });
  assert.equal(bare.body["rows"]?.["0"]?.["object"], undefined);
});

test("answers metadata alone to clients that ask for it", async () => {
  const headers = { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" };
  const { body } = await api.call("/api/v1/namespaces", { headers });
  assert.deepEqual(
    [body["kind"], Object.keys(body["items"]?.["0"] ?? {})],
    ["PartialObjectMetadataList", ["kind", "apiVersion", "metadata"]],
  );
});

test("lists its groups, versions and types in the plain and the aggregated form alike", async () => {
  const headers = { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json" };
  const aggregated = new Set<string>();
  for (const path of ["/api", "/apis"]) {
    const reply = await api.call(path, { headers });
    assert.match(String(reply.headers["content-type"]), /as=APIGroupDiscoveryList/);
    const groups = reply.body["items"];
    assert.ok(Array.isArray(groups));
    for (const { metadata: group, versions } of groups) {
      for (const { version, resources: types } of versions) {
        for (const type of types)
          aggregated.add(`${group.name}/${version}/${type.resource} ${type.responseKind.kind} ${type.scope}`);
      }
    }
  }
  const plain = new Set<string>();
  const groupVersions = ["/api/v1"];
  const groups = (await api.call("/apis")).body["groups"];
  assert.ok(Array.isArray(groups));
  for (const { versions } of groups)
    groupVersions.push(...versions.map((one: { groupVersion: string }) => `/apis/${one.groupVersion}`));
  for (const path of groupVersions) {
    const types = (await api.call(path)).body["resources"];
    assert.ok(Array.isArray(types));
    const group = path.replace("/apis/", "").replace("/api/", "/");
    for (const type of types.filter(({ name }) => !name.includes("/"))) {
      plain.add(`${group}/${type.name} ${type.kind} ${type.namespaced ? "Namespaced" : "Cluster"}`);
    }
  }
  assert.deepEqual([...plain].sort(), [...aggregated].sort());
  assert.ok(plain.has("nvidia.com/v1/clusterpolicies ClusterPolicy Cluster"));
  assert.ok(plain.has("/v1/pods Pod Namespaced"));
});

test("offers field validation for every type in OpenAPI, as kubectl looks for it", async () => {
  const root = (await api.call("/openapi/v3")).body["paths"];
  const document = await api.call(String(root?.["apis/nvidia.com/v1"]?.["serverRelativeURL"]));
  const patch = document.body["paths"]?.["/apis/nvidia.com/v1/clusterpolicies/{name}"]?.["patch"];
  assert.deepEqual(patch?.["x-kubernetes-group-version-kind"], {
    group: "nvidia.com",
    version: "v1",
    kind: "ClusterPolicy",
  });
  const parameters = patch?.["parameters"];
  assert.ok(Array.isArray(parameters) && parameters.some(({ name }) => name === "fieldValidation"));
});

test("writes a kubeconfig with the address, the authority and the token", () => {
  const text = api.server.kubeconfig();
  assert.match(text, new RegExp(`server: ${api.server.url}\n`));
  assert.match(text, new RegExp(`token: ${api.server.token}\n`));
  const [, data = ""] = /certificate-authority-data: (\S+)/.exec(text) ?? [];
  assert.equal(Buffer.from(data, "base64").toString(), api.server.caCert);
});
