/**
 * NVIDIA's own figures, end to end through the rooms of an agent: what its documentation and tests say of a node and a
 * config must come out here, or be beaten in a way that is stated.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { xidRules } from "../../src/agent/health/xid-rules.ts";
import { parseDevicePluginConfig } from "../../src/config/index.ts";
import { type Gpu, migGigabytes } from "../../src/gpu/index.ts";
import { sanitised } from "../../src/insight/feature-labels/label-text.ts";
import { featureLabels } from "../../src/insight/index.ts";
import { allocate, offers, preferredAllocation } from "../../src/sharing/index.ts";
import { capacityText, gpu, gpus, idsOf, settings } from "../sharing/fixtures.ts";

const sevenSlices = [0, 1, 2, 3, 4, 5, 6].map((start) => `1g.10gb@${start}`).join(" ");
const slicedAndPlain = [gpu(0, sevenSlices), gpu(1)];

function configOf(text: string) {
  const read = parseDevicePluginConfig(text, "config.yaml");
  assert.ok(read.ok, JSON.stringify(read.findings));
  return read.value;
}

/** `resource ×replicas` as a file. */
function shared(strategy: "timeSlicing" | "mps", resource: string, replicas: number, more = ""): string {
  return `version: v1\nsharing: {${strategy}: {${more}resources: [{name: nvidia.com/${resource}, replicas: ${replicas}}]}}\n`;
}

function offersOf(found: readonly Gpu[], text: string, migStrategy: "none" | "single" | "mixed" = "none") {
  return offers({ gpus: found, config: configOf(text), settings: { ...settings, migStrategy }, nodeName: "n" });
}

describe("a MIG device's name tells its size", () => {
  const rows: Readonly<Record<string, string>> = {
    "40960": "4864→5 9856→10 20096→20 40192→40",
    "81920": "9728→10 19968→20 40448→40 80896→80",
    "24576": "5952→6 11968→12 24125→24",
    "95830": "11008→12 22144→24 45056→47 94720→94",
    "143771": "16384→18 33280→35 71168→71 143616→141",
    "183359": "22528→23 45056→45 91136→90 182784→180",
  };
  for (const [parent, text] of Object.entries(rows)) {
    test(`of ${parent} MiB`, () => {
      const named = text.split(" ").map((pair) => {
        const memoryMiB = Number.parseInt(pair, 10);
        return `${memoryMiB}→${migGigabytes(memoryMiB, Number(parent))}`;
      });
      assert.equal(named.join(" "), text);
    });
  }
});

describe("a node advertises", () => {
  const byTen = shared("timeSlicing", "gpu", 10);
  const rows = [
    { name: "8 GPUs", found: gpus(8), text: "", want: "nvidia.com/gpu: 8" },
    { name: "8 GPUs shared by 10", found: gpus(8), text: byTen, want: "nvidia.com/gpu: 80" },
    {
      name: "8 GPUs shared by 10 and renamed",
      found: gpus(8),
      text: shared("timeSlicing", "gpu", 10, "renameByDefault: true, "),
      want: "nvidia.com/gpu.shared: 80",
    },
    {
      name: "seven slices shared by 2 beside a plain GPU, mixed",
      found: slicedAndPlain,
      text: shared("timeSlicing", "mig-1g.10gb", 2),
      strategy: "mixed",
      want: "nvidia.com/gpu: 1, nvidia.com/mig-1g.10gb: 14",
    },
    {
      // NVIDIA's plugin ends itself over it; the plain GPU is what the name means to a pod.
      name: "the same under single, without an end",
      found: slicedAndPlain,
      text: shared("timeSlicing", "mig-1g.10gb", 2),
      strategy: "single",
      want: "nvidia.com/gpu: 1",
      codes: ["single-strategy-conflict"],
    },
    {
      name: "2 GPUs shared by MPS with 4",
      found: gpus(2),
      text: shared("mps", "gpu", 4),
      want: "nvidia.com/gpu: 8",
    },
  ] as const;
  for (const { name, found, text, want, ...rest } of rows) {
    test(name, () => {
      const made = offersOf(found, text, "strategy" in rest ? rest.strategy : "none");
      assert.equal(capacityText(made.offers), want);
      const codes = made.findings.map(({ code }) => code);
      for (const code of "codes" in rest ? rest.codes : []) assert.ok(codes.includes(code), codes.join());
    });
  }

  test("shares of MPS of which a container may have one", () => {
    const [offer] = offersOf(gpus(2), shared("mps", "gpu", 4)).offers;
    assert.ok(offer !== undefined);
    const ids = ["GPU-0::0", "GPU-0::1"];
    const request = { offer, ids, settings, presentControlNodes: new Set<string>(), randomUuid: () => "" };
    assert.throws(() => allocate(request), { message: /maximum request size for shared resources is 1; found 2/ });
  });
});

describe("of two GPUs with 4 shares each, a container gets", () => {
  const [offer] = offersOf(gpus(2), shared("timeSlicing", "gpu", 4)).offers;
  const rows = [
    { size: 4, policy: "distributed", want: [2, 2] },
    { size: 4, policy: "packed", want: [4, 0] },
    { size: 5, policy: "packed", want: [4, 1] },
  ] as const;
  for (const { size, policy, want } of rows) {
    test(`${want.join(" and ")} of ${size}, ${policy}`, () => {
      assert.ok(offer !== undefined);
      const available = idsOf(offer.devices);
      const got = preferredAllocation({ offer, available, mustInclude: [], size, policy, pairScore: () => 0 });
      const counts = ["GPU-0", "GPU-1"].map((uuid) => got.filter((id) => id.startsWith(`${uuid}::`)).length);
      assert.deepEqual(
        counts.toSorted((a, b) => b - a),
        want,
      );
    });
  }

  test("an error when there are not so many", () => {
    const [one] = offersOf(gpus(1), shared("timeSlicing", "gpu", 2)).offers;
    assert.ok(one !== undefined);
    const available = idsOf(one.devices);
    const question = { offer: one, available, mustInclude: [], size: 5, policy: "packed", pairScore: () => 0 } as const;
    assert.throws(() => preferredAllocation(question));
  });
});

