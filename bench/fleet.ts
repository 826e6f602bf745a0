/**
 * `tranche up` with a fleet: API server, scheduler, controllers, and for each node a kubelet and an agent with its
 * plugins, in a process of its own; what asks it is this process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import {
  connectionFromKubeconfig,
  KubeClient,
  type KubeObject,
  type Node,
  type Pod,
  resources,
} from "../src/kube/index.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const GPUS_PER_NODE = 8;
const SETTLE_LIMIT_MS = 60_000;
const LIST_LIMIT_MS = 2_000;
const MEMORY_LIMIT_MIB = 1024;
/** No run takes longer than this. */
const DEADLINE_MS = 600_000;
/** Enough writers to keep the server busy. */
const WRITERS = 8;

export const rows: readonly BenchRow[] = [
  {
    name: "fleet: process start until 2,000 pods on 100 nodes × 8 GPUs have settled",
    aim: "at most 60 s",
    run: (mode) => settleRun(mode === "full" ? { nodes: 100, pods: 2_000 } : { nodes: 10, pods: 200 }),
  },
  {
    name: "fleet: 1,000 nodes × 8 GPUs register, 10,000 pods are listed",
    aim: "at most 2 s and 1 GiB",
    run: (mode) => listRun(mode === "full" ? { nodes: 1_000, pods: 10_000 } : { nodes: 50, pods: 500 }),
  },
];

interface FleetSize {
  readonly nodes: number;
  readonly pods: number;
}

/**
 * Every other node is cut into seven slices a GPU, the rest shares each GPU by four; half of the pods ask for a slice,
 * half for a share. Everything has room.
 */
async function settleRun({ nodes, pods }: FleetSize): Promise<BenchResult> {
  return inDirectory(async (directory) => {
    const file = join(directory, "fleet.yaml");
    const objects = [
      ...configuration(),
      ...Array.from({ length: nodes }, (_, at) => nodeManifest(at, at % 2 === 0 ? "cut" : "shared")),
      ...Array.from({ length: pods }, (_, at) => podManifest(at, at % 2 === 0 ? "mig-1g.10gb" : "gpu.shared")),
    ];
    await writeFile(file, manifests(objects));
    const startMs = performance.now();
    const up = new UpProcess(["-f", file, "--once", "-o", "json", "--timeout", String(DEADLINE_MS / 1000)], directory);
    const answer = await up.end();
    const elapsedMs = performance.now() - startMs;
    const report: { readonly pods: readonly { readonly phase: string }[] } = JSON.parse(answer);
    const running = report.pods.filter(({ phase }) => phase === "Running").length;
    if (running !== pods) throw new Error(`${running} of ${pods} pods run`);
    const note = `${pods} pods on ${nodes} nodes, ${up.cpuSeconds().toFixed(1)} s of processor time, peak ${up.peakMiB()} MiB`;
    return { figure: `${(elapsedMs / 1000).toFixed(1)} s`, met: elapsedMs <= SETTLE_LIMIT_MS, note };
  });
}

/** The pods stand behind a gate (KEP-3521), so that they are there and nothing is done about them. */
async function listRun({ nodes, pods }: FleetSize): Promise<BenchResult> {
  return inDirectory(async (directory) => {
    const file = join(directory, "fleet.yaml");
    await writeFile(file, manifests(Array.from({ length: nodes }, (_, at) => nodeManifest(at, "whole"))));
    const startMs = performance.now();
    const up = new UpProcess(["-f", file, "--plain", "--timeout", String(DEADLINE_MS / 1000)], directory);
    try {
      const kubeconfig = await up.says(/export KUBECONFIG=(\S+)/);
      const connection = connectionFromKubeconfig(load(await readFile(kubeconfig, "utf8")));
      if (!connection.ok) throw new Error("the kubeconfig cannot be read");
      const client = new KubeClient(connection.value);
      const registered = await client.list<Node>(resources.nodes);
      const ready = registered.items.filter((node) => node.status?.allocatable?.["nvidia.com/gpu"] === "8").length;
      if (ready !== nodes) throw new Error(`${ready} of ${nodes} nodes offer their GPUs`);
      const registeredMs = performance.now() - startMs;
      await createPods(client, pods);
      const samples: number[] = [];
      for (let round = 0; round < 5; round += 1) samples.push(await listTime(client, pods));
      await client.close();
      const listMs = samples.toSorted((a, b) => a - b)[2] ?? Number.NaN;
      const peakMiB = up.peakMiB();
      return {
        figure: `${(listMs / 1000).toFixed(2)} s, ${peakMiB} MiB`,
        met: listMs <= LIST_LIMIT_MS && peakMiB <= MEMORY_LIMIT_MIB,
        note:
          `${nodes} nodes up after ${(registeredMs / 1000).toFixed(0)} s, ${pods} pods behind a gate, median of ` +
          `${samples.length} lists, ${up.cpuSeconds().toFixed(0)} s of processor time, peak memory`,
      };
    } finally {
      up.kill();
    }
  });
}

