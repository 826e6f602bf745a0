/**
 * How long a pod may stay on a node that is tainted NoExecute (Kubernetes pkg/controller/tainteviction,
 * `getMinTolerationTime`).
 */
import { type Node, type Pod, type Toleration, tolerates } from "../../kube/index.ts";

/** In milliseconds from when the taints were seen; `undefined` for ever, 0 not at all. */
export function stayMs(pod: Pod, node: Node): number | undefined {
  const taints = (node.spec?.taints ?? []).filter((one) => one.effect === "NoExecute");
  const { tolerations = [] } = pod.spec;
  if (taints.some((taint) => !tolerates(tolerations, taint))) return 0;
  const used = tolerations.filter((one: Toleration) => taints.some((taint) => tolerates([one], taint)));
  const limits = used.flatMap(({ tolerationSeconds }) => (tolerationSeconds === undefined ? [] : [tolerationSeconds]));
  return limits.length === 0 ? undefined : Math.max(0, Math.min(...limits)) * 1000;
}
