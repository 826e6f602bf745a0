/**
 * A change whose NVML calls fail, or whose process is killed, at any point: the layout is the old or the new one, or it
 * is told exactly what is left, and the next command repairs it.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { changingSymbols } from "../../fixtures/mocknvml/mock-node.ts";
import { TrancheProcess } from "../../support/tranche-process.ts";
import { migFile } from "./machine.ts";
import { type NvmlMachine, nvmlMachine } from "./nvml-machine.ts";

/** NVML_ERROR_UNKNOWN, NVML_ERROR_IN_USE, NVML_ERROR_INSUFFICIENT_RESOURCES. */
const codes = [999, 19, 23];
const kills = ["kill-before", "kill-after"] as const;
/** Reads are many and alike; every one of them in turn takes minutes, so by default some are left out. */
const stride = process.env["EVERY_NVML_CALL"] === undefined ? 67 : 1;
/** The double remembers every call; a new one starts with an empty memory. */
const trialsPerMachine = 20;

interface Scene {
  readonly machine: NvmlMachine;
  readonly before: readonly string[];
  readonly after: readonly string[];
  apply(config: "before" | "after"): ReturnType<NvmlMachine["run"]>;
  readonly applyWords: readonly string[];
}

/** One GPU that is cut anew in part and one that gets another MIG mode. */
async function scene(t: TestContext): Promise<Scene> {
  const machine = await nvmlMachine(t, "A100-80GB:2");
  const file = await migFile(machine.directory, {
    before: "0 3x1g.10gb 1x3g.40gb; 1 off",
    after: "0 1x1g.10gb 1x2g.20gb 1x3g.40gb; 1 2x3g.40gb",
  });
  const apply = (config: string) => machine.run("mig", "apply", "-f", file, "-c", config);
  const states: (readonly string[])[] = [];
  for (const config of ["after", "before"]) {
    const { code, progress } = await apply(config);
    assert.equal(code, 0, progress);
    states.unshift(await machine.state());
  }
  const [before = [], after = []] = states;
  return { machine, before, after, apply, applyWords: ["mig", "apply", "-f", file, "-c", "after"] };
}

/** Whether every GPU is as before or as wanted. */
function isWhole({ before, after }: Scene, state: readonly string[]): boolean {
  return [before, after].some((one) => JSON.stringify(one) === JSON.stringify(state));
}

async function backToBefore({ machine, before, apply }: Scene, what: string): Promise<void> {
  const { code, progress } = await apply("before");
  assert.equal(code, 0, `${what}: ${progress}`);
  assert.deepEqual(await machine.state(), before, what);
}

test("a call that fails, whichever it is: all GPUs as before or as wanted, or it is told what is left", async (t) => {
  let one = await scene(t);
  const first = (await one.machine.node.calls()).length;
  await one.apply("after");
  const calls = (await one.machine.node.calls()).slice(first);
  const changing = calls.flatMap(({ symbol }, at) => (changingSymbols.includes(symbol) ? [at] : []));
  const places = calls.flatMap((_, at) => (at % stride === 0 || changing.includes(at) ? [at] : []));
  for (const [trial, at] of places.entries()) {
    const code = codes[trial % codes.length] ?? 999;
    if (trial % trialsPerMachine === 0) one = await scene(t);
    const { machine, apply } = one;
    const disarm = await machine.node.fail({ symbol: "*", nth: at + 1, code });
    const run = await apply("after");
    await disarm();
    const what = `call ${at} (${calls[at]?.symbol}) fails with ${code}`;
    const state = await machine.state();
    if (!isWhole(one, state)) assert.match(run.progress, /mig-change-unfinished: GPU \d/, what);
    if (run.code === 0) assert.deepEqual(state, one.after, what);
    await backToBefore(one, what);
  }
});

test("a failure that stays, from any changing call on: what is left is told, and the next apply repairs it", async (t) => {
  const one = await scene(t);
  const { machine, apply } = one;
  for (const symbol of changingSymbols) {
    const disarm = await machine.node.fail({ symbol, code: 999, times: Number.POSITIVE_INFINITY });
    const run = await apply("after");
    await disarm();
    if (!isWhole(one, await machine.state())) {
      assert.equal(run.code, 1, symbol);
      assert.match(run.progress, /mig-change-unfinished: GPU \d/, symbol);
    }
    await backToBefore(one, symbol);
  }
});

test("a process killed at any change: the next command says so, and finishes it or undoes it", async (t) => {
  const one = await scene(t);
  const { machine, apply, applyWords } = one;
  const first = (await machine.node.changes()).length;
  await apply("after");
  const changes = (await machine.node.changes()).slice(first).map(({ symbol }) => symbol);
  await backToBefore(one, "without a kill");
  assert.ok(changes.length >= 10, changes.join());
  for (const [at, symbol] of changes.entries()) {
    const nth = changes.slice(0, at + 1).filter((other) => other === symbol).length;
    // Killed after a call is as good as killed before the next one, but for the last.
    for (const code of at === changes.length - 1 ? kills : kills.slice(0, 1)) {
      const what = `${code} of call ${nth} of ${symbol}`;
      const disarm = await machine.node.fail({ symbol, nth, code });
      const killed = await TrancheProcess.start(t, ...applyWords, ...machine.options);
      const end = await killed.end();
      await disarm();
      if (symbol === "nvidia-smi") assert.notEqual(end.code, undefined);
      else assert.equal(end.signal, "SIGKILL", `${what}: ${killed.progress}`);
      const told = await machine.run("gpus");
      if (end.signal === "SIGKILL") assert.match(told.progress, /mig-change-unfinished[\s\S]*before it: GPU 0: /, what);
      if (at % 2 === 0) {
        const finished = await apply("after");
        assert.equal(finished.code, 0, `${what}: ${finished.progress}`);
        assert.deepEqual(await machine.state(), one.after, what);
      } else if (end.signal === "SIGKILL") {
        const undone = await machine.run("mig", "rollback");
        assert.equal(undone.code, 0, `${what}: ${undone.progress}`);
        assert.deepEqual(await machine.state(), one.before, what);
      }
      assert.equal((await machine.run("gpus")).progress, "", what);
      await backToBefore(one, what);
    }
  }
});

test("a second apply makes no call that changes anything", async (t) => {
  const { machine, apply } = await scene(t);
  const first = (await machine.node.changes()).length;
  assert.equal((await apply("before")).code, 0);
  assert.deepEqual((await machine.node.changes()).slice(first), []);
});
