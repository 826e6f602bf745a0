/** Speed of what the kubelet waits for: preferred allocation and Allocate; and of making offers anew. */

import { allocate, type Device, preferredAllocation } from "../src/sharing/index.ts";
import { offerOf, settings } from "./offer.ts";
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

function sharesRow(deviceCount: number): BenchRow {
  const offer = offerOf(8, deviceCount / 8);
  return row(`preferred allocation, 2 of ${deviceCount} devices`, {
    aimMs: 1,
    prepare: () => {
      const available = wireIds(offer.devices);
      return () =>
        preferredAllocation({ offer, available, mustInclude: [], size: 2, policy: "distributed", pairScore: () => 10 });
    },
  });
}

/** Random links, so that no division is favoured by its position. */
function alignedRow(size: number): BenchRow {
  const offer = offerOf(16, 1);
  return row(`preferred allocation, ${size} of 16 whole GPUs`, {
    aimMs: 50,
    prepare: () => {
      const scores = new Map<string, number>();
      for (const a of offer.devices) {
        for (const b of offer.devices) {
          const key = [a.uuid, b.uuid].sort().join();
          if (!scores.has(key)) scores.set(key, 10 + 100 * Math.floor(Math.random() * 19));
        }
      }
      const pairScore = (a: string, b: string): number => scores.get([a, b].sort().join()) ?? 0;
      const available = wireIds(offer.devices);
      return () => preferredAllocation({ offer, available, mustInclude: [], size, policy: "distributed", pairScore });
    },
  });
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
  ...Array.from({ length: 16 }, (_, n) => alignedRow(n + 1)),
  ...[8, 8000].map(allocateRow),
  row("offers of 8 GPUs by 1000 shares", { aimMs: 10, prepare: () => () => offerOf(8, 1000) }),
];
