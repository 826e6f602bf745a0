import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type MpsDaemon,
  mpsDaemons,
  mpsLimitCommands,
  mpsProcessIds,
  mpsServerCommands,
  type Offer,
} from "../../src/sharing/index.ts";
import { gpu, gpus, nodeOffers } from "./fixtures.ts";

/** Offers of one GPU of that size, shared by so many. */
function sized(memoryMiB: number, replicas: number): readonly Offer[] {
  const [gpu] = gpus(1);
  assert.ok(gpu);
  const one = { ...gpu, memoryMiB };
  return nodeOffers({
    gpus: [one],
    share: [`gpu x${replicas}`],
    sharing: { strategy: "mps", failRequestsGreaterThanOne: true },
  }).offers;
}

function commands(offers: readonly Offer[]): readonly string[] {
  return mpsDaemons(offers).flatMap((daemon) => mpsLimitCommands(daemon));
}

describe("limits are NVIDIA's, rounded down", () => {
  // NVIDIA k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go: perDevicePinnedDeviceMemoryLimits, activeThreadPercentage.
  const rows = [
    { memoryMiB: 81559, replicas: 4, want: ["20389M", "25"] },
    { memoryMiB: 46068, replicas: 10, want: ["4606M", "10"] },
    { memoryMiB: 81559, replicas: 3, want: ["27186M", "33"] },
    { memoryMiB: 81559, replicas: 48, want: ["1699M", "2"] },
    { memoryMiB: 0, replicas: 4, want: [undefined, "25"] },
  ];
  for (const { memoryMiB, replicas, want } of rows) {
    test(`${memoryMiB} MiB by ${replicas}`, () => {
      const [memory, threads] = want;
      assert.deepEqual(commands(sized(memoryMiB, replicas)), [
        ...(memory === undefined ? [] : [`set_default_device_pinned_mem_limit 0 ${memory}`]),
        `set_default_active_thread_percentage ${threads}`,
      ]);
    });
  }
});

/** `GPU-0: 4 shares of 20480 MiB, 25 %`. */
function text({ deviceUuid, shares, limits }: MpsDaemon): string {
  return `${deviceUuid}: ${shares} shares, ${limits.memoryMiB} MiB, ${limits.threadPercentage} %`;
}

describe("daemons", () => {
  const rows = [
    {
      name: "two GPUs by four have one each",
      share: ["gpu x4"],
      want: [0, 1].map((at) => `GPU-${at}: 4 shares, 20480 MiB, 25 %`),
    },
    {
      name: "unequal shares have limits of their own",
      share: ["gpu[0] x2", "gpu[1] x5"],
      want: ["GPU-0: 2 shares, 40960 MiB, 50 %", "GPU-1: 5 shares, 16384 MiB, 20 %"],
    },
    {
      name: "a GPU under two names has one daemon, which allows the larger share",
      share: ["gpu[0] x2 as large", "gpu[0] x8 as small"],
      want: ["GPU-0: 10 shares, 40960 MiB, 50 %"],
    },
    {
      name: "where a container may ask for all shares, all are allowed",
      share: ["gpu[0] x4"],
      all: true,
      want: ["GPU-0: 4 shares, 81920 MiB, 100 %"],
    },
    { name: "time slices have none", share: ["gpu x4"], strategy: "time-slicing", want: [] },
  ] as const;
  for (const { name, share, want, ...more } of rows) {
    test(name, () => {
      const sharing = {
        strategy: "strategy" in more ? more.strategy : ("mps" as const),
        failRequestsGreaterThanOne: !("all" in more),
      };
      assert.deepEqual(mpsDaemons(nodeOffers({ gpus: gpus(2), share, sharing }).offers).map(text), want);
    });
  }
});

test("a MIG device has a daemon of its own, with limits of its own memory", () => {
  const node = {
    gpus: [gpu(0, "3g.40gb@0 1g.10gb@4")],
    settings: { migStrategy: "mixed" as const },
    share: ["mig-3g.40gb x2", "mig-1g.10gb x5"],
    sharing: { strategy: "mps" as const, failRequestsGreaterThanOne: true },
  };
  assert.deepEqual(mpsDaemons(nodeOffers(node).offers).map(text), [
    "MIG-0-4-0: 5 shares, 1945 MiB, 20 %",
    "MIG-0-0-0: 2 shares, 20096 MiB, 50 %",
  ]);
});

test("a server that runs is told by its process id", () => {
  const [daemon] = mpsDaemons(sized(81559, 4));
  assert.ok(daemon);
  assert.deepEqual(mpsServerCommands(daemon, 4711), [
    "set_device_pinned_mem_limit 4711 0 20389M",
    "set_active_thread_percentage 4711 25",
  ]);
});

test("process ids are read from lists, whatever stands between them", () => {
  assert.deepEqual(mpsProcessIds(""), []);
  assert.deepEqual(mpsProcessIds("4711\n 4712\r\n"), [4711, 4712]);
  assert.deepEqual(mpsProcessIds("Server 1 not found\n12\n"), [12]);
});
