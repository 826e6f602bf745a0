import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseMigParted, type WantedMigResult, wantedMig } from "../../src/config/index.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { gpuOf } from "./support/gpus.ts";
import { marks, valueFrom } from "./support/outcomes.ts";

const a100 = (index: number): Gpu => gpuOf("a100-sxm4-80gb", index);
const a40 = (index: number): Gpu => gpuOf("a100-sxm4-40gb", index);
const t4 = (index: number): Gpu => gpuOf("t4-16gb", index);

/** Walks the entries, one per line, over the GPUs; the first entry stands in line 4. */
function walk(entries: readonly string[], gpus: readonly Gpu[]): WantedMigResult {
  const text = `version: v1\nmig-configs:\n  x:\n${entries.map((entry) => `  - ${entry}\n`).join("")}`;
  const config = valueFrom(parseMigParted(text, "mig.yaml")).configs.get("x");
  assert.ok(config);
  return wantedMig(config, gpus);
}

/** `0:on 1g.10gb×2` per GPU that has a wanted state. */
function wantedText({ wanted }: WantedMigResult): readonly string[] {
  return wanted.map(({ gpuIndex, migEnabled, counts }) =>
    [`${gpuIndex}:${migEnabled ? "on" : "off"}`, ...[...counts].map(([name, count]) => `${name}×${count}`)].join(" "),
  );
}

interface Row {
  readonly name: string;
  readonly entries: readonly string[];
  readonly gpus: readonly Gpu[];
  readonly want: readonly string[];
  readonly marks: readonly string[];
}

const on = "mig-enabled: true, mig-devices";

