/** How fast the readers of files are. */
import { readManifests } from "../src/config/index.ts";
import type { BenchRow } from "./row.ts";

/** The rows for `src/config`. */
export const rows: readonly BenchRow[] = [
  {
    name: "read 10 MB of pod manifests",
    aim: "at most 1.5 s",
    run: async (mode) => {
      const text = podManifests(10_000_000);
      const samples: number[] = [];
      for (let round = 0; round < (mode === "full" ? 7 : 1); round += 1) {
        const startMs = performance.now();
        const read = readManifests([{ file: "pods.yaml", text }]);
        samples.push(performance.now() - startMs);
        if (!read.ok) throw new Error("the manifests of the benchmark are not read");
      }
      // The first reading counts: a command line reads once, with cold code.
      const [coldMs = 0] = samples;
      const bestMs = Math.min(...samples);
      const note = `${(text.length / 1e6).toFixed(1)} MB; best of ${samples.length} ${bestMs.toFixed(0)} ms`;
      return { figure: `${coldMs.toFixed(0)} ms`, met: coldMs <= 1500, note };
    },
  },
  {
    name: "read 10 MB of pod manifests as one JSON list",
    aim: "at most 1.5 s",
    run: async () => {
      const items = Array.from({ length: 30_000 }, (_, index) => podObject(index));
      const text = JSON.stringify({ apiVersion: "v1", kind: "List", items });
      const startMs = performance.now();
      const read = readManifests([{ file: "pods.json", text }]);
      const ms = performance.now() - startMs;
      if (!read.ok) throw new Error("the manifests of the benchmark are not read");
      return { figure: `${ms.toFixed(0)} ms`, met: ms <= 1500, note: `${(text.length / 1e6).toFixed(1)} MB` };
    },
  },
];

function podManifests(atLeast: number): string {
  const documents: string[] = [];
  let length = 0;
  for (let index = 0; length < atLeast; index += 1) {
    const document = podText(index);
    documents.push(document);
    length += document.length + "---\n".length;
  }
  return documents.join("---\n");
}

function podText(index: number): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: train-${index}
  namespace: ml
  labels:
    app: trainer
    team: "vision"
  annotations:
    example.com/owner: somebody
spec:
  restartPolicy: Never
  nodeSelector:
    nvidia.com/gpu.present: "true"
  tolerations:
  - key: nvidia.com/gpu
    operator: Exists
    effect: NoSchedule
  containers:
  - name: main
    image: nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04
    command: ["python", "-m", "train"]
    args:
    - --epochs=10
    resources:
      limits:
        nvidia.com/mig-1g.10gb: 1
        cpu: 500m
        memory: 2Gi
`;
}

function podObject(index: number): unknown {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `train-${index}`, namespace: "ml", labels: { app: "trainer", team: "vision" } },
    spec: {
      restartPolicy: "Never",
      containers: [
        {
          name: "main",
          image: "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
          command: ["python", "-m", "train"],
          resources: { limits: { "nvidia.com/mig-1g.10gb": 1, cpu: "500m", memory: "2Gi" } },
        },
      ],
    },
  };
}
