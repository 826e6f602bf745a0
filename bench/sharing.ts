/** Speed of what the kubelet waits for: preferred allocation and Allocate; and of making offers anew. */

import { allocate, type Device, linkScore, preferredAllocation } from "../src/sharing/index.ts";
import { settings } from "../test/sharing/fixtures.ts";
import { offerOf } from "./offer.ts";
import type { BenchResult, BenchRow } from "./row.ts";

interface Measurement {
  readonly aimMs: number;
  /** Makes the input of one run, outside the measured time. */
  prepare(): () => unknown;
}

/** The median of single calls, after some that warm up. */
function median({ aimMs, prepare }: Measurement, samples: number): BenchResult {
  const times: number[] = [];
  for (let n = -20; n < samples; n += 1) {
    const call = prepare();
    const beginMs = performance.now();
    call();
    if (n >= 0) times.push(performance.now() - beginMs);
  }
  times.sort((a, b) => a - b);
  const middle = times[Math.floor(times.length / 2)] ?? 0;
  const worst = times.at(-1) ?? 0;
  return {
    figure: `${middle.toFixed(3)} ms`,
    met: middle <= aimMs,
    note: `median of ${samples}, slowest ${worst.toFixed(3)} ms`,
  };
}

function row(name: string, measurement: Measurement): BenchRow {
  return {
    name,
    aim: `at most ${measurement.aimMs} ms`,
    run: async (mode) => median(measurement, mode === "small" ? 30 : 500),
  };
}

/** Ids as they come off the wire: fresh strings, in no order. */
function wireIds(devices: readonly Device[]): readonly string[] {
  const ids = devices.map(({ id }) => Buffer.from(id).toString());
  return ids.map((id, n) => ids[(n * 7919) % ids.length] ?? id);
}

/** Free ids are given as the plugin server gives them: in the order of the offer. */
function sharesRow(deviceCount: number): BenchRow {
  const offer = offerOf(8, deviceCount / 8);
  return row(`preferred allocation, 2 of ${deviceCount} devices`, {
    aimMs: 1,
    prepare: () => {
      const available = offer.devices.filter((_, at) => at % 3 !== 0).map(({ id }) => id);
      return () =>
        preferredAllocation({ offer, available, mustInclude: [], size: 2, policy: "distributed", pairScore: () => 10 });
    },
  });
}

/** How strongly the GPUs at two positions are linked. */
type Links = (one: number, other: number) => number;

/** NVLinks of a DGX-1 with V100s, in which every GPU has six (NVIDIA DGX-1 system architecture, hybrid cube mesh). */
const cubeMesh = new Map(
  ["01:1 02:1 03:2 04:2 12:2 13:1 15:2 23:2 26:1 37:1 45:1 46:1 47:2 56:2 57:1 67:2"]
    .flatMap((pairs) => pairs.split(" "))
    .map((pair) => [pair.slice(0, 2), Number(pair.slice(3))]),
);

const topologies: readonly { readonly name: string; readonly count: number; readonly links: Links }[] = [
  {
    name: "8 GPUs with the NVLinks of a DGX-1",
    count: 8,
    links: (one, other) => {
      const nvlinks = cubeMesh.get(`${Math.min(one, other)}${Math.max(one, other)}`) ?? 0;
      const isOneSocket = one >> 2 === other >> 2;
      return linkScore({ ancestor: one >> 1 === other >> 1 ? "single" : isOneSocket ? "node" : "system", nvlinks });
    },
  },
  { name: "16 GPUs behind NVSwitches", count: 16, links: () => linkScore({ ancestor: "node", nvlinks: 0 }) },
  {
    name: "16 GPUs with NVLinks at random",
    count: 16,
    links: () => linkScore({ ancestor: "node", nvlinks: Math.floor(Math.random() * 19) }),
  },
];

/** Any number of whole GPUs: the figure is that of the number which takes longest. */
function alignedRow({ name, count, links }: (typeof topologies)[number]): BenchRow {
  const offer = offerOf(count, 1);
  const measurement = (size: number): Measurement => ({
    aimMs: 1,
    prepare: () => {
      const scores = new Map<string, number>();
      for (const [one, a] of offer.devices.entries()) {
        for (const [other, b] of offer.devices.entries()) {
          if (one < other) scores.set(a.uuid + b.uuid, links(one, other));
        }
      }
      const pairScore = (a: string, b: string): number => scores.get(a < b ? a + b : b + a) ?? 0;
      const available = wireIds(offer.devices);
      return () => preferredAllocation({ offer, available, mustInclude: [], size, policy: "distributed", pairScore });
    },
  });
  return {
    name: `preferred allocation, any number of ${name}`,
    aim: "at most 1 ms",
    run: async (mode) => {
      const results = Array.from({ length: count }, (_, at) => {
        const { figure, met, note = "" } = median(measurement(at + 1), mode === "small" ? 20 : 200);
        return { figure, met, note: `for ${at + 1}, ${note}`, ms: Number.parseFloat(figure) };
      });
      const slow = results.filter(({ met }) => !met).length;
      const worst = results.reduce((one, other) => (other.ms > one.ms ? other : one));
      return { ...worst, note: slow === 0 ? worst.note : `${worst.note}; ${count - slow} of ${count} numbers meet it` };
    },
  };
}

function allocateRow(deviceCount: number): BenchRow {
  const offer = offerOf(8, deviceCount / 8);
  return row(`allocate, 2 of ${deviceCount} devices`, {
    aimMs: 0.2,
    prepare: () => {
      const ids = wireIds(offer.devices).slice(-2);
      const request = { offer, ids, settings, presentControlNodes: new Set<string>(), randomUuid: () => "" };
      return () => allocate(request);
    },
  });
}

export const rows: readonly BenchRow[] = [
  ...[8, 800, 8000].map(sharesRow),
  ...topologies.map(alignedRow),
  ...[8, 8000].map(allocateRow),
  row("offers of 8 GPUs by 1000 shares", { aimMs: 10, prepare: () => () => offerOf(8, 1000) }),
];
