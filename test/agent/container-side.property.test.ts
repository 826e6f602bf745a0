/** CDI specs on disk are what is offered and what is held, whatever sequence of layouts, edits and pods comes. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { ContainerSide, type Offered } from "../../src/agent/container-side.ts";
import { silentLogger } from "../../src/base/index.ts";
import { noImex } from "../../src/config/index.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { parseCdiSpec } from "../../src/kubelet/index.ts";
import { assertValidSpec, cdiSettings, DRIVER_VERSION, richHost } from "../sharing/cdi-support.ts";
import { gpu, nodeOffers } from "../sharing/fixtures.ts";

const layouts = [undefined, "", "7g.80gb@0", "3g.40gb@4 1g.10gb@0", "1g.10gb@0 1g.10gb@1 2g.20gb@2"];
const others = { "nvidia.yaml": "of the toolkit", "vendor.com-class.json": "{}" };

const step = fc.record({
  layouts: fc.tuple(fc.constantFrom(...layouts), fc.constantFrom(...layouts)),
  migStrategy: fc.constantFrom("none" as const, "single" as const, "mixed" as const),
  strategies: fc.subarray(["envvar", "volume-mounts", "cdi-annotations", "cdi-cri"] as const),
  deviceIdStrategy: fc.constantFrom("uuid" as const, "uuid" as const, "index" as const),
  gdsEnabled: fc.boolean(),
  replicas: fc.constantFrom(1, 3),
  /** Whether a pod takes the offered device of this position, and the pods of these positions end. */
  takes: fc.option(fc.nat(9), { nil: undefined }),
  ends: fc.array(fc.nat(4), { maxLength: 2 }),
  /** Whether the kubelet tells who holds what. */
  answers: fc.boolean(),
  /** Whether the agent was replaced by another before. */
  isNew: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A pod with the name under which a runtime must find its device as long as it lives. */
interface Holder {
  readonly uuid: string;
  readonly name: string | undefined;
}

function offeredBy({ layouts: [one, other], ...set }: Step, held: readonly Holder[]): Offered {
  // As the agent promises: what a pod holds is not destroyed.
  const gpus: readonly Gpu[] = [gpu(0, one), gpu(1, other)].map((made, at) => {
    const needed = layouts.find((text) =>
      holds(
        gpu(at, text),
        held.filter(({ uuid }) => belongs(uuid, at)),
      ),
    );
    return holds(
      made,
      held.filter(({ uuid }) => belongs(uuid, at)),
    )
      ? made
      : gpu(at, needed);
  });
  const settings = {
    ...cdiSettings,
    migStrategy: set.migStrategy,
    deviceListStrategy: set.strategies,
    deviceIdStrategy: set.deviceIdStrategy,
    gdsEnabled: set.gdsEnabled,
  };
  const share = set.replicas === 1 ? [] : [`gpu x${set.replicas}`];
  const { offers } = nodeOffers({ gpus, settings, share, migMinors: richHost.migMinors });
  return { gpus, offers, settings, imex: noImex, host: richHost };
}

function belongs(uuid: string, gpuIndex: number): boolean {
  return uuid === `GPU-${gpuIndex}` || uuid.startsWith(`MIG-${gpuIndex}-`);
}

function uuidsOf({ uuid, mig, instances }: Gpu): readonly string[] {
  return mig?.current === true ? instances.flatMap((one) => one.computeInstances.map((part) => part.uuid)) : [uuid];
}

function holds(made: Gpu, held: readonly Holder[]): boolean {
  const uuids = uuidsOf(made);
  return held.every(({ uuid }) => uuids.includes(uuid));
}

/** The names of GPUs and MIG devices that a runtime finds now; every file must be one that it takes. */
async function described(directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const file of await readdir(directory)) {
    const text = await readFile(join(directory, file), "utf8");
    if (Object.hasOwn(others, file)) continue;
    const spec = parseCdiSpec(text) ?? assert.fail(`${file} is no spec: ${text}`);
    assertValidSpec(spec);
    if (spec.kind.endsWith("/gpu")) names.push(...spec.devices.map(({ name }) => name));
  }
  return names;
}

/** A node whose agent offers and whose pods hold devices, over one directory. */
class World {
  readonly #directory: string;
  #side: ContainerSide;
  #held: readonly Holder[] = [];
  #answers = true;
  #before: readonly string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.#side = this.#newSide();
  }

  async take(one: Step): Promise<void> {
    this.#answers = one.answers;
    if (one.isNew) this.#side = this.#newSide();
    this.#held = this.#held.filter((_, at) => !one.ends.includes(at));
    const offered = offeredBy(one, this.#held);
    const byCdi = one.strategies.some((strategy) => strategy.startsWith("cdi"));
    const devices = offered.offers.flatMap((offer) => offer.devices);
    const names = devices.map(({ uuid, index }) => (one.deviceIdStrategy === "index" ? index : uuid));
    const wanted = new Set(byCdi ? names : []);

    const { unusable, findings } = await this.#side.prepare(offered);
    assert.deepEqual([unusable, findings], [[], []]);
    const meanwhile = await described(this.#directory);
    for (const name of [...wanted, ...this.#before]) {
      assert.ok(meanwhile.includes(name), `${name} is not there in between`);
    }
    await this.#side.settle();
    this.#before = await described(this.#directory);
    this.#check(wanted);

    const taken = one.takes === undefined ? undefined : devices[one.takes % Math.max(1, devices.length)];
    if (taken === undefined) return;
    // An index names another device once the layout changes; only a UUID can be kept.
    const name = byCdi && one.deviceIdStrategy === "uuid" ? taken.uuid : undefined;
    this.#held = [...this.#held, { uuid: taken.uuid, name }];
  }

  #check(wanted: ReadonlySet<string>): void {
    const now = this.#before;
    for (const name of wanted) assert.ok(now.includes(name), `${name} is offered and not described`);
    for (const { name } of this.#held) {
      assert.ok(name === undefined || now.includes(name), `${name} is held and not described`);
    }
    // While the kubelet does not tell who holds what, nothing is taken away.
    if (!this.#answers) return;
    const kept = new Set(this.#held.map(({ uuid }) => uuid));
    for (const name of now) {
      const mayBeHeld = kept.has(name) || (/^\d/.test(name) && kept.size > 0);
      assert.ok(wanted.has(name) || mayBeHeld, `${name} is described and neither offered nor held`);
    }
  }

  #newSide(): ContainerSide {
    const holders = {
      holders: async () => {
        if (!this.#answers) throw new Error("the kubelet is away");
        return new Map(this.#held.map(({ uuid }) => [uuid, ["ml/a"]] as const));
      },
    };
    const driver = { driverVersion: DRIVER_VERSION };
    return new ContainerSide({ node: "n", driver, cdiDirectory: this.#directory, holders, log: silentLogger });
  }
}

async function run(directory: string, steps: readonly Step[]): Promise<void> {
  for (const [name, text] of Object.entries(others)) await writeFile(join(directory, name), text);
  const world = new World(directory);
  for (const one of steps) await world.take(one);
  for (const [name, text] of Object.entries(others)) assert.equal(await readFile(join(directory, name), "utf8"), text);
  const drafts = (await readdir(directory)).filter((name) => name.endsWith(".tmp"));
  assert.deepEqual(drafts, []);
}

test("specs on disk are what is offered and what is held", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const directory = await mkdtemp(join(tmpdir(), "cdi-"));
      try {
        await run(directory, steps);
      } finally {
        await rm(directory, { recursive: true });
      }
    }),
    { numRuns: 100 },
  );
});
