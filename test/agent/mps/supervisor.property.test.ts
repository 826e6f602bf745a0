/** Whatever happens to config, pods and daemons: in the end exactly the daemons run that are wanted, with their limits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as settled } from "node:timers/promises";
import fc from "fast-check";
import { NodeMps } from "../../../src/agent/mps/node-mps.ts";
import { silentLogger, VirtualClock } from "../../../src/base/index.ts";
import { SimulatedMps } from "../../../src/gpu/simulated/simulated-mps.ts";
import { mpsDaemons, mpsLimitCommands } from "../../../src/sharing/index.ts";
import { mpsOffers } from "./support.ts";

const roots = ["/run/a", "/run/b"];

type Deed =
  | { readonly kind: "config"; readonly replicas: readonly number[]; readonly root: string }
  | { readonly kind: "crash" | "deaf"; readonly gpu: number }
  | { readonly kind: "hold" | "free"; readonly gpu: number }
  | { readonly kind: "agent" | "wait" };

const gpu = fc.integer({ min: 0, max: 1 });
const deeds: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({
    kind: fc.constant("config" as const),
    replicas: fc.tuple(fc.constantFrom(0, 2, 4), fc.constantFrom(0, 2, 4)),
    root: fc.constantFrom(...roots),
  }),
  fc.record({ kind: fc.constantFrom("crash" as const, "deaf" as const), gpu }),
  fc.record({ kind: fc.constantFrom("hold" as const, "free" as const), gpu }),
  fc.record({ kind: fc.constantFrom("agent" as const, "wait" as const) }),
);

class World {
  readonly clock = new VirtualClock();
  readonly held = new Map<string, true>();
  /** Commands that each daemon was sent since it started. */
  readonly told = new Map<string, string[]>();
  /** GPUs whose daemons take commands and answer none. */
  readonly #deaf = new Set<string>();
  readonly #machine: SimulatedMps;
  mps: NodeMps;
  #replicas: readonly number[] = [0, 0];
  #root = "/run/a";

  constructor() {
    let pid = 0;
    const told = this.told;
    const deaf = this.#deaf;
    this.#machine = new (class extends SimulatedMps {
      override async start(place: { readonly directory: string; readonly deviceUuid: string }): Promise<void> {
        told.set(place.directory, []);
        deaf.delete(place.deviceUuid);
        await super.start(place);
      }
      override async send(
        place: { readonly directory: string; readonly deviceUuid: string },
        command: string,
      ): Promise<string> {
        if (deaf.has(place.deviceUuid)) return new Promise(() => {});
        if (command.startsWith("set_default")) told.get(place.directory)?.push(command);
        return super.send(place, command);
      }
    })(() => {
      pid += 1;
      return pid;
    });
    this.mps = this.#agent();
  }

  #agent(): NodeMps {
    return new NodeMps({
      node: "n",
      machine: this.#machine,
      clock: this.clock,
      log: silentLogger,
      holders: async () => this.held,
      events: { add: () => {}, tell: async () => {} },
      onChange: () => {},
    });
  }

  get offers() {
    const share = this.#replicas.flatMap((count, at) => (count === 0 ? [] : [`gpu[${at}] x${count}`]));
    return mpsOffers(share);
  }

  async does(deed: Deed): Promise<void> {
    switch (deed.kind) {
      case "config":
        this.#replicas = deed.replicas;
        this.#root = deed.root;
        return this.#follow();
      case "crash": {
        for (const root of roots) {
          const place = { directory: `${root}/GPU-${deed.gpu}`, deviceUuid: `GPU-${deed.gpu}` };
          this.#machine.kill((await this.#machine.pid(place)) ?? 0);
        }
        return;
      }
      case "deaf":
        this.#deaf.add(`GPU-${deed.gpu}`);
        return;
      case "hold":
        this.held.set(`GPU-${deed.gpu}`, true);
        return;
      case "free":
        this.held.delete(`GPU-${deed.gpu}`);
        return;
      case "agent": {
        await this.#stop();
        this.mps = this.#agent();
        return this.#follow();
      }
      case "wait":
        return this.pass(700);
    }
  }

  /** Lets time pass, and whatever begins meanwhile go on. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (;;) {
      await settled();
      const nowMs = this.clock.now();
      if (nowMs >= endMs) return;
      await this.clock.advance(Math.min(500, endMs - nowMs));
    }
  }

  /** Everybody lets go and time passes. */
  async settle(): Promise<void> {
    this.held.clear();
    await this.#follow();
    await this.pass(180_000);
  }

  async running(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const root of roots) {
      for (const deviceUuid of await this.#machine.known(root)) {
        const directory = `${root}/${deviceUuid}`;
        if ((await this.#machine.pid({ directory, deviceUuid })) === undefined) continue;
        const limits = this.told.get(directory)?.slice(-2).join(", ");
        found.push(`${directory}: ${limits}`);
      }
    }
    return found.sort();
  }

  wanted(): readonly string[] {
    return mpsDaemons(this.offers)
      .map((one) => `${this.#root}/${one.deviceUuid}: ${mpsLimitCommands(one).join(", ")}`)
      .sort();
  }

  async end(): Promise<void> {
    await this.#stop();
  }

  async #follow(): Promise<void> {
    await this.#while(this.mps.follow(this.offers, this.#root));
  }

  async #stop(): Promise<void> {
    await this.#while(this.mps.stop());
  }

  /** Time must pass for it to end. */
  async #while(work: Promise<void>): Promise<void> {
    let isOver = false;
    void work.finally(() => {
      isOver = true;
    });
    while (!isOver) await this.clock.advance(10);
    await work;
  }
}

test("the daemons that run in the end are those wanted, with the limits wanted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deeds, { maxLength: 12 }), async (list) => {
      const world = new World();
      // A daemon below a root that no config names any more is out of reach of the next agent.
      const hasOneRoot = list.some(({ kind }) => kind === "agent");
      for (const deed of list)
        await world.does(deed.kind === "config" && hasOneRoot ? { ...deed, root: "/run/a" } : deed);
      await world.settle();
      assert.deepEqual(await world.running(), world.wanted());
      assert.deepEqual(world.mps.findings(), []);
      for (const deviceUuid of ["GPU-0", "GPU-1"]) assert.equal(world.mps.isReady({ uuid: deviceUuid }), true);
      assert.equal(world.mps.busy, false);
      await world.end();
      assert.deepEqual(await world.running(), []);
    }),
    { numRuns: 80 },
  );
});

test("what is given out never changes hands while a pod holds it: a held daemon is never ended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deeds, { maxLength: 12 }), async (list) => {
      const world = new World();
      await world.does({ kind: "config", replicas: [4, 0], root: "/run/a" });
      await world.pass(1_000);
      assert.equal(world.mps.isReady({ uuid: "GPU-0" }), true);
      const before = await world.running();
      world.held.set("GPU-0", true);
      const others = list.filter((deed) => !("gpu" in deed && deed.gpu === 0));
      for (const deed of others) await world.does(deed);
      await world.pass(20_000);
      const pids = (all: readonly string[]) =>
        all.map((one) => one.split(":")[0]).filter((one) => one?.endsWith("GPU-0"));
      assert.ok(pids(await world.running()).includes(pids(before)[0]), "GPU 0's daemon runs on");
      await world.end();
    }),
    { numRuns: 40 },
  );
});
