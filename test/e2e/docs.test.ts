/** Every command that the README and the docs tell a reader to type is run as it stands. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runTranche } from "../support/run-up.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const quickStart = ["up", "-f", "examples/quick-start.yaml"];

interface Documented {
  readonly file: string;
  readonly line: string;
  /** Arguments of `tranche`, as a shell would split them. */
  readonly args: readonly string[];
}

/** What stands in blocks marked `sh`, without what `npm ci` and `npm test` do, since these are running already. */
async function documentedCommands(): Promise<readonly Documented[]> {
  const names = (await readdir(`${root}docs`)).filter((name) => name.endsWith(".md"));
  const files = ["README.md", ...names.map((name) => `docs/${name}`)];
  const found = files.map(async (file) => {
    const blocks = (await readFile(root + file, "utf8")).matchAll(/^```sh\n(.*?)^```/gms);
    const lines = [...blocks].flatMap((block) => (block[1] ?? "").split("\n"));
    const commands = lines.flatMap((line) => line.split("&&").map((one) => one.trim()));
    return commands.flatMap((line) => {
      const args = argsOf(line);
      return args === undefined ? [] : [{ file, line, args }];
    });
  });
  return (await Promise.all(found)).flat();
}

function argsOf(line: string): readonly string[] | undefined {
  if (line === "" || line === "npm ci" || line === "npm test") return undefined;
  const words = line.split(/\s+/);
  if (line.startsWith("npm start"))
    return [
      ...quickStart,
      ...words.slice(words.indexOf("--") + 1).filter((word) => word !== "npm" && word !== "start"),
    ];
  assert.equal(words[0], "bin/tranche", `a documented command this test cannot run: ${line}`);
  // Faults need a cluster that runs in another terminal; fault.test.ts runs them in one.
  return words[1] === "fault" ? undefined : words.slice(1);
}

/** Paths below /tmp as paths of this test's own; one that is used twice is the same. */
function inOwnDirectory(args: readonly string[]): readonly string[] {
  return args.map((one) => one.replace(/^\/tmp\//, `${machine}/`));
}

test("npm start is what the README says of it", async () => {
  const packageJson: { scripts: Record<string, string> } = JSON.parse(await readFile(`${root}package.json`, "utf8"));
  assert.equal(packageJson.scripts["start"], `node src/cli/main.ts ${quickStart.join(" ")}`);
});

/** Commands for the GPUs of a machine find simulated ones here, which the next of them finds as it left them. */
const machine = await mkdtemp(join(tmpdir(), "docs-"));
after(() => rm(machine, { recursive: true, force: true }));
const onMachine = [
  ...["--driver", "simulated", "--simulated-gpus", "A100-80GB:2"],
  ...["--state-dir", join(machine, "state"), "--root", machine],
];

for (const { file, line, args: typed } of await documentedCommands()) {
  test(`${file}: ${line}`, async () => {
    process.chdir(root);
    const args = typed[0] === "gpus" || typed[0] === "mig" ? [...typed, ...onMachine] : inOwnDirectory(typed);
    const staying = args[0] === "up" && !args.includes("--once");
    // What would stay ends once it has settled.
    const run = await runTranche(staying ? [...args, "--once"] : args);
    assert.equal(run.code, 0, run.progress);
    assert.notEqual(run.answer, "");
  });
}