// NVIDIA mig-parted cmd/nvidia-mig-parted/assert/assert.go and pkg/mig; what it passes over in silence is a finding.
const rows: readonly Row[] = [
  {
    name: "all reaches every GPU",
    entries: [`{devices: all, ${on}: {1g.10gb: 7}}`],
    gpus: [a100(0), a100(1)],
    want: ["0:on 1g.10gb×7", "1:on 1g.10gb×7"],
    marks: [],
  },
  {
    name: "indexes reach theirs, the rest stays",
    entries: [`{devices: [1], ${on}: {7g.80gb: 1}}`],
    gpus: [a100(0), a100(1)],
    want: ["1:on 7g.80gb×1"],
    marks: ["3:3 mig-gpu-uncovered"],
  },
  {
    name: "the last entry decides",
    entries: [`{devices: all, ${on}: {1g.10gb: 7}}`, `{devices: [0], ${on}: {3g.40gb: 2}}`],
    gpus: [a100(0), a100(1)],
    want: ["0:on 3g.40gb×2", "1:on 1g.10gb×7"],
    marks: ["4:5 mig-entry-overridden"],
  },
  {
    name: "two equal entries are no matter",
    entries: [`{devices: all, ${on}: {1g.10gb: 7}}`, `{devices: [0], ${on}: {1g.10gb: 7}}`],
    gpus: [a100(0)],
    want: ["0:on 1g.10gb×7"],
    marks: [],
  },
  {
    name: "entries that disagree on the mode leave the GPU alone",
    entries: ["{devices: all, mig-enabled: false}", `{devices: [0], ${on}: {}}`],
    gpus: [a100(0), a100(1)],
    want: ["1:off"],
    marks: ["5:33 mig-mode-conflict"],
  },
  {
    name: "MIG off for all",
    entries: ["{devices: all, mig-enabled: false}"],
    gpus: [a100(0), t4(1)],
    want: ["0:off"],
    marks: [],
  },
  {
    name: "all with MIG on passes over GPUs without MIG",
    entries: [`{devices: all, ${on}: {1g.10gb: 7}}`],
    gpus: [t4(0), a100(1)],
    want: ["1:on 1g.10gb×7"],
    marks: [],
  },
  {
    name: "an index with MIG on names a GPU without MIG",
    entries: [`{devices: [0, 1], ${on}: {1g.10gb: 7}}`],
    gpus: [t4(0), a100(1)],
    want: ["1:on 1g.10gb×7"],
    marks: ["4:15 mig-not-capable"],
  },
  {
    name: "an index with MIG off on a GPU without MIG is fine",
    entries: ["{devices: [0], mig-enabled: false}"],
    gpus: [t4(0)],
    want: [],
    marks: [],
  },
  {
    name: "indexes beyond the end and twice",
    entries: ["{devices: [0, 0, 2, -1], mig-enabled: false}"],
    gpus: [a100(0)],
    want: ["0:off"],
    marks: ["4:19 mig-index-unused", "4:22 mig-index-unused", "4:25 mig-index-unused"],
  },
  {
    name: "no device at all",
    entries: ["{devices: [], mig-enabled: false}"],
    gpus: [a100(0)],
    want: [],
    marks: ["3:3 mig-gpu-uncovered"],
  },
  {
    name: "a node without GPUs",
    entries: ['{device-filter: "0x20B210DE", devices: all, mig-enabled: false}'],
    gpus: [],
    want: [],
    marks: [],
  },
  {
    name: "filters sort the models",
    entries: [
      `{device-filter: "0x20b210de", devices: all, ${on}: {1g.10gb: 7}}`,
      `{device-filter: ["0x20B010DE"], devices: all, ${on}: {1g.5gb: 7}}`,
    ],
    gpus: [a40(0), a100(1)],
    want: ["0:on 1g.5gb×7", "1:on 1g.10gb×7"],
    marks: [],
  },
  {
    name: "a filter in decimal",
    entries: [`{device-filter: "${0x20b210de}", devices: all, mig-enabled: false}`],
    gpus: [a100(0)],
    want: ["0:off"],
    marks: [],
  },
  {
    name: "a filter that matches nothing while a GPU is left",
    entries: ['{device-filter: "0x233010DE", devices: all, mig-enabled: false}'],
    gpus: [a100(0)],
    want: [],
    marks: ["3:3 mig-gpu-uncovered", "4:21 mig-filter-unmatched"],
  },
  {
    name: "filters for other models are one remark",
    entries: [
      '{device-filter: "0x233010DE", devices: all, mig-enabled: false}',
      '{device-filter: "0x290110DE", devices: all, mig-enabled: false}',
      "{devices: all, mig-enabled: false}",
    ],
    gpus: [a100(0)],
    want: ["0:off"],
    marks: ["4:21 mig-entries-elsewhere"],
  },
  {
    name: "a subsystem that fits",
    entries: ['{device-filter: "0x20B210DE:0x146310DE", devices: all, mig-enabled: false}'],
    gpus: [gpuOf("a100-sxm4-80gb", 0, "146310DE")],
    want: ["0:off"],
    marks: [],
  },
  {
    name: "a subsystem that does not",
    entries: ['{device-filter: "0x20B210DE:0x146410DE", devices: all, mig-enabled: false}'],
    gpus: [gpuOf("a100-sxm4-80gb", 0, "146310DE")],
    want: [],
    marks: ["3:3 mig-gpu-uncovered", "4:21 mig-filter-unmatched"],
  },
  {
    name: "zero counts are left out",
    entries: [`{devices: all, ${on}: {1g.10gb: 1, 2g.20gb: 0}}`],
    gpus: [a100(0)],
    want: ["0:on 1g.10gb×1"],
    marks: [],
  },
  {
    name: "a profile no GPU has",
    entries: [`{devices: all, ${on}: {1g.5gb: 7}}`],
    gpus: [a100(0), a100(1)],
    want: [],
    marks: ["4:53 mig-profile-unknown"],
  },
  {
    name: "a profile one of two models has",
    entries: [`{devices: all, ${on}: {1g.5gb: 7}}`],
    gpus: [a40(0), a100(1)],
    want: ["0:on 1g.5gb×7"],
    marks: ["4:53 mig-profile-unknown"],
  },
  {
    name: "a zero count of an unknown profile is no matter",
    entries: [`{devices: all, ${on}: {1g.10gb: 1, 9g.9gb: 0}}`],
    gpus: [a100(0)],
    want: ["0:on 1g.10gb×1"],
    marks: [],
  },
  {
    name: "more than fit of one profile",
    entries: [`{devices: all, ${on}: {3g.40gb: 3}}`],
    gpus: [a100(0)],
    want: [],
    marks: ["4:53 mig-too-many-instances"],
  },
  {
    name: "more memory slices than there are",
    entries: [`{devices: all, ${on}: {1g.10gb: 5, 3g.40gb: 1}}`],
    gpus: [a100(0)],
    want: [],
    marks: ["4:52 mig-too-many-instances"],
  },
  {
    name: "MIG on without devices on a GPU whose profiles nobody knows",
    entries: [`{devices: all, ${on}: {}}`],
    gpus: [{ ...a100(0), modelId: undefined, profiles: [] }],
    want: ["0:on"],
    marks: [],
  },
  {
    name: "as many slices as there are",
    entries: [`{devices: all, ${on}: {4g.40gb: 1, 3g.40gb: 1}}`],
    gpus: [a100(0)],
    want: ["0:on 4g.40gb×1 3g.40gb×1"],
    marks: [],
  },
  {
    name: "more compute slices than there are",
    entries: [`{devices: all, ${on}: {4g.40gb: 1, 1g.10gb: 4}}`],
    gpus: [a100(0)],
    want: [],
    marks: ["4:52 mig-too-many-instances"],
  },
  {
    name: "narrow compute instances share GPU instances",
    entries: [`{devices: all, ${on}: {1c.3g.40gb: 6}}`],
    gpus: [a100(0)],
    want: ["0:on 1c.3g.40gb×6"],
    marks: [],
  },
  {
    name: "one compute instance more than GPU instances hold",
    entries: [`{devices: all, ${on}: {1c.3g.40gb: 7}}`],
    gpus: [a100(0)],
    want: [],
    marks: ["4:53 mig-too-many-instances"],
  },
  {
    name: "a full instance leaves no room for narrow ones",
    entries: [`{devices: all, ${on}: {7g.80gb: 1, 1c.7g.80gb: 1}}`],
    gpus: [a100(0)],
    want: [],
    marks: ["4:53 mig-too-many-instances"],
  },
];
for (const { name, entries, gpus, want, marks: findings } of rows) {
  test(name, () => {
    const result = walk(entries, gpus);
    assert.deepEqual({ wanted: wantedText(result), marks: marks(result.findings) }, { wanted: want, marks: findings });
  });
}

