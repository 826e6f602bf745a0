/** The files of CDI specs: what runtimes find, and what is left alone. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CdiDirectory, parseCdiSpec } from "../../src/kubelet/index.ts";
import type { CdiSpec, CdiSpecs } from "../../src/sharing/index.ts";
import { temporaryDirectory } from "./support/fixtures.ts";

const gpuFile = "k8s.device-plugin.nvidia.com-gpu.json";

function gpuSpec(...names: readonly string[]): CdiSpec {
  const devices = names.map((name) => ({ name, containerEdits: { deviceNodes: [{ path: `/dev/${name}` }] } }));
  return { cdiVersion: "0.3.0", kind: "k8s.device-plugin.nvidia.com/gpu", devices };
}

const gdsSpec: CdiSpec = { ...gpuSpec("all"), kind: "k8s.device-plugin.nvidia.com/gds" };

test("a spec stands under the name of its kind, for everybody to read, with nothing beside it", async (t) => {
  const path = join(await temporaryDirectory(t), "run", "cdi");
  const before = process.umask(0o077);
  try {
    await new CdiDirectory(path).write(new Map([["gpu", gpuSpec("a")]]));
  } finally {
    process.umask(before);
  }
  assert.deepEqual(await readdir(path), [gpuFile]);
  assert.equal((await stat(join(path, gpuFile))).mode & 0o777, 0o644);
  assert.deepEqual(JSON.parse(await readFile(join(path, gpuFile), "utf8")), gpuSpec("a"));
});

test("what was written is read back; specs that are wanted no more are gone", async (t) => {
  const directory = new CdiDirectory(await temporaryDirectory(t));
  const both: CdiSpecs = new Map([
    ["gpu", gpuSpec("a", "b")],
    ["gds", gdsSpec],
  ]);
  await directory.write(both);
  assert.deepEqual(await directory.read(), both);
  await directory.write(new Map([["gpu", gpuSpec("b")]]));
  assert.deepEqual(await directory.read(), new Map([["gpu", gpuSpec("b")]]));
  await directory.write(new Map());
  assert.deepEqual(await readdir(directory.path), []);
});

test("the same spec again leaves the file as it is, so no runtime scans for nothing", async (t) => {
  const directory = new CdiDirectory(await temporaryDirectory(t));
  await directory.write(new Map([["gpu", gpuSpec("a")]]));
  const { ino } = await stat(join(directory.path, gpuFile));
  await directory.write(new Map([["gpu", gpuSpec("a")]]));
  assert.equal((await stat(join(directory.path, gpuFile))).ino, ino);
  await directory.write(new Map([["gpu", gpuSpec("b")]]));
  assert.notEqual((await stat(join(directory.path, gpuFile))).ino, ino, "a file that changes is replaced in one step");
});

test("files of others stay, whatever they are called", async (t) => {
  const directory = new CdiDirectory(await temporaryDirectory(t));
  const others = ["nvidia.yaml", "k8s.gpu.nvidia.com-claim_1.json", "k8s.device-plugin.nvidia.com-other.json"];
  for (const name of others) await writeFile(join(directory.path, name), name);
  await directory.write(new Map([["gpu", gpuSpec("a")]]));
  await directory.write(new Map());
  assert.deepEqual((await readdir(directory.path)).sort(), [...others].sort());
  for (const name of others) assert.equal(await readFile(join(directory.path, name), "utf8"), name);
});

test("a broken file of one's own counts as none and is replaced", async (t) => {
  const directory = new CdiDirectory(await temporaryDirectory(t));
  await writeFile(join(directory.path, gpuFile), '{"cdiVersion": "0.3.0", "ki');
  assert.deepEqual(await directory.read(), new Map());
  await directory.write(new Map([["gpu", gpuSpec("a")]]));
  assert.deepEqual(await directory.read(), new Map([["gpu", gpuSpec("a")]]));
});

test("a write that fails says so, leaves what stood and no draft", async (t) => {
  const root = await temporaryDirectory(t);
  const directory = new CdiDirectory(join(root, "cdi"));
  await mkdir(join(directory.path, gpuFile), { recursive: true });
  await assert.rejects(directory.write(new Map([["gpu", gpuSpec("a")]])), { code: "EISDIR" });
  assert.deepEqual(await readdir(directory.path), [gpuFile]);
  await symlink(join(root, "nowhere"), join(root, "link"));
  await assert.rejects(new CdiDirectory(join(root, "link", "cdi")).write(new Map([["gpu", gpuSpec("a")]])));
  assert.deepEqual(await new CdiDirectory(join(root, "none")).read(), new Map());
});

describe("no spec is", () => {
  const rows: readonly { name: string; change: Readonly<Record<string, unknown>> }[] = [
    { name: "one with an unknown key", change: { vendor: "x" } },
    { name: "one without a kind", change: { kind: undefined } },
    { name: "one whose devices are no list", change: { devices: { name: "a" } } },
    { name: "one with edits as a list", change: { containerEdits: [] } },
    {
      name: "one with an unknown key in a device's edits",
      change: { devices: [{ name: "a", containerEdits: { deviceNode: [] } }] },
    },
    { name: "one with a device without edits", change: { devices: [{ name: "a" }] } },
  ];
  for (const { name, change } of rows) {
    test(name, () => {
      assert.deepEqual(parseCdiSpec(JSON.stringify(gpuSpec("a"))), gpuSpec("a"));
      assert.equal(parseCdiSpec(JSON.stringify({ ...gpuSpec("a"), ...change })), undefined);
    });
  }
});
