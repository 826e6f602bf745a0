/** What cannot work is refused before anything runs: one clear finding, its place, a remedy, an exit code. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runTranche } from "../support/run-up.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
let directory = "";
let quickStart = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "refusals-"));
  quickStart = await readFile(join(root, "examples/quick-start.yaml"), "utf8");
});
after(() => rm(directory, { recursive: true, force: true }));

/** Writes `text` to a file of the test's directory and gives its path. */
async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

interface Row {
  readonly name: string;
  readonly args: () => readonly string[] | Promise<readonly string[]>;
  readonly code: number;
  /** What the message must hold: code, place, remedy. */
  readonly says: readonly RegExp[];
}

const rows: readonly Row[] = [
  {
    name: "malformed YAML",
    args: async () => ["-f", await file("syntax.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: [x\n")],
    code: 1,
    says: [/yaml-syntax: .*syntax\.yaml:4:11/, /→ close the bracket/],
  },
  {
    name: "a profile no GPU has",
    args: async () => ["-f", await file("profile.yaml", quickStart.replace('"1g.10gb": 3', '"1g.11gb": 3'))],
    code: 1,
    says: [/mig-profile-unknown: .*profile\.yaml:\d+:\d+/, /1g\.11gb/, /→ use 1g\.10gb/],
  },
  {
    name: "more instances than fit",
    args: async () => ["-f", await file("many.yaml", quickStart.replace('"1g.10gb": 3', '"1g.10gb": 6'))],
    code: 1,
    says: [/mig-too-many-instances: .*many\.yaml:\d+:\d+/, /10 memory slices/, /→ ask for fewer/],
  },
  {
    name: "a label that names no config",
    args: async () => [
      "-f",
      await file("label.yaml", quickStart.replace("config: three-small-one-large", "config: nope")),
    ],
    code: 1,
    says: [/mig-config-missing/, /nope/, /→ known here: all-disabled, three-small-one-large/],
  },
  {
    name: "an unknown model in --node",
    args: () => ["--node", "a=X100"],
    code: 1,
    says: [/unknown-gpu-model: --node a=X100/, /→ /],
  },
  {
    name: "an unknown model in an annotation",
    args: async () => ["-f", await file("model.yaml", quickStart.replace("simulated-gpus: T4", "simulated-gpus: T5"))],
    code: 1,
    says: [/unknown-gpu-model: .*model\.yaml:\d+:\d+/, /T5/],
  },
  { name: "a missing file", args: () => ["-f", "/nope.yaml"], code: 1, says: [/file-not-found: \/nope\.yaml/, /→ /] },
  {
    name: "a state directory below a file",
    args: async () => ["--state-dir", join(await file("plain", ""), "state")],
    code: 1,
    says: [/state-dir-unusable/, /→ choose a directory/],
  },
  {
    name: "a state directory whose sockets would be too long",
    args: () => ["--state-dir", join(directory, "d".repeat(100))],
    code: 1,
    says: [/state-dir-unusable/, /→ choose a shorter path/],
  },
  { name: "a port that is no number", args: () => ["--port", "abc"], code: 2, says: [/--port/] },
  { name: "an unknown option", args: () => ["--nope"], code: 2, says: [/unknown option '--nope'/] },
  { name: "an unknown format", args: () => ["-o", "xml"], code: 2, says: [/mermaid/] },
];

for (const { name, args, code, says } of rows) {
  test(`${name} is refused`, async () => {
    const run = await runTranche(["up", ...(await args()), "--once"]);
    assert.equal(run.code, code, run.progress);
    assert.equal(run.answer, "", "nothing ran, so there is no report");
    for (const pattern of says) assert.match(run.progress, pattern);
  });
}

test("a port in use is refused, and nothing stays behind", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const state = join(directory, "state");
  const run = await runTranche(["up", "--port", String(address.port), "--state-dir", state, "--once"]);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(run.code, 1);
  assert.match(run.progress, /port-in-use: --port/);
  assert.deepEqual(await readdir(state), []);
});

test("the program itself ends with the code and leaves the answer empty", async () => {
  const child = spawn(join(root, "bin/tranche"), ["up", "-f", "/nope.yaml", "--once"], { stdio: "pipe" });
  const out: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(String(chunk)));
  const code = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(code, 1);
  assert.equal(out.join(""), "");
});
