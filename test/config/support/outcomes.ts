/** Short views of outcomes for table tests. */
import assert from "node:assert/strict";
import { type Finding, findingLine, type Outcome } from "../../../src/base/index.ts";

/** `line:column code` of each finding, in order of place. */
export function marks(findings: readonly Finding[]): readonly string[] {
  return findings
    .map(({ place, code }) => ({ line: place?.line ?? 0, column: place?.column ?? 0, code }))
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .map(({ line, column, code }) => `${line}:${column} ${code}`);
}

/** The value; fails with the findings when there is none. */
export function valueFrom<T>(outcome: Outcome<T>): T {
  assert.ok(outcome.ok, outcome.findings.map(findingLine).join("\n"));
  return outcome.value;
}

/** Messages of all errors. */
export function errors(outcome: Outcome<unknown>): readonly string[] {
  return outcome.findings.filter((one) => one.severity === "error").map((one) => one.message);
}
