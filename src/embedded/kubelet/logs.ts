/**
 * Container logs for the API server: which kubelet to ask, and how its answer reads.
 */
import type { ReadLogs } from "../api/context.ts";
import { badRequest } from "../api/errors.ts";
import type { KubeletStandIn } from "./stand-in.ts";

/** Reads logs from the kubelet that has the pod; `kubelets` is asked anew for every read. */
export function logReader(kubelets: () => Iterable<KubeletStandIn>): ReadLogs {
  return async (namespace, name, container, { previous, tailLines, timestamps }) => {
    const kubelet = [...kubelets()].find((one) => one.knows(namespace, name));
    const lines = kubelet?.logs({ namespace, pod: name, container }, previous ? "previous" : "latest");
    if (lines === undefined) {
      throw badRequest(
        previous
          ? `previous terminated container "${container}" in pod "${name}" not found`
          : `container "${container}" in pod "${name}" is waiting to start`,
      );
    }
    const wanted = tailLines === undefined ? lines : lines.slice(Math.max(0, lines.length - tailLines));
    return wanted
      .map(({ atMs, text }) => (timestamps ? `${new Date(atMs).toISOString()} ${text}\n` : `${text}\n`))
      .join("");
  };
}
