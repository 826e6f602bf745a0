/**
 * All objects, under one counter of resource versions.
 *
 * Every call runs to its end before another begins, so a caller that reads and then writes without waiting in between
 * needs no lock; one that waits compares versions.
 */
import { type Change, Collection, Version } from "./collection.ts";
import { type JsonObject, textAt, withPath } from "./json.ts";

export interface StoreOptions {
  /** How many changes of each collection are kept for watches; default 2,000. */
  readonly historyLimit?: number;
}

/** Objects by collection and the resource version of the last write, as they were kept on disk. */
export interface KeptState {
  readonly revision: number;
  readonly objects: ReadonlyMap<string, readonly JsonObject[]>;
}

/** Told of every change, within the write. */
export type StoreListener = (collection: string, change: Change) => void;

const defaultHistoryLimit = 2000;

/** More writes than can be lost between two runs. */
const restartGap = 1_000_000;

/** Collections by their key (`registry.ts`), and who wants to know of changes. */
export class Store {
  readonly #collections = new Map<string, Collection>();
  readonly #listeners = new Set<StoreListener>();
  readonly #historyLimit: number;
  #revision = 1;
  #restoredRevision = 0;

  constructor(options: StoreOptions = {}) {
    this.#historyLimit = options.historyLimit ?? defaultHistoryLimit;
  }

  /** The resource version of the last write. */
  get revision(): number {
    return this.#revision;
  }

  /** How many objects there are. */
  get size(): number {
    return [...this.#collections.values()].reduce((sum, one) => sum + one.size, 0);
  }

  /** The collection under a key, made when first asked for. */
  collection(key: string): Collection {
    const found = this.#collections.get(key);
    if (found !== undefined) return found;
    const made = new Collection(this.#historyLimit, this.#restoredRevision);
    this.#collections.set(key, made);
    return made;
  }

  /**
   * Takes over what was kept; for a store in which nothing was written yet. No listener is told.
   *
   * Objects keep their resource versions. Those of the store go on well after the last one that was kept: clients may
   * have seen later ones that were lost, and must find that their watches are too old (410) and not miss what comes.
   */
  restore({ revision, objects }: KeptState): void {
    this.#revision = revision + restartGap;
    this.#restoredRevision = this.#revision;
    for (const [key, some] of objects) {
      this.collection(key).fill(
        some.map((one) => new Version(one, Number(textAt(one, "metadata", "resourceVersion")))),
      );
    }
  }

  /** Keys and collections. */
  collections(): Iterable<readonly [string, Collection]> {
    return this.#collections;
  }

  /** Stores a new object; the caller has made sure that there is none of its name. */
  create(key: string, object: JsonObject): Version {
    return this.#write(key, "ADDED", object, undefined);
  }

  /** Stores a new state in place of `previous`. */
  replace(key: string, object: JsonObject, previous: Version): Version {
    return this.#write(key, "MODIFIED", object, previous);
  }

  /** Removes an object; the answer is its last state. */
  remove(key: string, object: JsonObject, previous: Version): Version {
    return this.#write(key, "DELETED", object, previous);
  }

  /** Calls `listener` for each change from now on; the answer stops it. */
  listen(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write(key: string, type: Change["type"], object: JsonObject, previous: Version | undefined): Version {
    this.#revision += 1;
    const stamped = withPath(object, ["metadata", "resourceVersion"], String(this.#revision));
    const current = new Version(stamped, this.#revision);
    const change = { type, revision: this.#revision, current, previous };
    this.collection(key).apply(change);
    for (const listener of this.#listeners) listener(key, change);
    return current;
  }
}
