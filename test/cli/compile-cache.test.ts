import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { temporaryDirectory } from "../support/temporary.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

test("compiled code is kept in a cache directory that is the user's alone, and nowhere else", async (t) => {
  const root = await temporaryDirectory(t);
  const [home, temporary] = [join(root, "home"), join(root, "tmp")];
  for (const directory of [home, temporary]) await mkdir(directory);
  const run = async (): Promise<void> => {
    const env = { PATH: process.env["PATH"], HOME: home, TMPDIR: temporary };
    await promisify(execFile)(process.execPath, [main, "--version"], { env });
  };
  await chmod(home, 0o777);
  await run();
  assert.deepEqual([await readdir(home), await readdir(temporary)], [[], []]);
  await chmod(home, 0o755);
  await run();
  assert.deepEqual(await readdir(join(home, ".cache")), ["tranche"]);
  assert.deepEqual(await readdir(temporary), []);
});
