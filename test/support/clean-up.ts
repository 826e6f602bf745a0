/**
 * What a test ends when it is over: the last begun first, as one thing works on what was there before it.
 *
 * The hooks of node:test run in the order in which they were given, and none after one that fails: a directory would be
 * removed under the feet of whoever still writes to it, and that would leave everything else running.
 */
import type { TestContext } from "node:test";

const closersOf = new WeakMap<TestContext, (() => unknown)[]>();

/** Calls `close` when the test is over, after all that was given later; what fails is told when all is done. */
export function cleanUp(t: TestContext, close: () => unknown): void {
  const known = closersOf.get(t);
  if (known !== undefined) {
    known.push(close);
    return;
  }
  const closers = [close];
  closersOf.set(t, closers);
  t.after(() => closeAll(closers));
}

async function closeAll(closers: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `not ended: ${failures.map(String).join("; ")}`);
}
