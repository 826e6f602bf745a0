/** What users get wrong: one clear finding with its place and remedy, the exit code, and nothing left behind. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import {
  clusterPolicy,
  configMap,
  manifestText,
  migParted,
  nodeManifest,
  pod,
  timeSliced,
} from "../support/manifests.ts";
import { runTranche } from "../support/run-up.ts";
import { everythingBelow, temporaryDirectory, writtenFiles } from "../support/temporary.ts";

const smallPod = manifestText(pod("small", { "nvidia.com/mig-1g.10gb": "1" }));

function cut(counts: Readonly<Record<string, number>>): string {
  return manifestText(
    nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": "mine" }),
    clusterPolicy({ mig: "mig" }),
    configMap("mig", { "config.yaml": migParted({ mine: counts }) }),
  );
}

interface Mistake {
  readonly name: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly code: number;
  /** What the report on standard error says; `FILE` stands for the path of the first file. */
  readonly says: readonly RegExp[];
}

const mistakes: readonly Mistake[] = [
  {
    name: "malformed YAML",
    files: { "bad.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: [small\nspec: {}\n" },
    code: 1,
    says: [/^error yaml-syntax: FILE:\d+:\d+$/m, /close the bracket/],
  },
  {
    name: "a manifest that an API server refuses",
    files: { "pod.yaml": smallPod.replace('"small"', '"Small_Pod"') },
    code: 1,
    says: [/^error manifest-refused: FILE:\d+:\d+$/m, /Small_Pod/, /→ correct the manifest/],
  },
  {
    name: "a namespace that an API server refuses",
    files: {
      "pods.yaml": `${smallPod.replaceAll('"default"', '"Small_Space"')}---\n${smallPod.replaceAll('"default"', '"Small_Space"')}`,
    },
    code: 1,
    says: [/^error manifest-refused: FILE:\d+:\d+$/m, /Namespace "Small_Space" is invalid/],
  },
  {
    name: "a node that an API server refuses",
    files: {
      "node.yaml": manifestText(nodeManifest("node-a", "T4")).replace('"tranche.dev', '"a key": "", "tranche.dev'),
    },
    code: 1,
    says: [/^error manifest-refused: FILE:\d+:\d+$/m, /Node "node-a" is invalid: .*"a key"/],
  },
  {
    name: "a profile that no GPU has",
    files: { "cluster.yaml": cut({ "1g.11gb": 7 }) },
    code: 1,
    says: [/^error mig-profile-unknown: FILE:\d+:\d+$/m, /1g\.11gb/, /→ use 1g\.10gb/],
  },
  {
    name: "more instances than fit",
    files: { "cluster.yaml": cut({ "1g.10gb": 6, "3g.40gb": 1 }) },
    code: 1,
    says: [/^error mig-too-many-instances: FILE:\d+:\d+$/m, /10 memory slices/, /→ ask for fewer/],
  },
  {
    name: "a config that the file does not have",
    files: {
      "cluster.yaml": cut({ "3g.40gb": 2 }).replace(
        '"nvidia.com/mig.config": "mine"',
        '"nvidia.com/mig.config": "mime"',
      ),
    },
    code: 1,
    says: [/^error mig-config-missing: /m, /mime/, /→ .*mine/],
  },
  {
    name: "replicas that are no number",
    files: {
      "cluster.yaml": manifestText(
        nodeManifest("node-t4", "T4"),
        clusterPolicy({ plugin: "plugin", pluginDefault: "any" }),
        configMap("plugin", { any: timeSliced(4).replace('"replicas":4', '"replicas":"many"') }),
      ),
    },
    code: 1,
    says: [/^error [a-z-]+: FILE:\d+:\d+$/m, /replicas/, /→ \S/],
  },
  {
    name: "a model on --node that the catalogue does not know",
    args: ["--node", "node-a=A1000"],
    code: 1,
    says: [/^error unknown-gpu-model: --node node-a=A1000$/m, /"A1000"/, /→ write one of /],
  },
  {
    name: "a model in a Node manifest that the catalogue does not know",
    files: { "node.yaml": manifestText(nodeManifest("node-a", "A1000")) },
    code: 1,
    says: [/^error unknown-gpu-model: FILE:\d+:\d+$/m, /"A1000"/, /→ write one of /],
  },
  {
    name: "a node without a model",
    args: ["--node", "node-a"],
    code: 1,
    says: [/^error bad-node: --node node-a$/m, /→ write it as --node NAME=MODEL/],
  },
  {
    name: "a file that is not there",
    args: ["-f", "no-such-file.yaml"],
    code: 1,
    says: [/^error file-not-found: no-such-file\.yaml$/m, /→ check the path given with -f/],
  },
  {
    name: "a state directory that cannot be made",
    files: { "pod.yaml": smallPod },
    args: ["--state-dir", "/dev/null/state"],
    code: 1,
    says: [/^error state-dir-unusable: \/dev\/null\/state$/m, /ENOTDIR/, /→ choose a directory you may write/],
  },
  {
    name: "a state directory where nothing can be made at all",
    args: ["--state-dir", "/proc/state/of/tranche"],
    code: 1,
    says: [/^error state-dir-unusable: \/proc\/state\/of\/tranche$/m, /→ choose a directory you may write/],
  },
  {
    name: "a state directory too long for sockets",
    args: ["--state-dir", `/tmp/${"long".repeat(20)}`],
    code: 1,
    says: [/^error state-dir-unusable: \/tmp\/long/m, /107 bytes/, /→ choose a shorter path/],
  },
  { name: "a state directory without a name", args: ["--state-dir", ""], code: 2, says: [/a path is not empty/] },
  { name: "an option that does not exist", args: ["--bogus"], code: 2, says: [/unknown option '--bogus'/] },
  { name: "an output format that does not exist", args: ["-o", "xml"], code: 2, says: [/'xml' is invalid/, /mermaid/] },
  { name: "a port that is none", args: ["--port", "0x1F90"], code: 2, says: [/a port is a number from 1 to 65535/] },
  { name: "an option without its value", args: ["--node"], code: 2, says: [/argument missing/] },
];

for (const { name, files = {}, args = [], code, says } of mistakes) {
  test(`${name} ends with exit code ${code}, and nothing is left behind`, async (t) => {
    const paths = await writtenFiles(t, files);
    const run = await refused(t, [...paths.flatMap((path) => ["-f", path]), ...args]);
    assert.equal(run.code, code, run.progress);
    const told = run.progress.replaceAll(paths[0] ?? "FILE", "FILE");
    for (const pattern of says) assert.match(told, pattern);
    const errors = told.match(/^error /gm) ?? [];
    assert.ok(errors.length <= 1, `one mistake is told ${errors.length} times:\n${told}`);
  });
}

test("a port that somebody else has is told, and nothing is left behind", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const run = await refused(t, ["--port", String(address.port)]);
  assert.equal(run.code, 1);
  assert.match(run.progress, new RegExp(`^error port-in-use: --port ${address.port}$`, "m"));
  assert.match(run.progress, /→ choose another port/);
});

test("a command that does not exist ends with exit code 2", async () => {
  const { code, progress } = await runTranche(["down"]);
  assert.equal(code, 2);
  assert.match(progress, /unknown command 'down'/);
});

/** Runs `up` with a directory for temporary files of its own, and checks that nothing is in it afterwards. */
async function refused(t: TestContext, args: readonly string[]) {
  const directory = await temporaryDirectory(t);
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = directory;
  try {
    const run = await runTranche(["up", "--once", ...args]);
    assert.equal(run.answer, "", "there is no report");
    assert.deepEqual(await everythingBelow(directory), []);
    return run;
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
}
