/** A supervisor whose machine refuses what it asks for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MpsMachine } from "../../../src/agent/mps/mps-machine.ts";
import { MpsSupervisor } from "../../../src/agent/mps/supervisor.ts";
import { silentLogger } from "../../../src/base/index.ts";
import { mpsDaemons } from "../../../src/sharing/index.ts";
import { fastClock } from "../../support/fast-clock.ts";
import { until } from "../../support/until.ts";
import { mpsOffers } from "./support.ts";

test("a daemon that may not be ended does not end the agent, which tries again", async () => {
  let pid: number | undefined;
  let kills = 0;
  const machine: MpsMachine = {
    simulated: true,
    known: async () => [],
    pid: async () => pid,
    start: async () => {
      pid = 7;
      throw new Error("it does not listen");
    },
    send: async () => "",
    kill: () => {
      kills += 1;
      if (kills === 1) throw new Error("kill EPERM");
      pid = undefined;
    },
    tidy: async () => {},
  };
  const states: string[] = [];
  const supervisor = new MpsSupervisor({
    deviceUuid: "GPU-0",
    machine,
    clock: fastClock(50),
    log: silentLogger,
    held: async () => false,
    heldOtherwise: async () => false,
    onState: ({ kind }) => states.push(kind),
  });
  const [daemon] = mpsDaemons(mpsOffers(["gpu[0] x4"]));
  assert.ok(daemon);
  supervisor.follow({ daemon, root: "/run/mps" });
  await until("it works", () => supervisor.state.kind === "ready");
  assert.deepEqual(states, ["down", "ready"]);
  await supervisor.stop();
  assert.deepEqual([kills, pid], [2, undefined]);
});
