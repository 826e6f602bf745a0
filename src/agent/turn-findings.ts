/**
 * What a turn of the agent tells about its node as a whole.
 */
import { errorText, type Finding, finding, type Subject, TrancheError } from "../base/index.ts";
import { KubeError } from "../kube/index.ts";

/** The kubelet was sent lists and shows others. */
export function kubeletBehind(node: string): Finding {
  return finding("kubelet-behind", subject(node), "the kubelet does not show what the node offers", {
    remedy: "check that the kubelet runs and its device plugin directory is the one the agent uses",
  });
}

/** The turn ended early; the error says whom it could not reach. */
export function turnBroken(node: string, error: unknown): Finding {
  const remedy = "the agent tries again every second; check what it could not reach";
  return finding(codeOf(error), subject(node), errorText(error), { remedy });
}

function codeOf(error: unknown): "api-unreachable" | "driver-unreachable" | "kubelet-unreachable" {
  if (error instanceof KubeError) return "api-unreachable";
  return error instanceof TrancheError && error.code === "driver-call" ? "driver-unreachable" : "kubelet-unreachable";
}

function subject(name: string): Subject {
  return { kind: "node", name };
}