describe("labels say", () => {
  const a100 = "NVIDIA-A100-SXM4-80GB";
  const byFour = { "gpu.count": "2", "gpu.replicas": "4", "gpu.sharing-strategy": "time-slicing" };
  const cut = [gpu(0, sevenSlices)];
  const rows = [
    {
      name: "two GPUs shared by 4",
      found: gpus(2),
      text: shared("timeSlicing", "gpu", 4),
      want: { ...byFour, "gpu.product": `${a100}-SHARED`, "mps.capable": "false", "mig.strategy": undefined },
    },
    {
      name: "the same renamed",
      found: gpus(2),
      text: shared("timeSlicing", "gpu", 4, "renameByDefault: true, "),
      want: { ...byFour, "gpu.product": a100, "mps.capable": "false" },
    },
    {
      name: "seven slices under single",
      found: cut,
      text: "",
      strategy: "single",
      want: {
        "gpu.product": `${a100}-MIG-1g.10gb`,
        "gpu.count": "7",
        "gpu.replicas": "1",
        "gpu.sharing-strategy": "none",
        "gpu.slices.gi": "1",
        "gpu.slices.ci": "1",
        "mig.strategy": "single",
      },
    },
    {
      name: "seven slices under mixed",
      found: cut,
      text: "",
      strategy: "mixed",
      want: { "gpu.count": "1", "gpu.replicas": "0", "mig-1g.10gb.count": "7", "mig-1g.10gb.replicas": "1" },
    },
  ] as const;
  for (const { name, found, text, want, ...rest } of rows) {
    test(name, () => {
      const { labels } = featureLabels({
        nodeName: "n",
        gpus: found,
        driverVersion: "550.107.02",
        facts: { cudaVersion: "12.4", pciClasses: new Map(), fabrics: new Map(), vgpuHost: "none" },
        config: configOf(text),
        migStrategy: "strategy" in rest ? rest.strategy : "none",
        machineType: undefined,
        timestamp: undefined,
      });
      assert.deepEqual(
        Object.fromEntries(Object.keys(want).map((key) => [key, labels.get(`nvidia.com/${key}`)])),
        want,
      );
    });
  }
});

describe("a product's name becomes a label's value", () => {
  const rows = [
    ["NVIDIA TITAN X (Pascal)", "NVIDIA-TITAN-X-Pascal"],
    ["X9SRA/X9SRA-3", "X9SRAX9SRA-3"],
    ["a  / b", "a-b"],
  ] as const;
  for (const [name, want] of rows) test(name, () => assert.equal(sanitised(name), want));
});

describe("an XID counts or not", () => {
  const rows = [
    { name: "no variable", env: {}, want: "13 ignored, 48 fatal" },
    { name: "some disabled", env: { DP_DISABLE_HEALTHCHECKS: "48, 63,x" }, want: "48 ignored, 63 ignored" },
    { name: "one enabled", env: { DP_ENABLE_HEALTHCHECKS: "13" }, want: "13 fatal" },
    { name: "all enabled", env: { DP_ENABLE_HEALTHCHECKS: "all" }, want: "13 fatal, 31 fatal, 43 fatal, 109 fatal" },
  ];
  for (const { name, env, want } of rows) {
    test(`${name}: ${want}`, () => {
      const { counts } = xidRules(new Map(Object.entries(env)));
      const got = want.split(", ").map((text) => {
        const xid = Number.parseInt(text, 10);
        return `${xid} ${counts(xid) ? "fatal" : "ignored"}`;
      });
      assert.equal(got.join(", "), want);
    });
  }
});

describe("a config is", () => {
  const entry = (text: string): string => `sharing: {timeSlicing: {resources: [${text}]}}`;
  const rows = [
    ["timeSlicing: {}", "sharing: {timeSlicing: {}}", "refused"],
    ["mps: null", "sharing: {mps: null}", "taken"],
    ["replicas: 1", entry("{name: gpu, replicas: 1}"), "refused"],
    ['replicas: "4"', entry('{name: gpu, replicas: "4"}'), "refused"],
    ["name: gpu", entry("{name: gpu, replicas: 4}"), "taken"],
    ["name: nvidia.com/GPU", entry("{name: nvidia.com/GPU, replicas: 4}"), "refused"],
    ["devices: [GPU-foo]", entry("{name: gpu, replicas: 4, devices: [GPU-foo]}"), "refused"],
    ["failOnInitError: yes", "flags: {failOnInitError: yes}", "taken"],
    ["version: v2", "", "refused"],
    ["an unknown key", "flags: {unheardOf: 1}", "taken"],
  ] as const;
  for (const [name, text, want] of rows) {
    test(`${want} with ${name}`, () => {
      const version = name === "version: v2" ? name : "version: v1";
      assert.equal(parseDevicePluginConfig(`${version}\n${text}\n`, "config.yaml").ok ? "taken" : "refused", want);
    });
  }
});
