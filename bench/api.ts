/** How fast the embedded API server writes, lists and tells its watchers, over real HTTPS. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type Finding, findingLine, silentLogger, systemClock } from "../src/base/index.ts";
import { type ApiServer, Journal, readKept, startApiServer } from "../src/embedded/index.ts";
import { KubeClient, type Pod, resources } from "../src/kube/index.ts";
import type { BenchRow } from "./row.ts";

/** Enough writers to keep the server busy, as a few controllers and kubelets do. */
const writers = 8;

export const rows: readonly BenchRow[] = [
  {
    name: "API server: sustained writes",
    aim: "at least 1,000 a second",
    run: (mode) => withServer((server) => writesPerSecond(server, mode === "small" ? 1_000 : 10_000)),
  },
  {
    name: "API server: sustained writes over a journal",
    aim: "at least 1,000 a second",
    run: (mode) => withJournal((path) => keptWrites(path, mode === "small" ? 1_000 : 10_000)),
  },
  {
    name: "API server: back with 10,000 pods from the journal",
    aim: "at most 2 s",
    run: () => withJournal(comingBack),
  },
  {
    name: "API server: sustained status writes",
    aim: "at least 1,000 a second",
    run: (mode) => withServer((server) => statusesPerSecond(server, mode === "small" ? 1_000 : 10_000)),
  },
  {
    name: "API server: list of 2,000 pods",
    aim: "at most 200 ms with reading it",
    run: (mode) => withServer((server) => listTime(server, mode === "small" ? 3 : 20)),
  },
  {
    name: "API server: an event reaches 100 watchers",
    aim: "at most 50 ms median",
    run: (mode) => withServer((server) => fanOut(server, mode === "small" ? 20 : 200)),
  },
];

async function withServer<T>(measure: (server: ApiServer) => Promise<T>): Promise<T> {
  const server = await startApiServer({ clock: systemClock, log: silentLogger });
  try {
    return await measure(server);
  } finally {
    await server.close();
  }
}

async function withJournal<T>(measure: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    return await measure(join(directory, "journal.jsonl"));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Runs with a server that keeps its objects at `path`, and tells how long it took to start. */
async function withKeptServer<T>(
  path: string,
  measure: (server: ApiServer, startMs: number) => Promise<T>,
): Promise<T> {
  const startMs = performance.now();
  const kept = await readKept(path);
  if (!kept.ok) throw new Error(kept.findings.map(findingLine).join("\n"));
  const tell = (one: Finding): never => {
    throw new Error(findingLine(one));
  };
  const journal = new Journal({ path, kept: kept.value, clock: systemClock, tell });
  const server = await startApiServer({ clock: systemClock, log: silentLogger, journal });
  try {
    return await measure(server, performance.now() - startMs);
  } finally {
    await server.close();
    await journal.close();
  }
}

async function keptWrites(path: string, count: number) {
  const row = await withKeptServer(path, (server) => writesPerSecond(server, count));
  const { size } = await stat(path);
  return { ...row, note: `${row.note}; each on disk before it is answered, ${Math.round(size / 2 ** 20)} MiB` };
}

async function comingBack(path: string) {
  await withKeptServer(path, async (server) => {
    const client = new KubeClient(server.connection());
    await fill(client, 10_000);
    await client.close();
  });
  const ms = await withKeptServer(path, async (server, startMs) => {
    if (server.stats.objects < 10_000) throw new Error(`${server.stats.objects} objects came back`);
    return startMs;
  });
  return { figure: `${(ms / 1000).toFixed(2)} s`, met: ms <= 2_000, note: "read, checked and written anew" };
}

function podNamed(name: string): Pod {
  const limits = { cpu: "1", memory: "1Gi", "nvidia.com/gpu": "1" };
  const containers = [{ name: "main", image: "registry.example/app:1", resources: { limits } }];
  const metadata = { name, namespace: "default", labels: { app: "bench" } };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers } };
}

