import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseGoDuration } from "../../src/config/index.ts";

// Go's time.ParseDuration.
describe("Go durations", () => {
  const good = [
    ["60s", 60_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["-2ms", -2],
    ["+1s", 1000],
    ["0", 0],
    [".5s", 500],
    ["5.s", 5000],
    ["1h0m1s", 3_601_000],
  ] as const;
  for (const [text, durationMs] of good) {
    test(text, () => assert.deepEqual(parseGoDuration(text), { ok: true, durationMs }));
  }

  const bad = [
    ["60", 'time: missing unit in duration "60"'],
    ["60sec", 'time: unknown unit "sec" in duration "60sec"'],
    ["1m30", 'time: missing unit in duration "1m30"'],
    ["", 'time: invalid duration ""'],
    ["-", 'time: invalid duration "-"'],
    ["s", 'time: invalid duration "s"'],
    [".s", 'time: invalid duration ".s"'],
    ["1constructor", 'time: unknown unit "constructor" in duration "1constructor"'],
  ] as const;
  for (const [text, reason] of bad) {
    test(JSON.stringify(text), () => assert.deepEqual(parseGoDuration(text), { ok: false, reason }));
  }
});
