/** Random owners and deletions: what is left is always as a slow look at every reference says it must be. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { type ConfigMap, KubeError, type OwnerReference, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { type Harness, startHarness } from "./api-support.ts";

let api: Harness;
let runs = 0;

before(async () => {
  api = await startHarness();
});
after(() => api.stop());

const names = ["a", "b", "c", "d", "e", "f"];
const name = fc.constantFrom(...names);
const hold = "example.com/hold";

type Operation =
  | { readonly kind: "create"; readonly name: string; readonly owners: readonly Owner[]; readonly held: boolean }
  | { readonly kind: "own"; readonly name: string; readonly owners: readonly Owner[] }
  | { readonly kind: "release"; readonly name: string }
  | { readonly kind: "delete"; readonly name: string; readonly policy: Policy };

/** An owner by its name; `unknown` refers to a uid that nobody has. */
interface Owner {
  readonly name: string;
  readonly blocks: boolean;
  readonly unknown: boolean;
}

type Policy = "Background" | "Foreground" | "Orphan";

const owners: fc.Arbitrary<readonly Owner[]> = fc.uniqueArray(
  fc.record({ name, blocks: fc.boolean(), unknown: fc.constantFrom(false, false, false, true) }),
  { maxLength: 3, selector: (one) => one.name },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("create"), name, owners, held: fc.constantFrom(false, false, true) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("own"), name, owners }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release"), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("delete"),
      name,
      policy: fc.constantFrom<Policy>("Background", "Foreground", "Orphan"),
    }),
  },
);

/** Objects by their uid. */
type World = ReadonlyMap<string, ConfigMap>;

async function look(namespace: string): Promise<World> {
  await until("the collector rests", () => api.server.idle());
  const { items } = await api.client.list<ConfigMap>(resources.configMaps, { namespace });
  return new Map(items.map((one) => [one.metadata.uid ?? "", one]));
}

async function perform(namespace: string, world: World, one: Operation): Promise<void> {
  const ref = { namespace, name: one.name };
  const references = (wanted: readonly Owner[]): OwnerReference[] =>
    wanted.map(({ name: owner, blocks, unknown }) => {
      const found = [...world.values()].find(({ metadata }) => metadata.name === owner);
      const uid = unknown ? undefined : found?.metadata.uid;
      return { apiVersion: "v1", kind: "ConfigMap", name: owner, uid: uid ?? "nobody", blockOwnerDeletion: blocks };
    });
  try {
    if (one.kind === "create") {
      const ownerReferences = references(one.owners);
      const metadata = { ...ref, ownerReferences, finalizers: one.held ? [hold] : [] };
      await api.client.create<ConfigMap>(resources.configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata });
    }
    const patch = (metadata: object): Promise<unknown> =>
      api.client.mergePatch(resources.configMaps, ref, { metadata });
    if (one.kind === "own") await patch({ ownerReferences: references(one.owners) });
    if (one.kind === "release") {
      const { metadata } = await api.client.get<ConfigMap>(resources.configMaps, ref);
      await patch({ finalizers: (metadata.finalizers ?? []).filter((finalizer) => finalizer !== hold) });
    }
    if (one.kind === "delete") await api.client.delete(resources.configMaps, ref, { propagationPolicy: one.policy });
  } catch (error) {
    assert.ok(error instanceof KubeError && [404, 409].includes(error.status), String(error));
  }
}

function isEnding({ metadata }: ConfigMap): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function isWaiting(one: ConfigMap): boolean {
  return isEnding(one) && (one.metadata.finalizers ?? []).includes("foregroundDeletion");
}

/** An owner that is there, and does not wait for its dependents to go first. */
function counts(world: World, { uid }: OwnerReference): boolean {
  const owner = world.get(uid);
  return owner !== undefined && !isWaiting(owner);
}

/** What is left to do, by the rules alone; nothing once the collector rests. */
function unfinished(world: World): readonly string[] {
  return [...world.values()].flatMap((one) => {
    const { ownerReferences = [], finalizers = [], uid } = one.metadata;
    if (!isEnding(one)) {
      const isRight = ownerReferences.every((reference) => counts(world, reference));
      return isRight ? [] : [`${one.metadata.name} belongs to somebody who does not count`];
    }
    if (finalizers.includes(hold) && !isWaiting(one)) return [];
    const blockers = [...world.values()].filter((other) =>
      (other.metadata.ownerReferences ?? []).some(
        (reference) => reference.uid === uid && reference.blockOwnerDeletion === true,
      ),
    );
    return isWaiting(one) && blockers.length > 0 ? [] : [`${one.metadata.name} waits for nothing`];
  });
}

/** Whoever went, or is going, without a reason. */
function wronged(before: World, after: World, one: Operation): readonly string[] {
  return [...before]
    .filter(([uid, object]) => isLive(object) && !isLive(after.get(uid)) && !mayGo(after, object, one))
    .map(([, { metadata }]) => `${metadata.name} went although nothing made it go`);
}

function mayGo(after: World, { metadata }: ConfigMap, one: Operation): boolean {
  if (one.kind === "delete" && one.name === metadata.name) return true;
  // It may have been given to somebody who never was.
  if (one.kind === "own" && one.name === metadata.name) return one.owners.length > 0;
  if (one.kind === "delete" && one.policy === "Orphan") return false;
  const owners = metadata.ownerReferences ?? [];
  return owners.length > 0 && !owners.some(({ uid }) => isLive(after.get(uid)));
}

function isLive(one: ConfigMap | undefined): boolean {
  return one !== undefined && !isEnding(one);
}

test("collects all that has lost its owners and nothing else", async () => {
  const property = fc.asyncProperty(fc.array(operation, { minLength: 4, maxLength: 25 }), async (operations) => {
    runs += 1;
    const namespace = `garbage-model-${runs}`;
    await api.client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace },
    });
    let world = await look(namespace);
    for (const one of operations) {
      const before = world;
      await perform(namespace, before, one);
      world = await look(namespace);
      assert.deepEqual([...unfinished(world), ...wronged(before, world, one)], [], JSON.stringify(one));
    }
  });
  await fc.assert(property, { numRuns: 40 });
});
