/** What `npm run build` makes: it does elsewhere, with nothing but koffi beside it, what the source does here. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, stat, truncate, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { modelById } from "../../src/gpu/index.ts";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { temporaryDirectory, writtenFiles } from "../support/temporary.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fromSource = join(root, "src/cli/main.ts");

interface Answer {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], env = process.env): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { cwd: root, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

/** The bundle in a directory where no other package can be found, and koffi as npm lays it out. */
async function bundle(t: TestContext): Promise<string> {
  const directory = await temporaryDirectory(t);
  const built = await run(join(root, "scripts/build.ts"), [directory]);
  assert.equal(built.code, 0, built.stderr);
  await mkdir(join(directory, "node_modules"));
  for (const name of ["koffi", "@koromix"]) {
    await cp(join(root, "node_modules", name), join(directory, "node_modules", name), { recursive: true });
  }
  return join(directory, "tranche.js");
}

test("the bundle answers as the source does", async (t) => {
  const model = modelById("h100-sxm5-80gb");
  assert.ok(model);
  const [bundled, node, files] = await Promise.all([
    bundle(t),
    temporaryDirectory(t).then((directory) => MockNode.create(directory, { models: [model, model] })),
    writtenFiles(t, {
      "mig.yaml":
        "version: v1\nmig-configs:\n  half:\n    - {devices: all, mig-enabled: true, mig-devices: {3g.40gb: 1}}\n",
    }),
  ]);
  const [file = ""] = files;
  const state = join(node.directory, "state-of-commands");
  const { libraryPath, root: host, nvidiaSmi } = node;
  const real = ["--nvml-library", libraryPath, "--root", host, "--nvidia-smi", nvidiaSmi, "--state-dir", state];
  const simulated = ["--driver", "simulated", "--simulated-gpus", "A100-80GB:2,T4", "--state-dir", state];
  const commands = [
    ["--version"],
    ["--help"],
    ["mgi"],
    ["agent", "--help"],
    ["gpus", "-o", "wide", ...real],
    ["gpus", "-o", "yaml", ...simulated],
    ["gpus", "layouts", "--model", "H100-80GB", "--full"],
    ["mig", "plan", "-f", file, "-c", "half", ...real],
    ["mig", "plan", "-o", "json", "-c", "all-balanced", "--log-level", "info", ...simulated],
    ["agent", "--no-kubernetes", "--listen", "nowhere", ...simulated],
  ];
  for (const command of commands) {
    const [got, want] = await Promise.all([run(bundled, command), run(fromSource, command)]);
    assert.deepEqual(untimed(got), untimed(want), command.join(" "));
  }
  const kubelet = await temporaryDirectory(t);
  await mkdir(join(kubelet, "device-plugins"));
  const places = ["--nvml-library", join(kubelet, "none.so"), "--state-dir", state, "--kubelet-root", kubelet];
  const agent = ["agent", "--no-kubernetes", "--fail-on-init-error=true", ...places];
  // One after the other, since a node has one agent.
  const refused = await run(bundled, agent);
  assert.deepEqual(refused, await run(fromSource, agent));
  assert.match(refused.stderr, /nvml-library-missing/);
  await answersFromKeptCode(bundled, ["mig", "plan", "-f", file, "-c", "half", ...real], node.directory);
  const cluster = ["up", "-f", "examples/quick-start.yaml", "--once"];
  const [got, want] = await Promise.all([run(bundled, cluster), run(fromSource, cluster)]);
  // What happens on the way there has no fixed order.
  assert.deepEqual([got.code, got.stdout], [want.code, want.stdout], got.stderr);
});

/** A command leaves its code for the next run, which makes it anew when it is damaged or old. */
async function answersFromKeptCode(bundled: string, command: readonly string[], cache: string): Promise<void> {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...others } = process.env;
  const env = { ...others, XDG_CACHE_HOME: cache };
  const want = await run(bundled, command, env);
  const [version = ""] = await readdir(join(cache, "tranche"));
  const file = join(cache, "tranche", version, "mig-plan");
  const { size } = await stat(file);
  const isUnchangedAfter = async (): Promise<boolean> => {
    const { ino } = await stat(file);
    assert.deepEqual(await run(bundled, command, env), want);
    return (await stat(file)).ino === ino;
  };
  assert.equal(await isUnchangedAfter(), true);
  await truncate(file, Math.floor(size / 2));
  assert.equal(await isUnchangedAfter(), false);
  assert.equal(await isUnchangedAfter(), true);
  await utimes(file, new Date(0), new Date(0));
  assert.equal(await isUnchangedAfter(), false);
}

/** Lines of the program's own log without the time of day. */
function untimed({ code, stdout, stderr }: Answer): Answer {
  return { code, stdout, stderr: stderr.replace(/"time":\d+/g, '"time":0') };
}
