import assert from "node:assert/strict";
import { test } from "node:test";
import { finding } from "../../src/base/index.ts";
import { formatReport, type ReportFormat } from "../../src/cli/report/format.ts";
import type { Paint } from "../../src/cli/report/paint.ts";
import { findingProgress } from "../../src/cli/up/progress.ts";
import { buildReport, type Report } from "../../src/insight/index.ts";
import { ended, nodeOf, podOf, snapshot } from "../insight/support/cluster.ts";
import { gpu } from "../sharing/fixtures.ts";
import { smallCluster } from "./support/small-cluster.ts";

const plain: Paint = (_style, text) => text;

test("what others write moves no cursor and makes no lines of its own", () => {
  const evil = "\u001b[2J\u009b1A\r\nerror pod-failed: mine\u202e";
  const subject = { kind: "pod", name: `ml/a${evil}` } as const;
  const told = finding("ignored-key", subject, `key "${evil}"`, { remedy: `remove ${evil}` });
  const pod = podOf("ml/a", { status: { phase: "Failed", reason: evil } });
  const report = buildReport({ nodes: [], pods: [pod], snapshots: [], findings: [told] });
  const text = formatReport(report, "table", plain);
  assert.equal(text.replaceAll("\n", "").match(/\p{C}/u), null);
  assert.equal(text.split("\n").length, 8, text);
  assert.equal(findingProgress(told).match(/\p{C}/u), null);
});

// Looking at all shares for each of them would take minutes.
for (const form of ["wide", "mermaid"] as const) {
  test(`a GPU with as many shares as a kubelet takes is told in the form ${form}`, () => {
    const told = snapshot("n", { gpus: [gpu(0, undefined, "t4-16gb")], share: ["gpu x2"] });
    const report = buildReport({ nodes: [nodeOf(told)], pods: [], snapshots: [told], findings: [] });
    const [node] = report.nodes;
    const [first] = node?.gpus ?? [];
    const [share] = first?.shares ?? [];
    assert.ok(node && first && share);
    const shares = Array.from({ length: 65_000 }, (_, at) => ({ ...share, id: `${first.uuid}::${at}` }));
    const large = { ...report, nodes: [{ ...node, gpus: [{ ...first, shares }] }] };
    assert.match(formatReport(large, form, plain), /time slice 64999\/65000/);
  });
}

const table = `\
2 nodes, 4 GPUs (simulated); 4 of 5 pods running, 1 pending.

NODE        GPU   MODEL                   SLICE                   MEMORY      ISOLATION   POD
node-a100   0     NVIDIA A100-SXM4-80GB   1g.10gb@0:1             9728 MiB    hardware    ml/a
                                          2g.20gb@2:2 share 1/2   19968 MiB   none        -
                                          2g.20gb@2:2 share 2/2   19968 MiB   none        ml/b
                                          3g.40gb@4:4             40192 MiB   hardware    -
node-a100   1     NVIDIA A100-SXM4-80GB   MIG, no slices          81920 MiB   -           -
node-t4     0     Tesla T4                time slice 1/2          15360 MiB   none        ml/c
                                          time slice 2/2          15360 MiB   none        ml/c
node-t4     1     Tesla T4                whole GPU               15360 MiB   exclusive   ml/d

POD    PHASE     REASON          NODE        DEVICES
ml/a   Running   -               node-a100   1 nvidia.com/mig-1g.10gb
ml/b   Running   -               node-a100   1 nvidia.com/mig-2g.20gb
ml/c   Running   -               node-t4     2 nvidia.com/gpu.shared
ml/d   Running   -               node-t4     1 nvidia.com/gpu
ml/e   Pending   Unschedulable   -           -

warning duplicate-key: my.yaml:12:5
  replicas is there twice
warning pod-unschedulable: ml/e
  no node fits: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu; held by ml/d
  → wait until one of the holders ends, or offer more of it
info shares-of-one-gpu: ml/c
  pod ml/c holds 2 shares of GPU 0; they are one device to it and give no more compute than one share
  → ask for one share, so that others can have the rest`;

const wide = `\
NODE        GPU   MODEL                   SLICE                   MEMORY      ISOLATION   DEVICE         POD
node-a100   0     NVIDIA A100-SXM4-80GB   1g.10gb@0:1             9728 MiB    hardware    MIG-0-0-0      ml/a
                                          2g.20gb@2:2 share 1/2   19968 MiB   none        MIG-0-2-0::0   -
                                          2g.20gb@2:2 share 2/2   19968 MiB   none        MIG-0-2-0::1   ml/b
                                          3g.40gb@4:4             40192 MiB   hardware    MIG-0-4-0      -
node-a100   1     NVIDIA A100-SXM4-80GB   MIG, no slices          81920 MiB   -           GPU-1          -
node-t4     0     Tesla T4                time slice 1/2          15360 MiB   none        GPU-0::0       ml/c
                                          time slice 2/2          15360 MiB   none        GPU-0::1       ml/c
node-t4     1     Tesla T4                whole GPU               15360 MiB   exclusive   GPU-1          ml/d

POD    PHASE     REASON          NODE        DEVICES
ml/a   Running   -               node-a100   nvidia.com/mig-1g.10gb=MIG-0-0-0
ml/b   Running   -               node-a100   nvidia.com/mig-2g.20gb=MIG-0-2-0::1
ml/c   Running   -               node-t4     nvidia.com/gpu.shared=GPU-0::0, nvidia.com/gpu.shared=GPU-0::1
ml/d   Running   -               node-t4     nvidia.com/gpu=GPU-1
ml/e   Pending   Unschedulable   -           -`;

