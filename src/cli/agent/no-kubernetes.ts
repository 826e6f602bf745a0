/**
 * The Kubernetes API of a node that has none: it knows this node and nothing else, and what is told to it goes to the
 * log. So the agent does what NVIDIA's plugin does without an API, and nothing that needs one.
 */
import type { Logger } from "../../base/index.ts";
import { type KubeApi, KubeError, type KubeObject, type ResourceType, resources } from "../../kube/index.ts";

/** An API that holds the node `name` without labels. */
export function noKubernetes(name: string, log: Logger): KubeApi {
  const node: KubeObject = { apiVersion: "v1", kind: "Node", metadata: { name } };
  // What is read is of the kind that was asked for: the one object there is, is a node.
  const itemsOf = <T extends KubeObject>(type: ResourceType): readonly T[] =>
    type.plural === resources.nodes.plural ? [node as T] : [];
  return {
    get: (type) => Promise.reject(new KubeError(`no ${type.kind} without a Kubernetes API`, notFound)),
    list: async (type) => ({ items: itemsOf(type), resourceVersion: "1" }),
    create: async (_type, object) => {
      log.debug({ kind: object.kind, name: object.metadata.name }, "not written without a Kubernetes API");
      return object;
    },
    update: async (_type, object) => object,
    mergePatch: async <T extends KubeObject>() => node as T,
    delete: async () => {},
    createSubresource: async () => {},
    watch: (_type, { signal } = {}) => untilAborted(signal),
  };
}

const notFound = { status: 404, reason: "NotFound" } as const;

/** A watch on which nothing ever happens. */
async function* untilAborted(signal: AbortSignal | undefined): AsyncGenerator<never> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
}