async function createPods(client: KubeClient, count: number): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) await client.create<Pod>(resources.pods, gated(at));
  };
  await Promise.all(Array.from({ length: WRITERS }, work));
}

function gated(at: number): Pod {
  const pod = podManifest(at, "gpu");
  return { ...pod, spec: { ...pod.spec, schedulingGates: [{ name: "tranche.dev/bench" }] } };
}

async function listTime(client: KubeClient, count: number): Promise<number> {
  const startMs = performance.now();
  const { items } = await client.list<Pod>(resources.pods);
  if (items.length !== count) throw new Error(`the list holds ${items.length} of ${count} pods`);
  return performance.now() - startMs;
}

/** A `tranche up`; its peak memory and processor time are read from the kernel while it runs. */
class UpProcess {
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout;
  #out = "";
  #progress = "";
  #peakMiB = 0;
  #cpuSeconds = 0;

  constructor(args: readonly string[], directory: string) {
    this.#child = spawn(process.execPath, [main, "up", ...args], { env: { ...process.env, TMPDIR: directory } });
    this.#child.stdout?.on("data", (chunk) => {
      this.#out += chunk;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#progress += chunk;
    });
    this.#timer = setInterval(() => void this.#measure(), 100);
    this.#child.once("exit", () => clearInterval(this.#timer));
  }

  /** What it wrote to standard output, once it has ended well. */
  async end(): Promise<string> {
    const code = await new Promise<number | null>((resolve) => this.#child.once("close", resolve));
    if (code !== 0) throw new Error(`up ended with exit code ${code}:\n${this.#progress.slice(-2_000)}`);
    return this.#out;
  }

  /** The first group of a match on standard error. */
  async says(pattern: RegExp): Promise<string> {
    for (const endMs = performance.now() + DEADLINE_MS; performance.now() < endMs; await sleep(20)) {
      const [, group] = pattern.exec(this.#progress) ?? [];
      if (group !== undefined) return group;
      if (this.#child.exitCode !== null) break;
    }
    throw new Error(`up did not say ${pattern}:\n${this.#progress.slice(-2_000)}`);
  }

  peakMiB(): number {
    return Math.round(this.#peakMiB);
  }

  cpuSeconds(): number {
    return this.#cpuSeconds;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #measure(): Promise<void> {
    const { pid } = this.#child;
    const [status, stat] = await Promise.all(
      ["status", "stat"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "")),
    );
    this.#peakMiB = Math.max(this.#peakMiB, Number(/VmHWM:\s+(\d+) kB/.exec(status ?? "")?.[1] ?? 0) / 1024);
    // After the name in parentheses: state is field 3, utime and stime are 14 and 15, in hundredths of a second (proc(5)).
    const fields = (stat ?? "").slice((stat ?? "").lastIndexOf(")") + 2).split(" ");
    this.#cpuSeconds = Math.max(this.#cpuSeconds, (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100);
  }
}

async function inDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "fleet-"));
  try {
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function manifests(objects: readonly object[]): string {
  return objects.map((object) => JSON.stringify(object)).join("\n---\n");
}

function nodeManifest(at: number, use: "cut" | "shared" | "whole"): KubeObject {
  const labels = {
    cut: { "nvidia.com/mig.config": "sevenths" },
    shared: { "nvidia.com/device-plugin.config": "by-four" },
    whole: {},
  }[use];
  const annotations = { "tranche.dev/simulated-gpus": `A100-80GB:${GPUS_PER_NODE}` };
  const name = `node-${String(at).padStart(4, "0")}`;
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels, annotations } };
}

function podManifest(at: number, resource: string): Pod {
  const limits = { cpu: "1", memory: "1Gi", [`nvidia.com/${resource}`]: "1" };
  const metadata = { name: `pod-${String(at).padStart(5, "0")}`, namespace: "default" };
  const containers = [{ name: "main", image: "registry.example/app:1", resources: { limits } }];
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers } };
}

/** A ClusterPolicy with a mig-parted file and a device-plugin config. */
function configuration(): readonly KubeObject[] {
  const namespace = "gpu-operator";
  const mig = `version: v1
mig-configs:
  sevenths:
    - devices: all
      mig-enabled: true
      mig-devices: { "1g.10gb": 7 }
`;
  const byFour = `version: v1
sharing:
  timeSlicing:
    renameByDefault: true
    resources:
      - name: nvidia.com/gpu
        replicas: 4
`;
  const configMap = (name: string, data: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace },
    data,
  });
  const migManager = { config: { name: "layouts" } };
  const devicePlugin = { config: { name: "shares", default: "exclusive" } };
  const policy = { apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata: { name: "cluster-policy" } };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    configMap("layouts", { "config.yaml": mig }),
    configMap("shares", { exclusive: "version: v1\n", "by-four": byFour }),
    { ...policy, ...{ spec: { mig: { strategy: "mixed" }, migManager, devicePlugin } } },
  ];
}