describe("advice", () => {
  const advice = (entry: string, gpus: readonly Gpu[]): readonly string[] =>
    walk([entry], gpus).findings.map((one) => `${one.message}; ${one.remedy}`);

  test("names the profiles of the same width", () => {
    assert.deepEqual(advice(`{devices: all, ${on}: {1g.5gb: 7}}`, [a100(0), a100(1)]), [
      'MIG profile "1g.5gb" not found on GPU 0, 1 (NVIDIA A100-SXM4-80GB); use 1g.10gb or 1g.20gb',
    ]);
  });

  test("names the filter when another model has the profile", () => {
    assert.deepEqual(advice(`{devices: all, ${on}: {2g.10gb: 1}}`, [a40(0), a100(1)]), [
      'MIG profile "2g.10gb" not found on GPU 1 (NVIDIA A100-SXM4-80GB); use 2g.20gb; or add `device-filter: "0x20B010DE"` to reach only NVIDIA A100-SXM4-40GB',
    ]);
  });

  test("names the width that comes closest", () => {
    assert.deepEqual(advice(`{devices: all, ${on}: {5g.40gb: 1}}`, [a100(0)]), [
      'MIG profile "5g.40gb" not found on GPU 0 (NVIDIA A100-SXM4-80GB); use 3g.40gb or 4g.40gb',
    ]);
  });

  test("says how many fit", () => {
    assert.deepEqual(advice(`{devices: all, ${on}: {3g.40gb: 3}}`, [a100(0)]), [
      "3 × 3g.40gb asked for, but GPU 0 (NVIDIA A100-SXM4-80GB) holds at most 2 instances of 3g.40gb; ask for at most 2",
    ]);
  });
});
