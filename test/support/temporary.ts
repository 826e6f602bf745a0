/** Directories of a test's own. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { cleanUp } from "./clean-up.ts";

/** A fresh directory that is removed after the test; short, since sockets go below it. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "e2e-"));
  cleanUp(t, () => rm(path, { recursive: true, force: true }));
  return path;
}

/** Writes files into a fresh directory and returns their paths in the same order. */
export async function writtenFiles(
  t: TestContext,
  texts: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const directory = await temporaryDirectory(t);
  const paths: string[] = [];
  for (const [name, text] of Object.entries(texts)) {
    const path = join(directory, name);
    await writeFile(path, text);
    paths.push(path);
  }
  return paths;
}

/** Everything below a directory, in name order; empty when there is no such directory. */
export async function everythingBelow(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path, { recursive: true })).sort();
  } catch {
    return [];
  }
}
