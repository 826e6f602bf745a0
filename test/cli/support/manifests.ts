/** Manifests as they come out of a file called `my.yaml`. */
import assert from "node:assert/strict";
import { type Finding, findingLine } from "../../../src/base/index.ts";
import { type Declared, sortManifests } from "../../../src/cli/up/declared.ts";
import { type Manifest, readManifests } from "../../../src/config/index.ts";

/** All manifests of the text; fails with what is wrong with it. */
export function manifestsOf(text: string): readonly Manifest[] {
  const read = readManifests([{ file: "my.yaml", text }]);
  assert.ok(read.ok, read.findings.map(findingLine).join("\n"));
  return read.value;
}

/** What the text and the `--node` options declare together. */
export function declaredOf(text: string, nodes: readonly string[] = []): Declared {
  const sorted = sortManifests(manifestsOf(text), nodes);
  assert.ok(sorted.ok, sorted.findings.map(findingLine).join("\n"));
  return sorted.value;
}

/** `place: severity code: message; remedy` of each. */
export function linesOf(findings: readonly Finding[]): readonly string[] {
  return findings.map(findingLine);
}
