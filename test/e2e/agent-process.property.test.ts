/**
 * `tranche agent` as a process over NVIDIA's library, beside a kubelet with its own books: whatever restarts, edits,
 * faults and pods come in whatever order, the kubelet has each device once, pods keep what they hold, and nobody gets
 * what another one has.
 *
 * AGENT_RUNS sets how many sequences are tried; SEED and FC_PATH repeat one that failed.
 */
import { test } from "node:test";
import fc from "fast-check";
import { anyStep, type Step } from "./support/agent-steps.ts";
import { AgentWorld } from "./support/agent-world.ts";

const { AGENT_RUNS: runs = "4", SEED: seed, FC_PATH: path } = process.env;

test("no device is ever lost, doubled or given away twice, and pods run on", { timeout: 3_600_000 }, async (t) => {
  const world = await AgentWorld.start(t);
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 6, maxLength: 10 }), async (steps) => {
      await world.begin();
      const done: Step[] = [];
      try {
        for (const step of steps) {
          done.push(step);
          await world.do(step);
        }
        await world.calm();
      } catch (error) {
        const said = world.lastWords();
        throw new Error(`after ${JSON.stringify(done)}\n${said}`, { cause: error });
      }
    }),
    {
      numRuns: Number(runs),
      endOnFailure: true,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(path === undefined ? {} : { path }),
    },
  );
});
