/**
 * Every finding Tranche can raise: its code, how grave it is, what it means and what to do about it in general.
 *
 * Codes are never reused for something else. `docs/findings.md` is generated from this table.
 */

export type Severity = "error" | "warning" | "info";

interface CodeEntry {
  readonly severity: Severity;
  /** What it means, in one or two full sentences; becomes the paragraph in `docs/findings.md`. */
  readonly meaning: string;
}

export const findingCodes = {
  // command line and environment
  "file-not-found": { severity: "error", meaning: "A file or directory named on the command line cannot be read." },
  "port-in-use": { severity: "error", meaning: "The port asked for is held by another program." },
  "state-dir-unusable": {
    severity: "error",
    meaning: "The state directory cannot be created, written or locked, or its path is too long for unix sockets.",
  },
  "bad-node": { severity: "error", meaning: "A simulated node is described in a way that cannot be read." },
  "unknown-gpu-model": { severity: "error", meaning: "No GPU of this name is in the catalogue." },
} as const satisfies Record<string, CodeEntry>;

export type FindingCode = keyof typeof findingCodes;
