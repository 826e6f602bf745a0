/**
 * Whatever is wanted, whoever comes and goes while it is brought about, and whichever driver call fails: nothing that a
 * pod holds is ever destroyed, no pod is given what is not there, and once all is quiet the last wish comes true.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { uuidOf } from "../../src/agent/holders.ts";
import type { Gpu, InjectedFault } from "../../src/gpu/index.ts";
import type { Choice } from "./support/fake-kubelet.ts";
import { SmallNode } from "./support/small-node.ts";

/** What happens on the node between two calls of the agent; numbers pick among what is there. */
type Happening = { readonly kind: "choose" | "finish" | "end"; readonly pick: number } | { readonly kind: "nothing" };

interface Turn {
  readonly wish: string;
  readonly happenings: readonly Happening[];
  readonly fault: InjectedFault | undefined;
  /** Whether the kubelet takes up no lists during the turn. */
  readonly behind: boolean;
}

const a100 = ["off", "7x1g.10gb", "2x3g.40gb", "1x3g.40gb 2x2g.20gb", "1x7g.80gb", "1x4g.40gb 3x1g.10gb"];
const a30 = ["off", "4x1g.6gb", "2x2g.12gb", "1x4g.24gb", "1x2g.12gb 2x1g.6gb"];
const wishes = fc.tuple(fc.constantFrom(...a100), fc.constantFrom(...a30)).map(([one, two]) => `0: ${one}; 1: ${two}`);

const happenings: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom("choose", "finish"), pick: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end"), pick: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.constant({ kind: "nothing" }) },
);

const faults: fc.Arbitrary<InjectedFault> = fc.record({
  call: fc.constantFrom(
    "setMigMode",
    "resetGpu",
    "createGpuInstance",
    "destroyGpuInstance",
    "createComputeInstance",
    "destroyComputeInstance",
  ),
  afterCalls: fc.nat(6),
  times: fc.integer({ min: 1, max: 3 }),
  nvmlCode: fc.constantFrom("unknown", "in-use"),
});

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({
    wish: wishes,
    happenings: fc.array(happenings, { maxLength: 30 }),
    fault: fc.option(faults, { nil: undefined }),
    behind: fc.oneof({ weight: 15, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** A node on which things happen, and which notes what must never be seen. */
class BusyNode {
  readonly node = new SmallNode({ models: ["a100-sxm4-80gb", "a30-24gb"], share: ["gpu x2", "mig-3g.40gb x2"] });
  readonly wrongs: string[] = [];
  /** Pods that ran, were refused, and changes that were made: a run in which nothing happens shows nothing. */
  readonly seen = { admitted: 0, refused: 0, changes: 0 };
  readonly #held = new Map<string, readonly string[]>();
  readonly #looks: Promise<void>[] = [];
  #choices: Choice[] = [];
  #running: string[] = [];
  #pods = 0;
  #coming: Happening[] = [];

  constructor() {
    const { kubelet, driver } = this.node;
    kubelet.meanwhile = () => this.#next();
    kubelet.onGrant = ({ pod, ids }) => {
      this.#held.set(pod, ids);
      this.#look(`is given to ${pod}`, ids);
    };
    driver.onChange(() => {
      this.seen.changes += 1;
      for (const [pod, ids] of this.#held) this.#look(`is held by ${pod}`, ids);
      this.#next();
    });
  }

  async take({ wish, happenings: coming, fault, behind }: Turn): Promise<void> {
    this.#coming = [...coming];
    this.node.kubelet.behind = behind;
    const repair = fault === undefined ? () => {} : this.node.driver.failCall(fault);
    await this.node.pass(this.node.turn(wish));
    repair();
    this.node.kubelet.behind = false;
    // What the turn was too short for happens before the next one.
    while (this.#coming.length > 0) this.#next();
    await Promise.all(this.#looks);
  }

  /** Everybody leaves, nothing fails any more; true when the wish comes true in three turns. */
  async settles(wish: string): Promise<boolean> {
    this.#choices = [];
    for (const pod of [...this.#held.keys()]) this.#end(pod);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await this.node.clock.advance(60_001);
      const { state } = await this.node.pass(this.node.turn(wish));
      if (state === "success") return this.node.pass(this.node.offering.confirmed());
    }
    return false;
  }

  #next(): void {
    const happening = this.#coming.shift();
    if (happening === undefined || happening.kind === "nothing") return;
    const { kind, pick } = happening;
    if (kind === "choose") this.#choose(pick);
    else if (kind === "finish") this.#finish(pick);
    else if (this.#running.length > 0) this.#end(this.#running[pick % this.#running.length] ?? "");
  }

  #choose(pick: number): void {
    const { kubelet } = this.node;
    const resources = [...kubelet.free()].flatMap(([resource, free]) => (free > 0 ? [resource] : []));
    const resource = resources[pick % resources.length];
    if (resource === undefined) return;
    this.#pods += 1;
    const choice = kubelet.choose(`ml/p${this.#pods}`, resource);
    if (choice !== undefined) this.#choices.push(choice);
  }

  #finish(pick: number): void {
    const choice = this.#choices[pick % this.#choices.length];
    if (choice === undefined) return;
    this.#choices = this.#choices.filter((one) => one !== choice);
    const admitted = (): void => {
      this.seen.admitted += 1;
      this.#running.push(choice.pod);
    };
    const refused = (): void => {
      this.seen.refused += 1;
    };
    this.#looks.push(this.node.kubelet.finish(choice).then(admitted, refused));
  }

  #end(pod: string): void {
    this.node.kubelet.end(pod);
    this.#held.delete(pod);
    this.#running = this.#running.filter((one) => one !== pod);
  }

  /** Looks at the GPUs as they are at this moment; `list` of the simulated driver reads them before it returns. */
  #look(why: string, ids: readonly string[]): void {
    const looking = this.node.driver.list().then((gpus) => {
      const devices = new Set(gpus.flatMap(devicesOf));
      for (const id of ids) if (!devices.has(uuidOf(id))) this.wrongs.push(`${id} ${why} and is not there`);
    });
    this.#looks.push(looking);
  }
}

/** UUIDs that a container can use: a GPU outside MIG mode, or its MIG devices. */
function devicesOf({ uuid, mig, instances }: Gpu): readonly string[] {
  if (mig?.current !== true) return [uuid];
  return instances.flatMap((one) => one.computeInstances.map((compute) => compute.uuid));
}

test("what pods hold stays, what they are given is there, and the last wish comes true", async () => {
  const seen = { admitted: 0, refused: 0, changes: 0 };
  await fc.assert(
    fc.asyncProperty(turns, async (all) => {
      const busy = new BusyNode();
      await busy.node.publish();
      for (const one of all) await busy.take(one);
      assert.deepEqual(busy.wrongs, []);
      assert.equal(await busy.settles(all.at(-1)?.wish ?? ""), true);
      assert.deepEqual(busy.wrongs, []);
      for (const key of ["admitted", "refused", "changes"] as const) seen[key] += busy.seen[key];
    }),
    { numRuns: 150 },
  );
  // Otherwise the runs above would show nothing.
  assert.ok(seen.admitted > 200 && seen.refused > 10 && seen.changes > 1000, JSON.stringify(seen));
});
