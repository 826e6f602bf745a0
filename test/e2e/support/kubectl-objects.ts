/** Objects that the rows of the kubectl table write. */

/** A ConfigMap in the default namespace. */
export function configMap(name: string, data: Readonly<Record<string, string>>): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
}

export interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** One of the reserved nodes, where it gets a GPU. */
  readonly node?: string;
}

/** A pod that runs until it is deleted. */
export function pod(name: string, { labels = {}, node }: PodOptions = {}): object {
  const image = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04";
  const resources = node === undefined ? {} : { limits: { "nvidia.com/gpu": "1" } };
  const place =
    node === undefined
      ? {}
      : { nodeSelector: { "kubernetes.io/hostname": node }, tolerations: [{ key: "reserved", operator: "Exists" }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels },
    spec: { ...place, containers: [{ name: "main", image, resources }] },
  };
}

/** A pod that fails after a second. */
export function briefPod(name: string): object {
  const annotations = { "tranche.dev/run-for": "1s", "tranche.dev/exit-code": "3" };
  const containers = [{ name: "main", image: "registry.example/app:1" }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, annotations },
    spec: { restartPolicy: "Never", containers },
  };
}

/** A budget that keeps one pod with this `app` label. */
export function budget(name: string, app: string): object {
  const spec = { minAvailable: 1, selector: { matchLabels: { app } } };
  return { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name }, spec };
}

/** Defines `GpuTeam` with a schema and columns. */
export const gpuTeamDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gputeams.example.org" },
  spec: {
    group: "example.org",
    scope: "Namespaced",
    names: { plural: "gputeams", singular: "gputeam", kind: "GpuTeam", listKind: "GpuTeamList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        additionalPrinterColumns: [
          { name: "GPUs", type: "integer", jsonPath: ".spec.gpus" },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { gpus: { type: "integer", description: "How many GPUs the team may hold." } },
              },
            },
          },
        },
      },
    ],
  },
};

/** A `GpuTeam` named vision. */
export function gpuTeam(spec: object): object {
  return { apiVersion: "example.org/v1", kind: "GpuTeam", metadata: { name: "vision" }, spec };
}
