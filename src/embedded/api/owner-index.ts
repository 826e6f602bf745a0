/**
 * Who refers to whom as its owner, by the owners' uids, so that nobody has to search for dependents.
 */
import { keyOf } from "./collection.ts";
import { type Json, type JsonObject, listAt, textAt } from "./json.ts";

/** Where an object is kept. */
export interface Place {
  readonly collection: string;
  readonly namespace: string;
  readonly name: string;
}

/** Different for different places. */
export function placeKey({ collection, namespace, name }: Place): string {
  return `${collection} ${keyOf(namespace, name)}`;
}

/** The references to an object's owners. */
export function ownersOf(object: JsonObject): readonly Json[] {
  return listAt(object, "metadata", "ownerReferences");
}

/** The uid that a reference names. */
export function uidOf(owner: Json): string {
  return textAt(owner, "uid");
}

/** Dependents by the uids of their owners, whether those are there or not. */
export class OwnerIndex {
  readonly #dependents = new Map<string, Map<string, Place>>();
  /** Of the owners above, those that were there and went: their uid never comes again. */
  readonly #gone = new Set<string>();

  /** Tells that the object at `place` had the owners `before` and has the owners `after`. */
  replace(place: Place, before: readonly Json[], after: readonly Json[]): void {
    const key = placeKey(place);
    for (const uid of after.map(uidOf)) {
      const known = this.#dependents.get(uid) ?? new Map<string, Place>();
      this.#dependents.set(uid, known.set(key, place));
    }
    const present = new Set(after.map(uidOf));
    for (const uid of before.map(uidOf)) if (!present.has(uid)) this.#forget(uid, key);
  }

  /** Tells that an object was removed. */
  noteGone(uid: string): void {
    if (this.#dependents.has(uid)) this.#gone.add(uid);
  }

  /** Whether an owner that somebody refers to is known to be gone, of whatever type it was. */
  isGone(uid: string): boolean {
    return this.#gone.has(uid);
  }

  hasDependents(uid: string): boolean {
    return this.#dependents.has(uid);
  }

  /** Where the dependents of an owner are. */
  dependentsOf(uid: string): Iterable<Place> {
    return this.#dependents.get(uid)?.values() ?? [];
  }

  #forget(uid: string, key: string): void {
    const known = this.#dependents.get(uid);
    known?.delete(key);
    if (known?.size !== 0) return;
    this.#dependents.delete(uid);
    this.#gone.delete(uid);
  }
}
