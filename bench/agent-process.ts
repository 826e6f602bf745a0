/**
 * The agent as it is released, as a process: how soon it has registered, and what it takes of memory and time while
 * nothing happens.
 *
 * Eight H100 behind the C double, each cut into seven. API server and kubelet stand-in are in this process, so what is
 * measured is the agent alone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, systemClock } from "../src/base/index.ts";
import { type ApiServer, KubeletStandIn, startApiServer } from "../src/embedded/index.ts";
import { SimulatedDriver } from "../src/gpu/index.ts";
import { KubeClient } from "../src/kube/index.ts";
import { PodResourcesClient } from "../src/kubelet/index.ts";
import type { MockNode } from "../test/fixtures/mocknvml/mock-node.ts";
import { median, withBundle } from "./bundle.ts";
import { withMockNode } from "./nvml.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const resource = "nvidia.com/mig-1g.10gb";
const devices = 8 * 7;
const deadlineMs = 15_000;

interface Figures {
  /** From the start of the process until the kubelet could hand out every slice; one for each start. */
  readonly offeredMs: readonly number[];
  /** Until an empty script had ended, start by start. */
  readonly emptyMs: readonly number[];
  /** Of the last agent, the most within its idle time: it grows until V8 collects, every minute or two. */
  readonly residentMiB: number;
  /** What the last agent took of processors while it was idle. */
  readonly busyMs: number;
  readonly idleMs: number;
}

/** All rows are of one run. */
let measured: Promise<Figures> | undefined;

const figuresOf = (mode: "small" | "full"): Promise<Figures> => {
  measured ??= measure(mode === "small" ? { starts: 3, idleMs: 5_000 } : { starts: 11, idleMs: 180_000 });
  return measured;
};

export const rows: readonly BenchRow[] = [
  { name: "agent as released: start to every slice offered, beyond Node's start", aim: "under 1 s", run: start },
  { name: "agent as released: resident memory, idle with 8 GPUs × 7 slices", aim: "under 90 MiB", run: memory },
  { name: "agent as released: processor time per hour, idle", aim: "under 36 s, 1 % of a core", run: idle },
];

async function start(mode: "small" | "full"): Promise<BenchResult> {
  const { offeredMs, emptyMs } = await figuresOf(mode);
  const beyondMs = median(offeredMs) - median(emptyMs);
  const note = `${median(offeredMs).toFixed(0)} ms, an empty script ${median(emptyMs).toFixed(0)} ms, medians of ${offeredMs.length}`;
  return { figure: `${beyondMs.toFixed(0)} ms`, met: beyondMs < 1_000, note };
}

async function memory(mode: "small" | "full"): Promise<BenchResult> {
  const { residentMiB, idleMs } = await figuresOf(mode);
  const note = `the most of VmRSS in ${(idleMs / 1_000).toFixed(0)} s idle`;
  return { figure: `${residentMiB.toFixed(0)} MiB`, met: residentMiB < 90, note };
}

async function idle(mode: "small" | "full"): Promise<BenchResult> {
  const { busyMs, idleMs } = await figuresOf(mode);
  const perHourS = (busyMs / idleMs) * 3_600;
  const note = `${busyMs.toFixed(0)} ms in ${(idleMs / 1_000).toFixed(0)} s, scaled; without libuv's threads, where the double polls`;
  return { figure: `${perHourS.toFixed(0)} s`, met: perHourS < 36, note };
}

interface Measurement {
  readonly starts: number;
  readonly idleMs: number;
}

async function measure({ starts, idleMs }: Measurement): Promise<Figures> {
  return withBundle((entry) =>
    withMockNode(async (node) => {
      const machine = await Machine.start(entry, node);
      try {
        const offeredMs: number[] = [];
        const emptyMs: number[] = [];
        for (let count = 0; count < starts; count += 1) {
          emptyMs.push(await machine.emptyScript());
          offeredMs.push(await machine.startAgent());
          if (count < starts - 1) await machine.stopAgent();
        }
        // Until what the start left to do is done.
        await sleep(idleMs / 4);
        const before = await machine.busyMs();
        const sizesMiB: number[] = [];
        for (let second = 0; second < idleMs / 1_000; second += 1) {
          await sleep(1_000);
          sizesMiB.push(await machine.residentMiB());
        }
        return {
          offeredMs,
          emptyMs,
          residentMiB: Math.max(...sizesMiB),
          busyMs: (await machine.busyMs()) - before,
          idleMs,
        };
      } finally {
        await machine.stop();
      }
    }),
  );
}

