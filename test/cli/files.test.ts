import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readFiles } from "../../src/cli/up/files.ts";
import { linesOf } from "./support/manifests.ts";

const namespace = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;

/** What reading `paths` below a directory with these files gives: `Kind name` of each manifest, or the findings. */
async function reading(files: Readonly<Record<string, string>>, paths: readonly string[]): Promise<readonly string[]> {
  const directory = await mkdtemp(join(tmpdir(), "files-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(directory, name, ".."), { recursive: true });
      await writeFile(join(directory, name), text);
    }
    const read = await readFiles(paths.map((path) => join(directory, path)));
    const lines = read.ok ? read.value.map((one) => `${one.kind} ${one.name}`) : linesOf(read.findings);
    return lines.map((line) => line.replaceAll(directory, "DIR"));
  } finally {
    await rm(directory, { recursive: true });
  }
}

const rows = [
  {
    name: "the manifests of a directory are read in the order of its files' names",
    files: {
      "b.yml": namespace("b"),
      "a.yaml": namespace("a"),
      "c.json": JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "c" } }),
    },
    paths: ["."],
    want: ["Namespace a", "Namespace b", "Namespace c"],
  },
  {
    name: "other files and deeper directories are left out",
    files: { "a.yaml": namespace("a"), "notes.txt": "not: [yaml", "deep/b.yaml": namespace("b") },
    paths: ["."],
    want: ["Namespace a"],
  },
  {
    name: "a file named by itself may have any name",
    files: { "manifest.tpl": namespace("a") },
    paths: ["manifest.tpl"],
    want: ["Namespace a"],
  },
  {
    name: "files are read in the order of the command line",
    files: { "a.yaml": namespace("a"), "b.yaml": namespace("b") },
    paths: ["b.yaml", "a.yaml"],
    want: ["Namespace b", "Namespace a"],
  },
  {
    name: "every path that is not there is told",
    files: { "a.yaml": namespace("a") },
    paths: ["x.yaml", "a.yaml", "y.yaml"],
    want: [
      "DIR/x.yaml: error file-not-found: cannot read DIR/x.yaml: ENOENT: no such file or directory, stat 'DIR/x.yaml'; check the path given with -f",
      "DIR/y.yaml: error file-not-found: cannot read DIR/y.yaml: ENOENT: no such file or directory, stat 'DIR/y.yaml'; check the path given with -f",
    ],
  },
  {
    name: "a directory without manifests is a mistake",
    files: { "empty/notes.txt": "" },
    paths: ["empty"],
    want: [
      "DIR/empty: error file-not-found: cannot read DIR/empty: the directory holds no .yaml, .yml or .json file; check the path given with -f",
    ],
  },
  { name: "an empty file declares nothing", files: { "a.yaml": "" }, paths: ["a.yaml"], want: [] },
];
for (const { name, files, paths, want } of rows) {
  test(name, async () => assert.deepEqual(await reading(files, paths), want));
}

test("malformed YAML is placed by line and column, in each file that has some", async () => {
  const lines = await reading(
    { "a.yaml": namespace("a"), "b.yaml": "apiVersion: v1\nkind: [Pod\nmetadata: x\n", "c.yaml": "a: b: c\n" },
    ["."],
  );
  assert.deepEqual(
    lines.map((line) => line.split(": ").slice(0, 2).join(": ")),
    ["DIR/b.yaml:3:1: error yaml-syntax", "DIR/c.yaml:1:5: error yaml-syntax"],
  );
});

test("- is standard input", () => {
  const module = fileURLToPath(new URL("../../src/cli/up/files.ts", import.meta.url));
  const program = `
    import { readFiles } from ${JSON.stringify(module)};
    const read = await readFiles(["-"]);
    process.stdout.write(read.ok ? read.value.map((one) => one.name + " " + one.place.file).join() : "refused");
  `;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    input: namespace("from-a-pipe"),
  });
  assert.equal(run.stdout, "from-a-pipe -", run.stderr);
});
