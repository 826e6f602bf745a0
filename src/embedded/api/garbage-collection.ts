/**
 * Garbage collection by owner references: what belongs to an object goes after it, before it, or is let go
 * (kubernetes, pkg/controller/garbagecollector).
 *
 * A real cluster's collector is a controller that follows every type. Here it stands beside the store, which knows every
 * type too, custom ones included. It acts on a later turn than the write it answers, so watchers see both in order, and
 * it writes what it means to write without asking webhooks, as the end of a namespace does.
 */
import { errorText } from "../../base/index.ts";
import type { Change, Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { definitionsKey } from "./definition-status.ts";
import { foregroundFinalizer, orphanFinalizer, type Propagation } from "./deletion.ts";
import { isObject, type Json, type JsonObject, listAt, sameJson, textAt, valueAt, withPath } from "./json.ts";
import { endObject } from "./namespaces.ts";
import { OwnerIndex, ownersOf, type Place, placeKey, uidOf } from "./owner-index.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";
import { isFinished } from "./writes.ts";

/** How many objects are looked at within one turn, so that requests are answered in between. */
const objectsPerTurn = 100;

/** Collects from `start` to `stop`, whenever the store is written to. */
export class GarbageCollector {
  readonly #context: ApiContext;
  readonly #index = new OwnerIndex();
  /** Objects whose deletion waits for their dependents, by their uid. */
  readonly #waiting = new Map<string, Place>();
  readonly #queue = new Map<string, Place>();
  /** Objects with an owner of a type that is not served, to be looked at again when types change. */
  readonly #unresolved = new Map<string, Place>();
  #stopListening: (() => void) | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(context: ApiContext) {
    this.#context = context;
  }

  /** Looks at all there is, and from then on at every change. */
  start(): void {
    const { store } = this.#context;
    this.#stopListening = store.listen((collection, change) => this.#see(collection, change));
    for (const [collection, objects] of store.collections()) {
      for (const current of objects.list()) {
        this.#see(collection, { type: "ADDED", revision: current.revision, current, previous: undefined });
      }
    }
  }

  /** Ends at once; what was not looked at yet stays as it is. */
  stop(): void {
    this.#stopListening?.();
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#queue.clear();
  }

  /** Whether nothing is left to look at. */
  idle(): boolean {
    return this.#queue.size === 0;
  }

  #see(collection: string, { type, current, previous }: Change): void {
    const place: Place = { collection, namespace: current.namespace, name: current.name };
    const owners = type === "DELETED" ? [] : ownersOf(current.object);
    const formerOwners = previous === undefined ? [] : ownersOf(previous.object);
    const isSame = sameJson(owners, formerOwners);
    if (collection === definitionsKey) this.#resolve();
    if (!isSame) this.#index.replace(place, formerOwners, owners);
    if (type === "DELETED") {
      this.#index.noteGone(current.uid);
      this.#enqueueAll(this.#index.dependentsOf(current.uid));
    }
    if (type !== "DELETED" && waits(current.object)) {
      this.#waiting.set(current.uid, place);
      this.#enqueue(place);
      const begins = isForeground(current.object) && (previous === undefined || !isForeground(previous.object));
      if (begins) this.#enqueueAll(this.#index.dependentsOf(current.uid));
    } else this.#waiting.delete(current.uid);
    if (isSame) return;
    if (owners.length > 0) this.#enqueue(place);
    // An owner that waits may be able to go when this one is gone, or no longer blocks it.
    for (const owner of formerOwners) this.#enqueueWaiting(uidOf(owner));
  }

  #resolve(): void {
    this.#enqueueAll(this.#unresolved.values());
    this.#unresolved.clear();
  }

  #enqueueWaiting(uid: string): void {
    const place = this.#waiting.get(uid);
    if (place !== undefined) this.#enqueue(place);
  }

  #enqueueAll(places: Iterable<Place>): void {
    for (const place of places) this.#enqueue(place);
  }

  #enqueue(place: Place): void {
    this.#queue.set(placeKey(place), place);
    this.#turn ??= setImmediate(() => this.#work());
  }

  #work(): void {
    this.#turn = undefined;
    // What these steps write is looked at in a later turn.
    const chosen = firstOf(this.#queue.values(), objectsPerTurn);
    for (const place of chosen) this.#queue.delete(placeKey(place));
    for (const place of chosen) {
      try {
        this.#examine(place);
      } catch (error) {
        this.#context.log.error({ ...place, error: errorText(error) }, "garbage collection failed");
      }
    }
    if (this.#queue.size > 0) this.#turn ??= setImmediate(() => this.#work());
  }

  #examine(place: Place): void {
    const found = this.#find(place);
    if (found === undefined) return;
    if (!isEnding(found.object)) this.#collect(place, found);
    else if (hasFinalizer(found.object, orphanFinalizer)) this.#orphan(place, found);
    else if (hasFinalizer(found.object, foregroundFinalizer)) this.#finish(place, found);
  }

  /** Deletes an object that nobody owns any more, or forgets those owners that are gone (`attemptToDeleteItem`). */
  #collect(place: Place, found: Version): void {
    const owners = ownersOf(found.object);
    const states = owners.map((owner) => this.#stateOf(found, owner));
    if (states.includes("unknown")) this.#unresolved.set(placeKey(place), place);
    const lost = owners.filter((_, index) => states[index] === "gone" || states[index] === "waiting");
    if (lost.length === 0) return;
    if (lost.length < owners.length) this.#disown(place, lost.map(uidOf));
    else if (states.includes("waiting") && this.#index.hasDependents(found.uid)) this.#deleteFirst(place, found);
    else this.#delete(place, presentPropagation(found.object));
  }

  /** Deletes an object after its own dependents. In a circle of owners somebody must stop blocking the others. */
  #deleteFirst(place: Place, found: Version): void {
    const isCircle = anyOf(this.#index.dependentsOf(found.uid), (one) => {
      const object = this.#find(one)?.object;
      return object !== undefined && isForeground(object);
    });
    if (isCircle) this.#change(place, withoutBlocking);
    this.#delete(place, "Foreground");
  }

  /** Of an `unknown` owner nothing can be said (no such type, or no namespace to look in), so its dependents stay. */
  #stateOf({ namespace }: Version, owner: Json): "solid" | "gone" | "waiting" | "unknown" {
    if (this.#index.isGone(uidOf(owner))) return "gone";
    const type = this.#ownerType(owner);
    if (type === undefined || (type.namespaced && namespace === "")) return "unknown";
    const place = { collection: collectionKey(type), namespace: type.namespaced ? namespace : "" };
    const found = this.#find({ ...place, name: textAt(owner, "name") });
    if (found === undefined || found.uid !== uidOf(owner)) return "gone";
    return isForeground(found.object) ? "waiting" : "solid";
  }

  #ownerType(owner: Json): ApiType | undefined {
    const [version = "", group = ""] = textAt(owner, "apiVersion").split("/").reverse();
    const kind = textAt(owner, "kind");
    const isOwners = (type: ApiType): boolean =>
      type.kind === kind && type.group === group && type.version === version && type.stored;
    return this.#context.registry.all().find(isOwners);
  }

  /** Lets dependents go, a turn's share at a time, then the owner. */
  #orphan(place: Place, found: Version): void {
    for (const one of firstOf(this.#index.dependentsOf(found.uid), objectsPerTurn)) this.#disown(one, [found.uid]);
    if (this.#index.hasDependents(found.uid)) this.#enqueue(place);
    else this.#change(place, (object) => withoutFinalizer(object, orphanFinalizer));
  }

  /** Lets an owner go that waited for its dependents, unless one of them still blocks it. */
  #finish(place: Place, { uid }: Version): void {
    const isBlocked = anyOf(this.#index.dependentsOf(uid), (one) => {
      const owners = ownersOf(this.#find(one)?.object ?? {});
      return owners.some((owner) => uidOf(owner) === uid && valueAt(owner, "blockOwnerDeletion") === true);
    });
    if (!isBlocked) this.#change(place, (object) => withoutFinalizer(object, foregroundFinalizer));
  }

  #disown(place: Place, uids: readonly string[]): void {
    this.#change(place, (object) => {
      const kept = ownersOf(object).filter((owner) => !uids.includes(uidOf(owner)));
      return withPath(object, ["metadata", "ownerReferences"], kept.length === 0 ? undefined : kept);
    });
  }

  #find({ collection, namespace, name }: Place): Version | undefined {
    return this.#context.store.collection(collection).find(namespace, name);
  }

  #delete({ collection, namespace, name }: Place, propagation: Propagation): void {
    const type = this.#context.registry.all().find((one) => collectionKey(one) === collection);
    if (type === undefined) return;
    const options = { dryRun: false, gracePeriodSeconds: undefined, uid: undefined, resourceVersion: undefined };
    endObject(this.#context, { type, namespace, name }, { ...options, propagation });
  }

  #change(place: Place, change: (object: JsonObject) => JsonObject): void {
    const found = this.#find(place);
    if (found === undefined) return;
    const changed = change(found.object);
    const { store } = this.#context;
    if (isFinished(changed)) store.remove(place.collection, changed, found);
    else store.replace(place.collection, changed, found);
  }
}

