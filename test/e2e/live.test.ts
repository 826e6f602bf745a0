/** `tranche up` on a terminal: the `script` of util-linux gives it one of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type PtyScreen, screenOf } from "../support/pty-screen.ts";
import { runTranche } from "../support/run-up.ts";
import { everythingBelow, temporaryDirectory } from "../support/temporary.ts";
import { until } from "../support/until.ts";

const program = fileURLToPath(new URL("../../bin/tranche", import.meta.url));
const quickStart = fileURLToPath(new URL("../../examples/quick-start.yaml", import.meta.url));
const terminal = fileURLToPath(new URL("../../src/cli/terminal.ts", import.meta.url));

interface Session {
  readonly directory: string;
  written(): string;
  screen(): PtyScreen;
  type(keys: string): void;
  /** Takes the terminal away from the command, as when its window is closed. */
  close(): void;
  /** The exit code of the command; what `script` itself answers is that of its child. */
  end(): Promise<number>;
}

/** Runs a command line on a terminal of 100 columns and 30 rows. */
async function onTerminal(
  t: TestContext,
  command: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Session> {
  const directory = await temporaryDirectory(t);
  const child: ChildProcess = spawn("script", ["-qec", `stty cols 100 rows 30; exec ${command}`, "/dev/null"], {
    detached: true,
    env: {
      ...process.env,
      TMPDIR: directory,
      NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
      TERM: "xterm-256color",
      ...env,
    },
  });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
  });
  ended.catch(() => {});
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  t.after(() => child.pid !== undefined && isAlive() && process.kill(-child.pid, "SIGKILL"));
  return {
    directory,
    written: () => text,
    screen: () => screenOf(text),
    type: (keys) => void child.stdin?.write(keys),
    close: () => void child.kill("SIGKILL"),
    end: () => ended,
  };
}

async function shows(session: Session, pattern: RegExp): Promise<void> {
  try {
    await until(`the terminal shows ${pattern}`, () => pattern.test(session.screen().lines.join("\n")));
  } catch (cause) {
    throw new Error(session.written(), { cause });
  }
}

const ways = [
  { name: "q", keys: "q" },
  { name: "Ctrl-C", keys: "\u0003" },
];
for (const { name, keys } of ways) {
  test(`up on a terminal shows nodes, GPUs and pods until ${name}, and leaves the terminal as it was`, async (t) => {
    const session = await onTerminal(t, `${program} up -f ${quickStart}`);
    await shows(session, /8 of 8 pods running/);
    await shows(session, /^ {2}0 A100-SXM4-80GB .* ok ●1g .*│●1g .*│●1g .*│·+│●3g\.40gb default\/pod-d/m);
    await shows(session, /^ {2}0 Tesla T4 .* ● 4 of 4 time slices default\/pod-e /m);
    await shows(session, /^default\/pod-a {2}Running {2}node-a100 {2}1 nvidia\.com\/mig-1g\.10gb/m);
    await shows(session, /^export KUBECONFIG=\S+/m);
    assert.ok(session.screen().isAlternate);
    assert.ok(!session.screen().hasCursor);

    session.type(keys);
    assert.equal(await session.end(), 0, session.written());
    const { lines, isAlternate, hasCursor } = session.screen();
    assert.deepEqual(lines.filter(Boolean), ["2 nodes, 2 GPUs (simulated); 8 of 8 pods running."]);
    assert.ok(!isAlternate && hasCursor);
    assert.deepEqual(await everythingBelow(session.directory), []);
  });
}

for (const flag of ["", "--plain"]) {
  test(`${`up ${flag}`.trimEnd()} leaves nothing behind when its terminal is closed`, async (t) => {
    const session = await onTerminal(t, `${program} up -f ${quickStart} ${flag}`);
    await shows(session, /8 of 8 pods running/);
    session.close();
    await until("everything is gone", async () => (await everythingBelow(session.directory)).length === 0);
  });
}

test("the view lives through faults and through an outage of the API server", async (t) => {
  const stateDir = join(await temporaryDirectory(t), "state");
  const fault = async (...args: readonly string[]): Promise<void> => {
    const run = await runTranche(["fault", ...args, "--state-dir", stateDir]);
    assert.equal(run.code, 0, run.progress);
  };
  const session = await onTerminal(t, `${program} up -f ${quickStart} --state-dir ${stateDir}`);
  await shows(session, /8 of 8 pods running/);
  // It takes faults once it has settled.
  await until("it takes faults", () => existsSync(join(stateDir, "control.sock")));
  await fault("api-outage", "500ms");
  await shows(session, /fault: the API server at \S+ refuses connections for 500ms/);
  await shows(session, /namespace kube-system APIServerOutage: /);
  await fault("gpu", "node-t4/0", "--xid", "79");
  await shows(session, /^ {2}0 Tesla T4 .*gpu-unhealthy/m);
  session.type("q");
  assert.equal(await session.end(), 0, session.written());
});

test("where manifests come from standard input there are no keys, and it says so", async (t) => {
  const session = await onTerminal(t, `${program} up -f - < ${quickStart}`);
  await shows(session, /8 of 8 pods running\. .* Ctrl-C quits$/m);
  session.type("q");
  session.type("\u0003");
  assert.equal(await session.end(), 0, session.written());
});

test("a program that crashes gives the terminal back before it tells why", async (t) => {
  const source = [
    `import { processTerminal } from ${JSON.stringify(terminal)};`,
    `processTerminal()?.open({ onKey() {}, onResize() {} });`,
    `setTimeout(() => { throw new Error("a fault"); });`,
  ].join(" ");
  const session = await onTerminal(t, `${process.execPath} --input-type=module-typescript -e '${source}'`);
  assert.notEqual(await session.end(), 0);
  const { lines, isAlternate, hasCursor } = session.screen();
  assert.ok(session.written().includes("\u001b[?1049h"), "it did take the screen");
  assert.match(lines.join("\n"), /a fault/);
  assert.ok(!isAlternate && hasCursor);
});

const plain = [
  { name: "with --plain", args: "--plain", env: {} },
  { name: "on a terminal that cannot move its cursor", args: "", env: { TERM: "dumb" } },
];
for (const { name, args, env } of plain) {
  test(`up ${name} writes lines`, async (t) => {
    const session = await onTerminal(t, `${program} up -f ${quickStart} ${args}`, env);
    await shows(session, /export KUBECONFIG=/);
    assert.ok(!session.written().includes("\u001b[?"), "nothing is switched or hidden");
    assert.match(session.written(), /pod default\/pod-a Running on node-a100/);
    session.type("\u0003");
    assert.equal(await session.end(), 0, session.written());
  });
}
