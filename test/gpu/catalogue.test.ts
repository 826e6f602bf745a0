import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  catalogue,
  findModel,
  incompleteModels,
  instanceMemoryMiB,
  type ModelEvidence,
  modelById,
  modelByNvmlName,
  modelOf,
} from "../../src/gpu/index.ts";
import { model, profile } from "./models.ts";

const file: unknown = JSON.parse(readFileSync(new URL("../../src/gpu/gpu-models.json", import.meta.url), "utf8"));

describe("catalogue", () => {
  const own = catalogue().filter(({ aliasOf }) => aliasOf === undefined);

  test("has 42 models, 24 of them MIG capable with 178 profiles, 5 aliases and 6 incomplete models", () => {
    const capable = own.filter(({ mig }) => mig !== undefined);
    const profiles = capable.flatMap(({ mig }) => mig?.profiles ?? []);
    assert.deepEqual([own.length, capable.length, profiles.length], [42, 24, 178]);
    assert.deepEqual([catalogue().length - own.length, incompleteModels().length], [5, 6]);
  });

  test("has unique ids and NVML names", () => {
    const names = catalogue().flatMap(({ nvmlName, otherNvmlNames }) => [nvmlName, ...otherNvmlNames]);
    assert.equal(new Set(names).size, names.length);
    assert.equal(new Set(catalogue().map(({ id }) => id)).size, catalogue().length);
  });

  test("finds each model by its id and by each of its names", () => {
    for (const one of catalogue()) {
      assert.equal(modelById(one.id), one);
      for (const name of [one.nvmlName, ...one.otherNvmlNames]) assert.equal(modelByNvmlName(name), one);
    }
    assert.equal(modelById("a100"), undefined);
    assert.equal(modelByNvmlName("nvidia a30"), undefined);
  });

  test("keeps every figure and every confidence of the file, unknown where the file has null", () => {
    const models = field(file, "models");
    assert.ok(Array.isArray(models));
    for (const json of models) {
      const one = model(String(field(json, "id")));
      assert.equal(one.memoryMiB, field(json, "memoryMiB"));
      assert.equal(one.memoryBandwidthGBPerSecond, field(json, "memoryBandwidthGBs") ?? undefined);
      for (const [key, word] of Object.entries(one.confidence)) {
        assert.equal(word, field(field(json, "confidence"), key) ?? "unknown");
      }
      const rows = field(field(json, "mig") ?? {}, "giProfiles") ?? [];
      assert.ok(Array.isArray(rows));
      assert.deepEqual(
        one.mig?.profiles.map(({ name }) => name) ?? [],
        rows.map((row) => field(row, "name")),
      );
      for (const row of rows) {
        const made = profile(one, String(field(row, "name")));
        assert.deepEqual(made.confidence, field(row, "confidence"));
        assert.equal(made.memoryMiB, field(row, "memoryMiB") ?? undefined);
        assert.equal(made.multiprocessors, field(row, "multiprocessors") ?? undefined);
        assert.deepEqual(made.starts, field(row, "placementStarts"));
        for (const [kind, count] of Object.entries(made.engines)) {
          assert.equal(count, field(field(row, "engines"), kind) ?? undefined);
        }
      }
    }
  });

  test("calls a figure unknown exactly where it has none", () => {
    for (const { confidence, memoryMiB, engines } of own.flatMap(({ mig }) => mig?.profiles ?? [])) {
      assert.equal(confidence.memory === "unknown", memoryMiB === undefined);
      assert.equal(confidence.engines === "unknown", engines.copy === undefined);
    }
  });

  test("gives a compute profile as many starts as it may have instances, all within the GPU instance", () => {
    for (const { computeSlices, computeInstanceProfiles } of own.flatMap(({ mig }) => mig?.profiles ?? [])) {
      for (const { starts, size, maxInstances } of computeInstanceProfiles) {
        assert.equal(starts.length, maxInstances);
        assert.ok(starts.every((start) => start + size <= computeSlices));
      }
    }
  });

  test("takes the share of the card as memory where none is published, an upper bound elsewhere", () => {
    assert.equal(instanceMemoryMiB(profile(model("h20-96gb"), "1g.12gb")), 12233);
    assert.equal(instanceMemoryMiB(profile(model("a100-sxm4-40gb"), "1g.5gb")), 4864);
    for (const { memoryMiB = 0, memoryMiBShare } of own.flatMap(({ mig }) => mig?.profiles ?? [])) {
      assert.ok(memoryMiB <= memoryMiBShare);
    }
  });

  test("lets an alias share the layout of its model but not the trust in its figures", () => {
    const alias = modelByNvmlName("NVIDIA H800 PCIe");
    const base = model("h100-pcie-80gb");
    assert.equal(alias?.aliasOf, base.id);
    assert.deepEqual(alias?.pciDeviceIds, ["2322"]);
    assert.deepEqual(alias?.confidence, { identity: "medium", base: "medium", geometry: "medium", figures: "medium" });
    const first = alias?.mig?.profiles[0];
    assert.equal(base.mig?.profiles[0]?.confidence.memory, "captured");
    assert.deepEqual({ ...first, confidence: undefined }, { ...base.mig?.profiles[0], confidence: undefined });
    assert.equal(first?.confidence.memory, "sibling");
  });
});