/** An object that was marked before its owner went keeps its own way. */
function presentPropagation(object: JsonObject): Propagation {
  if (hasFinalizer(object, orphanFinalizer)) return "Orphan";
  return hasFinalizer(object, foregroundFinalizer) ? "Foreground" : "Background";
}

/** Whether the object's deletion waits for its dependents to go, or to be let go. */
function waits(object: JsonObject): boolean {
  return isForeground(object) || (isEnding(object) && hasFinalizer(object, orphanFinalizer));
}

function isForeground(object: JsonObject): boolean {
  return isEnding(object) && hasFinalizer(object, foregroundFinalizer);
}

function isEnding(object: JsonObject): boolean {
  return textAt(object, "metadata", "deletionTimestamp") !== "";
}

function hasFinalizer(object: JsonObject, name: string): boolean {
  return listAt(object, "metadata", "finalizers").includes(name);
}

function withoutFinalizer(object: JsonObject, name: string): JsonObject {
  const kept = listAt(object, "metadata", "finalizers").filter((one) => one !== name);
  return withPath(object, ["metadata", "finalizers"], kept.length === 0 ? undefined : kept);
}

function withoutBlocking(object: JsonObject): JsonObject {
  const owners = ownersOf(object).map((one) => (isObject(one) ? { ...one, blockOwnerDeletion: false } : one));
  return withPath(object, ["metadata", "ownerReferences"], owners);
}

function anyOf<T>(items: Iterable<T>, test: (item: T) => boolean): boolean {
  for (const one of items) if (test(one)) return true;
  return false;
}

function firstOf<T>(items: Iterable<T>, count: number): readonly T[] {
  const found: T[] = [];
  for (const one of items) {
    if (found.length === count) break;
    found.push(one);
  }
  return found;
}
