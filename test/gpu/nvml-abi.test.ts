/**
 * The binary interface of NVML: sizes, offsets and version tags of every struct the driver uses, as measured with
 * sizeof and offsetof on nvml.h of CUDA 12.4.127 and 13.3.29 (gcc, x86-64).
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { Struct } from "../../src/gpu/nvml/struct.ts";
import { structs } from "../../src/gpu/nvml/structs.ts";
import { type NvmlSymbol, nvmlSymbols, symbolNames } from "../../src/gpu/nvml/symbols.ts";
import { compile, sourceDirectory } from "../fixtures/mocknvml/build.ts";
import { temporaryDirectory } from "../support/temporary.ts";

interface Measured {
  readonly name: string;
  readonly size: number;
  readonly tag?: number;
  /** In the order of the fields. */
  readonly offsets: readonly number[];
}

const rows: readonly Measured[] = [
  { name: "nvmlPciInfo_t", size: 68, offsets: [0, 16, 20, 24, 28, 32, 36] },
  { name: "nvmlMemory_t", size: 24, offsets: [0, 8, 16] },
  { name: "nvmlMemory_v2_t", size: 40, tag: 0x02000028, offsets: [0, 8, 16, 24, 32] },
  { name: "nvmlProcessInfo_t", size: 24, offsets: [0, 8, 16, 20] },
  { name: "nvmlEventData_t", size: 32, offsets: [0, 8, 16, 24, 28] },
  { name: "nvmlGpuFabricInfo_t", size: 28, offsets: [0, 16, 20, 24] },
  { name: "nvmlGpuInstancePlacement_t", size: 8, offsets: [0, 4] },
  { name: "nvmlGpuInstanceInfo_t", size: 24, offsets: [0, 8, 12, 16, 20] },
  { name: "nvmlComputeInstanceInfo_t", size: 32, offsets: [0, 8, 16, 20, 24, 28] },
  { name: "nvmlGpuInstanceProfileInfo_t", size: 48, offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40] },
  {
    name: "nvmlGpuInstanceProfileInfo_v2_t",
    size: 152,
    tag: 0x02000098,
    offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56],
  },
  {
    name: "nvmlGpuInstanceProfileInfo_v3_t",
    size: 152,
    tag: 0x03000098,
    offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 144],
  },
  { name: "nvmlComputeInstanceProfileInfo_t", size: 36, offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32] },
  {
    name: "nvmlComputeInstanceProfileInfo_v2_t",
    size: 136,
    tag: 0x02000088,
    offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40],
  },
  {
    name: "nvmlComputeInstanceProfileInfo_v3_t",
    size: 140,
    tag: 0x0300008c,
    offsets: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 136],
  },
];

describe("structs of NVML", () => {
  test("are all measured", () => {
    assert.deepEqual(structs.map(({ name }) => name).sort(), rows.map(({ name }) => name).sort());
  });
  for (const { name, size, tag, offsets } of rows) {
    test(name, () => {
      const struct = structs.find((one) => one.name === name) ?? assert.fail(`no ${name}`);
      assert.deepEqual(
        { size: struct.size, tag: struct.tag, offsets: [...struct.offsets.values()] },
        { size, tag, offsets },
      );
    });
  }

  test("are those the double is built with", async (t) => {
    assert.deepEqual(await measuredBy(t, join(sourceDirectory, "nvml_abi.h")), ownFigures());
  });

  // The header belongs to NVIDIA and is not in this repository; name it to check against it.
  const header = process.env["NVML_H"];
  test("are those of the header that NVML_H names", {
    skip: header === undefined && "NVML_H is not set",
  }, async (t) => {
    assert.deepEqual(await measuredBy(t, header ?? ""), ownFigures());
  });
});

describe("functions of NVML", () => {
  const header = process.env["NVML_H"];
  const skip = header === undefined && "NVML_H is not set";
  test("take the arguments that the header NVML_H names declares", { skip }, async (t) => {
    const values = { pointer: "(void *)0", uint32_t: "(unsigned int)1", uint64_t: "(unsigned long long)1" };
    const calls = symbolNames().map((name) => {
      const { arguments: types }: NvmlSymbol = nvmlSymbols[name];
      return `(void)${name}(${types.map((type) => values[type]).join(", ")});`;
    });
    const directory = await temporaryDirectory(t);
    const source = join(directory, "calls.c");
    await writeFile(source, `#include "${header}"\nvoid calls(void) {\n${calls.join("\n")}\n}\n`);
    // Without this definition newer headers do not declare the older versions, which the library goes on exporting.
    await compile([
      "-c",
      "-DNVML_NO_UNVERSIONED_FUNC_DEFS",
      "-Werror=int-conversion",
      "-Werror=implicit",
      source,
      "-o",
      join(directory, "calls.o"),
    ]);
  });
});

/** Placements inside other structs have names of their own in C. */
const membersInC: Readonly<Record<string, string>> = { start: "placement.start", size: "placement.size" };

function memberInC(struct: Struct<string>, field: string): string {
  return struct.name === "nvmlGpuInstancePlacement_t" ? field : (membersInC[field] ?? field);
}

function ownFigures(): readonly string[] {
  return structs.flatMap((struct) => [
    `${struct.name} ${struct.size}`,
    ...[...struct.offsets].map(([field, offset]) => `${struct.name} ${memberInC(struct, field)} ${offset}`),
  ]);
}

/** The same figures from a C compiler and a header. */
async function measuredBy(t: TestContext, header: string): Promise<readonly string[]> {
  const directory = await temporaryDirectory(t);
  const lines = structs.flatMap((struct) => [
    `printf("${struct.name} %zu\\n", sizeof(${struct.name}));`,
    ...[...struct.offsets.keys()].map((field) => {
      const member = memberInC(struct, field);
      return `printf("${struct.name} ${member} %zu\\n", offsetof(${struct.name}, ${member}));`;
    }),
  ]);
  const source = join(directory, "measure.c");
  await writeFile(
    source,
    `#include <stddef.h>\n#include <stdio.h>\n#include "${header}"\nint main(void) {\n${lines.join("\n")}\nreturn 0;\n}\n`,
  );
  const program = join(directory, "measure");
  await compile([source, "-o", program]);
  const { stdout } = await promisify(execFile)(program);
  return stdout.trim().split("\n");
}
