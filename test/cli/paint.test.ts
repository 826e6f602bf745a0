/** Each case is a process of its own, since colours depend on its environment and its streams. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const roomOf = (file: string): string => JSON.stringify(fileURLToPath(new URL(`../../src/${file}`, import.meta.url)));

/** Prints a finding to standard error as the command line does, after pretending that the streams are terminals. */
function findingOnStandardError({
  terminal,
  env,
}: {
  terminal: boolean;
  env: Readonly<Record<string, string>>;
}): string {
  const program = `
    import { WriteStream } from "node:tty";
    import { finding } from ${roomOf("base/index.ts")};
    import { findingLines } from ${roomOf("cli/report/text.ts")};
    if (${terminal}) {
      const getColorDepth = WriteStream.prototype.getColorDepth;
      Object.assign(process.stderr, { isTTY: true, getColorDepth });
    } else {
      Object.assign(process.stdout, { isTTY: true, getColorDepth: () => 24 });
    }
    const subject = { kind: "cluster", name: "cluster" };
    process.stderr.write(findingLines([finding("not-settled", subject, "it was not at rest")]));
  `;
  const { PATH = "" } = process.env;
  const run = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], {
    encoding: "utf8",
    env: { PATH, TERM: "xterm-256color", ...env },
  });
  assert.equal(run.status, 0, run.stderr);
  return run.stderr;
}

const plain = "error not-settled: cluster\n  it was not at rest";
const coloured = `\u001b[31merror\u001b[39m not-settled: cluster\n  it was not at rest`;
const rows = [
  { name: "a pipe gets no colours, even when the other stream is a terminal", terminal: false, env: {}, want: plain },
  { name: "a terminal gets colours", terminal: true, env: {}, want: coloured },
  { name: "NO_COLOR takes the colours away", terminal: true, env: { NO_COLOR: "1" }, want: plain },
  { name: "a dumb terminal gets no colours", terminal: true, env: { TERM: "dumb" }, want: plain },
  { name: "FORCE_COLOR makes colours for a pipe", terminal: false, env: { FORCE_COLOR: "1" }, want: coloured },
];
for (const { name, terminal, env, want } of rows) {
  test(name, () => assert.equal(findingOnStandardError({ terminal, env }), want));
}