describe("the model of a GPU", () => {
  const rows: readonly {
    readonly name: string;
    readonly evidence: ModelEvidence;
    readonly want: string | undefined;
  }[] = [
    { name: "is known by its name alone", evidence: { name: "Tesla T4" }, want: "t4-16gb" },
    { name: "is known by a former name", evidence: { name: "A100-SXM4-40GB" }, want: "a100-sxm4-40gb" },
    {
      name: "is known by its device id in any case",
      evidence: { name: "NVIDIA Graphics Device", pciDeviceId: "20b5" },
      want: "a100-pcie-80gb",
    },
    {
      name: "is an A2 by subsystem, where the device id serves two products",
      evidence: { name: "?", pciDeviceId: "25B6", pciSubsystemId: "157e" },
      want: "a2-16gb",
    },
    {
      name: "is an A16 by subsystem",
      evidence: { name: "?", pciDeviceId: "25B6", pciSubsystemId: "14A9" },
      want: "a16-16gb",
    },
    { name: "is not guessed among two", evidence: { name: "?", pciDeviceId: "25B6" }, want: undefined },
    {
      name: "follows the name where name and device id disagree",
      evidence: { name: "NVIDIA A16", pciDeviceId: "20B5" },
      want: "a16-16gb",
    },
    {
      name: "is not the GB300 of the data centre when it is that of a DGX Station",
      evidence: { name: "NVIDIA GB300", pciDeviceId: "31C3" },
      want: undefined,
    },
    { name: "is a GB300", evidence: { name: "NVIDIA GB300", pciDeviceId: "31C2" }, want: "gb300-278gb" },
    { name: "is unknown otherwise", evidence: { name: "NVIDIA X1", pciDeviceId: "FFFF" }, want: undefined },
  ];
  for (const { name, evidence, want } of rows) test(name, () => assert.equal(modelOf(evidence)?.id, want));
});

describe("finding what people mean", () => {
  const question = { subject: { kind: "command", name: "--node n" } } as const;
  const rows = [
    { text: "A100-80GB", want: "a100-sxm4-80gb", others: ["a100-pcie-80gb"] },
    { text: "A100-40GB", want: "a100-sxm4-40gb", others: ["a100-pcie-40gb"] },
    { text: "H100-80GB", want: "h100-sxm5-80gb", others: ["h100-pcie-80gb"] },
    { text: "H100", want: "h100-sxm5-80gb", others: ["h100-pcie-80gb", "h100-nvl-94gb"] },
    { text: "NVIDIA H100", want: "nvidia-h100", others: [] },
    { text: "H800", want: "nvidia-h800", others: ["nvidia-h800-pcie", "nvidia-h800-nvl"] },
    { text: "H200", want: "h200-sxm-141gb", others: ["h200-nvl-141gb"] },
    { text: "T4", want: "t4-16gb", others: [] },
    { text: "tesla_t4", want: "t4-16gb", others: [] },
    { text: "A30", want: "a30-24gb", others: [] },
    { text: "L4", want: "l4-24gb", others: [] },
    { text: "l40s", want: "l40s-48gb", others: [] },
    { text: "NVIDIA-H100-80GB-HBM3", want: "h100-sxm5-80gb", others: [] },
    { text: "nvidia a100 80gb pcie", want: "a100-pcie-80gb", others: [] },
    { text: "80GB PCIe A100", want: "a100-pcie-80gb", others: [] },
    {
      text: "RTX 6000",
      want: "rtx-6000-ada-48gb",
      others: ["rtx-pro-6000-blackwell-server", "rtx-pro-6000-blackwell-workstation", "rtx-pro-6000-blackwell-max-q"],
    },
    { text: "GB300", want: "gb300-278gb", others: [] },
  ];
  for (const { text, want, others } of rows) {
    test(`${text} is ${want}`, () => {
      const found = findModel(text, question);
      assert.ok(found.ok);
      assert.equal(found.value.model.id, want);
      assert.deepEqual(
        found.value.others.map(({ id }) => id),
        others,
      );
    });
  }

  test("takes every id and every NVML name in any case", () => {
    for (const one of catalogue()) {
      for (const name of [one.id, one.nvmlName, ...one.otherNvmlNames]) {
        const found = findModel(name.toUpperCase(), question);
        assert.equal(found.ok ? found.value.model.id : undefined, one.id, name);
      }
    }
  });

  const missing = [
    { text: "A1000-80GB", code: "unknown-gpu-model", remedy: /a100-sxm4-80gb/ },
    { text: "H100-60GB", code: "unknown-gpu-model", remedy: /h100-sxm5-80gb/ },
    { text: "", code: "unknown-gpu-model", remedy: /write one of/ },
    { text: "nvidia", code: "unknown-gpu-model", remedy: /write one of/ },
    { text: "RTX-PRO-5000", code: "gpu-model-incomplete", remedy: /choose another model/ },
    { text: "NVIDIA GB300 DGX Station", code: "gpu-model-incomplete", remedy: /choose another model/ },
  ];
  for (const { text, code, remedy } of missing) {
    test(`${JSON.stringify(text)} is ${code}, with a remedy`, () => {
      const place = { file: "f.yaml", line: 3, column: 5 };
      const found = findModel(text, { ...question, place });
      assert.equal(found.ok, false);
      const [one] = found.findings;
      assert.equal(one?.code, code);
      assert.deepEqual(one?.subject, question.subject);
      assert.deepEqual(one?.place, place);
      assert.match(one?.remedy ?? "", remedy);
    });
  }

  test("says why an incomplete model cannot be simulated", () => {
    const found = findModel("RTX 6000D", question);
    assert.match(found.findings[0]?.message ?? "", /^NVIDIA RTX 6000D can do MIG, but .*Only the partition fractions/);
  });
});

function field(value: unknown, key: string): unknown {
  assert.ok(typeof value === "object" && value !== null, key);
  return Object.entries(value).find(([name]) => name === key)?.[1];
}