const mermaid = `\
flowchart LR
  subgraph n0["node-a100"]
    n0g0["GPU 0<br/>NVIDIA A100-SXM4-80GB"]
    n0g0s0["1g.10gb@0:1"]
    n0g0 --> n0g0s0
    n0g0s1["2g.20gb@2:2"]
    n0g0 --> n0g0s1
    n0g0s2["3g.40gb@4:4"]
    n0g0 --> n0g0s2
    n0g0s3["time slice 1/2"]
    n0g0s1 --> n0g0s3
    n0g0s4["time slice 2/2"]
    n0g0s1 --> n0g0s4
    n0g1["GPU 1<br/>NVIDIA A100-SXM4-80GB"]
  end
  n0g0s0 --> p0
  n0g0s4 --> p1
  subgraph n1["node-t4"]
    n1g0["GPU 0<br/>Tesla T4"]
    n1g0s0["time slice 1/2"]
    n1g0 --> n1g0s0
    n1g0s1["time slice 2/2"]
    n1g0 --> n1g0s1
    n1g1["GPU 1<br/>Tesla T4"]
    n1g1s0["whole GPU"]
    n1g1 --> n1g1s0
  end
  n1g0s0 --> p2
  n1g0s1 --> p2
  n1g1s0 --> p3
  p0(["ml/a<br/>Running"])
  p1(["ml/b<br/>Running"])
  p2(["ml/c<br/>Running"])
  p3(["ml/d<br/>Running"])
  p4(["ml/e<br/>Pending"])
  simulated["simulated GPUs"]:::note
  classDef note stroke-dasharray: 4`;

test("the table tells the answer first, then every slice, every pod, and why", () => {
  assert.equal(formatReport(smallCluster(), "table", plain), table);
});

test("the wide table names the devices", () => {
  assert.ok(formatReport(smallCluster(), "wide", plain).includes(wide), formatReport(smallCluster(), "wide", plain));
});

test("the drawing leads from node to GPU to slice to pod, and a share hangs on the slice it is of", () => {
  assert.equal(formatReport(smallCluster(), "mermaid", plain), mermaid);
});

test("JSON and YAML hold the whole report", () => {
  const report = smallCluster();
  assert.deepEqual(JSON.parse(formatReport(report, "json")), report);
  assert.match(formatReport(report, "yaml"), /^apiVersion: tranche\.dev\/v1alpha1\nkind: Report\nsimulated: true\n/);
});

test("only the forms for reading have colours", () => {
  const loud: Paint = (style, text) => `<${style}>${text}</>`;
  const colours = (format: ReportFormat): boolean =>
    /<(?:red|yellow|cyan|dim)>/.test(formatReport(smallCluster(), format, loud));
  assert.deepEqual((["table", "wide", "json", "yaml", "mermaid"] as const).map(colours), [
    true,
    true,
    false,
    false,
    false,
  ]);
});

/** The first line of the table. */
function summary(report: Report): string | undefined {
  return formatReport(report, "table", plain).split("\n")[0];
}

test("an empty cluster is summed up without tables", () => {
  const report = buildReport({ nodes: [], pods: [], snapshots: [], findings: [] });
  assert.equal(formatReport(report, "table", plain), "0 nodes, 0 GPUs; 0 of 0 pods running.");
});

test("the summary counts pods by what became of them, and measured GPUs are not called simulated", () => {
  const one = snapshot("n", { gpus: [gpu(0)], simulated: false });
  const pods = [
    podOf("a/a"),
    podOf("a/b", { status: { phase: "Succeeded" } }),
    podOf("a/c", { status: ended("boom") }),
    podOf("a/d", { status: ended("boom") }),
  ];
  const report = buildReport({ nodes: [nodeOf(one)], pods, snapshots: [one], findings: [] });
  assert.equal(summary(report), "1 node, 1 GPU; 1 of 4 pods running, 1 succeeded, 2 failed.");
});

test("shares of one GPU under two names are counted under each", () => {
  const one = snapshot("n", { gpus: [gpu(0), gpu(1)], share: ["gpu[0] x2 as slow", "gpu[1] x3 as fast"] });
  const report = buildReport({ nodes: [nodeOf(one)], pods: [], snapshots: [one], findings: [] });
  const text = formatReport(report, "table", plain);
  assert.deepEqual(text.match(/time slice \d\/\d/g), [
    "time slice 1/2",
    "time slice 2/2",
    "time slice 1/3",
    "time slice 2/3",
    "time slice 3/3",
  ]);
});

test("a GPU that nothing is offered of says so", () => {
  const one = { ...snapshot("n", { gpus: [gpu(0)] }), offers: [] };
  const report = buildReport({ nodes: [nodeOf(one)], pods: [], snapshots: [one], findings: [] });
  assert.match(formatReport(report, "table", plain), /not offered/);
});

test("names that a drawing would read as markup stay text", () => {
  const one = snapshot("n", { gpus: [{ ...gpu(0), name: 'A<b>"&' }] });
  const report = buildReport({ nodes: [nodeOf(one)], pods: [], snapshots: [one], findings: [] });
  assert.match(formatReport(report, "mermaid"), /"GPU 0<br\/>A#lt;b#gt;#quot;#amp;"/);
});
