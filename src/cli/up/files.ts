/**
 * Reads the files named with `-f`: single files, the manifests of a directory, or standard input.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorText, type Finding, finding, type Outcome } from "../../base/index.ts";
import { type FileText, type Manifest, readManifests } from "../../config/index.ts";
import { readInput } from "../input-text.ts";

const MANIFEST_NAME = /\.(ya?ml|json)$/i;

/** All manifests of `paths`, directories one level deep in name order; `-` is standard input. */
export async function readFiles(paths: readonly string[]): Promise<Outcome<readonly Manifest[]>> {
  const texts: FileText[] = [];
  const findings: Finding[] = [];
  for (const path of paths) {
    try {
      for (const file of await filesAt(path)) texts.push({ file, text: await readInput(file) });
    } catch (error) {
      findings.push(
        finding("file-not-found", { kind: "file", name: path }, `cannot read ${path}: ${errorText(error)}`, {
          remedy: "check the path given with -f",
        }),
      );
    }
  }
  return findings.length > 0 ? { ok: false, findings } : readManifests(texts);
}

async function filesAt(path: string): Promise<readonly string[]> {
  if (path === "-" || !(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => MANIFEST_NAME.test(name)).sort();
  if (names.length === 0) throw new Error("the directory holds no .yaml, .yml or .json file");
  return names.map((name) => join(path, name));
}