/** A node with a kubelet, whose agent is the bundle. */
class Machine {
  readonly #entry: string;
  readonly #node: MockNode;
  readonly #server: ApiServer;
  readonly #client: KubeClient;
  readonly #kubelet: KubeletStandIn;
  readonly #podResources: PodResourcesClient;
  #agent: ChildProcess | undefined;

  private constructor(entry: string, node: MockNode, server: ApiServer) {
    this.#entry = entry;
    this.#node = node;
    this.#server = server;
    this.#client = new KubeClient(server.connection());
    // No pod comes, so it does not matter that the kubelet's containers would run elsewhere.
    const driver = new SimulatedDriver({ seed: "bench", models: [] });
    const rootDirectory = this.#path("k");
    this.#kubelet = new KubeletStandIn({ name: "bench", ordinal: 0, rootDirectory, api: this.#client, driver });
    const socketPath = join(rootDirectory, "pod-resources", "kubelet.sock");
    this.#podResources = new PodResourcesClient({ socketPath });
  }

  /** Cuts the GPUs and starts all but the agent. */
  static async start(entry: string, node: MockNode): Promise<Machine> {
    const server = await startApiServer({ clock: systemClock, log: silentLogger });
    const machine = new Machine(entry, node, server);
    await writeFile(machine.#path("empty.js"), "");
    await writeFile(machine.#path("mig.yaml"), sevens);
    await writeFile(machine.#path("kubeconfig"), server.kubeconfig());
    await mkdir(machine.#path("k"));
    await ended(machine.#spawn(entry, "mig", "apply", "-f", machine.#path("mig.yaml"), ...machine.#options));
    await machine.#kubelet.start();
    return machine;
  }

  async stop(): Promise<void> {
    await this.stopAgent();
    this.#podResources.close();
    await this.#kubelet.stop();
    await this.#client.close();
    await this.#server.close();
  }

  /** Starts the agent; how long it took until the kubelet could hand out every slice. */
  async startAgent(): Promise<number> {
    const startMs = performance.now();
    const places = [
      "--kubeconfig",
      this.#path("kubeconfig"),
      "--kubelet-root",
      this.#path("k"),
      "--node-name",
      "bench",
    ];
    const cdi = ["--cdi-directory", this.#path("cdi"), "--mig-strategy", "mixed"];
    this.#agent = this.#spawn(this.#entry, "agent", ...places, ...cdi, ...this.#options);
    while (performance.now() - startMs < deadlineMs) {
      const shown = await this.#podResources.allocatable();
      if (shown.get(resource)?.length === devices) return performance.now() - startMs;
      await sleep(2);
    }
    throw new Error(`the kubelet does not show ${devices} of ${resource}`);
  }

  async stopAgent(): Promise<void> {
    if (this.#agent === undefined) return;
    const end = ended(this.#agent);
    this.#agent.kill("SIGTERM");
    await end;
    this.#agent = undefined;
  }

  async emptyScript(): Promise<number> {
    const startMs = performance.now();
    await ended(this.#spawn(this.#path("empty.js")));
    return performance.now() - startMs;
  }

  /** What the agent holds of memory now. */
  async residentMiB(): Promise<number> {
    const status = await readFile(`/proc/${this.#agent?.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  }

  /**
   * What the agent has taken of processors, but for libuv's threads: in one of them the double looks for events 500
   * times a second, where NVIDIA's library sleeps.
   */
  async busyMs(): Promise<number> {
    const tasks = `/proc/${this.#agent?.pid}/task`;
    const times = (await readdir(tasks)).map(async (thread) => {
      if ((await readFile(join(tasks, thread, "comm"), "utf8")).startsWith("libuv-worker")) return 0;
      const [nanoseconds] = (await readFile(join(tasks, thread, "schedstat"), "utf8")).split(" ");
      return Number(nanoseconds) / 1e6;
    });
    return (await Promise.all(times)).reduce((sum, ms) => sum + ms, 0);
  }

  get #options(): readonly string[] {
    const { libraryPath, root, nvidiaSmi } = this.#node;
    const places = ["--nvml-library", libraryPath, "--root", root, "--nvidia-smi", nvidiaSmi];
    return [...places, "--state-dir", this.#path("own")];
  }

  #path(name: string): string {
    return join(this.#node.directory, name);
  }

  #spawn(...args: readonly string[]): ChildProcess {
    const env = { ...process.env, XDG_CACHE_HOME: this.#node.directory };
    return spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  }
}

const sevens = "version: v1\nmig-configs: {all: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}]}\n";

/** Waits for the end of a process; throws what it said when it failed. */
async function ended(child: ChildProcess): Promise<void> {
  let said = "";
  child.stderr?.on("data", (text) => {
    said += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with exit code ${code}:\n${said}`);
}