async function writesPerSecond(server: ApiServer, count: number) {
  const client = new KubeClient(server.connection());
  let next = 0;
  const startMs = performance.now();
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      await client.create<Pod>(resources.pods, podNamed(`pod-${index}`));
    }
  };
  await Promise.all(Array.from({ length: writers }, work));
  const perSecond = (count * 1000) / (performance.now() - startMs);
  await client.close();
  const note = `${count} pods created by ${writers} writers, server and client in one process`;
  return { figure: `${Math.round(perSecond)} a second`, met: perSecond >= 1_000, note };
}

/** As kubelets write them: the whole object to the status subresource. */
async function statusesPerSecond(server: ApiServer, count: number) {
  const client = new KubeClient(server.connection());
  await fill(client, 500);
  const { items } = await client.list<Pod>(resources.pods);
  const pods = [...items];
  let next = 0;
  const startMs = performance.now();
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const pod = pods[index % pods.length];
      if (pod === undefined) return;
      const conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => {
        return { type, status: "True" as const, lastTransitionTime: new Date(index * 1000).toISOString() };
      });
      const changed = { ...pod, status: { phase: "Running" as const, podIP: "10.0.0.1", conditions } };
      pods[index % pods.length] = await client.update(resources.pods, changed, { subresource: "status" });
    }
  };
  await Promise.all(Array.from({ length: writers }, work));
  const perSecond = (count * 1000) / (performance.now() - startMs);
  await client.close();
  const note = `${count} statuses of 500 pods by ${writers} writers, with the owners of their fields`;
  return { figure: `${Math.round(perSecond)} a second`, met: perSecond >= 1_000, note };
}

async function fill(client: KubeClient, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `pod-${index}`);
  for (let start = 0; start < count; start += 50) {
    const batch = names.slice(start, start + 50);
    await Promise.all(batch.map((name) => client.create<Pod>(resources.pods, podNamed(name))));
  }
}

async function listTime(server: ApiServer, rounds: number) {
  const client = new KubeClient(server.connection());
  await fill(client, 2_000);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now();
    const { items } = await client.list<Pod>(resources.pods);
    if (items.length !== 2_000) throw new Error(`the list holds ${items.length} pods`);
    samples.push(performance.now() - startMs);
  }
  await client.close();
  const ms = median(samples);
  return { figure: `${ms.toFixed(0)} ms`, met: ms <= 200, note: `median of ${rounds}, in pages of 500` };
}

async function fanOut(server: ApiServer, rounds: number) {
  const client = new KubeClient(server.connection());
  const stop = new AbortController();
  const started = Array.from({ length: 100 }, () => Promise.withResolvers<void>());
  const arrivals: number[] = [];
  let sentMs = 0;
  let round = Promise.withResolvers<void>();
  const watchers = started.map(async ({ resolve }) => {
    const options = { namespace: "default", resourceVersion: undefined, signal: stop.signal };
    for await (const event of client.watch<Pod>(resources.pods, options)) {
      if (event.type === "ADDED") resolve();
      if (event.type !== "MODIFIED") continue;
      arrivals.push(performance.now() - sentMs);
      if (arrivals.length % 100 === 0) round.resolve();
    }
  });
  await client.create<Pod>(resources.pods, podNamed("pod"));
  await Promise.all(started.map(({ promise }) => promise));
  for (let index = 0; index < rounds; index++) {
    round = Promise.withResolvers<void>();
    sentMs = performance.now();
    const labels = { round: String(index) };
    await client.mergePatch<Pod>(resources.pods, { namespace: "default", name: "pod" }, { metadata: { labels } });
    await round.promise;
  }
  stop.abort();
  await Promise.allSettled(watchers);
  await client.close();
  const ms = median(arrivals);
  const worst = Math.max(...arrivals).toFixed(1);
  const note = `from the write to each of 100 watchers, ${rounds} writes, worst ${worst} ms`;
  return { figure: `${ms.toFixed(1)} ms`, met: ms <= 50, note };
}

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
