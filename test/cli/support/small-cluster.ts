/** A cluster with a bit of everything the report can show. */
import { finding } from "../../../src/base/index.ts";
import { buildReport, type Report } from "../../../src/insight/index.ts";
import { nodeOf, podOf, snapshot, unscheduled } from "../../insight/support/cluster.ts";
import { gpu } from "../../sharing/fixtures.ts";

/** A cut and an empty A100, a shared T4, a whole T4; four pods that run, one that waits. */
export function smallCluster(): Report {
  const a100 = snapshot("node-a100", {
    gpus: [gpu(0, "1g.10gb@0 2g.20gb@2 3g.40gb@4"), gpu(1, "")],
    share: ["mig-2g.20gb x2"],
    held: ["ml/a mig-1g.10gb MIG-0-0-0", "ml/b mig-2g.20gb MIG-0-2-0::1"],
  });
  const t4 = snapshot("node-t4", {
    gpus: [gpu(0, undefined, "t4-16gb"), gpu(1, undefined, "t4-16gb")],
    share: ["gpu[0] x2 as gpu.shared"],
    held: ["ml/c gpu.shared GPU-0::0,GPU-0::1", "ml/d gpu GPU-1"],
  });
  const waits = unscheduled("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.");
  return buildReport({
    nodes: [nodeOf(a100), nodeOf(t4)],
    pods: [
      podOf("ml/a", { node: "node-a100" }),
      podOf("ml/b", { node: "node-a100" }),
      podOf("ml/c", { node: "node-t4" }),
      podOf("ml/d", { node: "node-t4" }),
      podOf("ml/e", { wants: { gpu: 1 }, status: waits }),
    ],
    snapshots: [a100, t4],
    findings: [
      finding("duplicate-key", { kind: "file", name: "my.yaml" }, "replicas is there twice", {
        place: { file: "my.yaml", line: 12, column: 5 },
      }),
    ],
  });
}
