/**
 * Names the node in findings of rooms that know one GPU and not whose it is.
 */
import type { Finding } from "../base/index.ts";

/** Findings about `GPU 0` become findings about `node-a GPU 0`. */
export function withNode(node: string, findings: readonly Finding[]): readonly Finding[] {
  return findings.map((one) =>
    one.subject.kind === "gpu" ? { ...one, subject: { kind: "gpu", name: `${node} ${one.subject.name}` } } : one,
  );
}
