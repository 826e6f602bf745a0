/**
 * The objects of one type with the changes that led to them, in the order of their keys.
 */
import { type JsonObject, textAt, textFields, valueAt } from "./json.ts";

/** One state of one object; never changes, so readers may keep it. */
export class Version {
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  readonly object: JsonObject;
  #text: string | undefined;
  #labels: Readonly<Record<string, string>> | undefined;

  constructor(object: JsonObject, revision: number) {
    this.namespace = textAt(object, "metadata", "namespace");
    this.name = textAt(object, "metadata", "name");
    this.revision = revision;
    this.object = object;
  }

  /** The object as JSON; made once, shared by all answers and watches. */
  get text(): string {
    this.#text ??= JSON.stringify(this.object);
    return this.#text;
  }

  get labels(): Readonly<Record<string, string>> {
    this.#labels ??= textFields(valueAt(this.object, "metadata", "labels"));
    return this.#labels;
  }

  get uid(): string {
    return textAt(this.object, "metadata", "uid");
  }
}

/** What one write did. Of a deletion, `current` is the last state, at the revision of the deletion. */
export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  readonly current: Version;
  readonly previous: Version | undefined;
}

/** Objects sorted by `namespace/name`, as etcd keeps them, and the last changes. */
export class Collection {
  readonly #byKey = new Map<string, Version>();
  readonly #keys: string[] = [];
  readonly #historyLimit: number;
  #changes: Change[] = [];
  /** How many changes were forgotten; the position of the first one still kept. */
  #forgotten = 0;
  #compactedRevision: number;

  /**
   * Keeps at least `historyLimit` changes for watches that come back; of those up to `compactedRevision` nothing is
   * known, so that watches from before it are answered 410.
   */
  constructor(historyLimit: number, compactedRevision = 0) {
    this.#historyLimit = historyLimit;
    this.#compactedRevision = compactedRevision;
  }

  get size(): number {
    return this.#byKey.size;
  }

  find(namespace: string, name: string): Version | undefined {
    return this.#byKey.get(keyOf(namespace, name));
  }

  /** All objects, or those of one namespace, in order. */
  list(namespace?: string): readonly Version[] {
    const [start, end] = this.#range(namespace);
    const found: Version[] = [];
    for (let index = start; index < end; index++) {
      const version = this.#byKey.get(this.#keys[index] ?? "");
      if (version !== undefined) found.push(version);
    }
    return found;
  }

  /** How many objects a namespace holds. */
  count(namespace: string): number {
    const [start, end] = this.#range(namespace);
    return end - start;
  }

  /** What `list` told at an earlier revision; `undefined` when its changes are no longer known. */
  listAt(revision: number, namespace?: string): readonly Version[] | undefined {
    if (revision < this.#compactedRevision) return undefined;
    const undone = new Map<string, Version | undefined>();
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes[index];
      if (change === undefined || change.revision <= revision) break;
      if (namespace === undefined || change.current.namespace === namespace) {
        undone.set(keyOf(change.current.namespace, change.current.name), change.previous);
      }
    }
    if (undone.size === 0) return this.list(namespace);
    const kept = this.list(namespace).filter((one) => !undone.has(keyOf(one.namespace, one.name)));
    const restored = [...undone.values()].filter((one) => one !== undefined);
    return [...kept, ...restored].sort(byKey);
  }

  /** Fills a new collection; nothing is remembered of how the objects came to be. */
  fill(versions: readonly Version[]): void {
    for (const one of versions) this.#byKey.set(keyOf(one.namespace, one.name), one);
    for (const key of [...this.#byKey.keys()].sort()) this.#keys.push(key);
  }

  /** Carries out a change and remembers it. */
  apply(change: Change): void {
    const { current } = change;
    const key = keyOf(current.namespace, current.name);
    if (change.type === "DELETED") this.#removeKey(key);
    else if (!this.#byKey.has(key)) this.#keys.splice(this.#positionOf(key), 0, key);
    if (change.type !== "DELETED") this.#byKey.set(key, current);
    this.#changes.push(change);
    // Forgetting in batches keeps a write from moving the whole list each time.
    if (this.#changes.length > this.#historyLimit * 1.25) this.forget(this.#changes.length - this.#historyLimit);
  }

  /** Forgets the oldest `count` changes; watches from before them are answered 410. */
  forget(count = this.#changes.length): void {
    const last = this.#changes[count - 1];
    if (last === undefined) return;
    this.#compactedRevision = last.revision;
    this.#changes = this.#changes.slice(count);
    this.#forgotten += count;
  }

  /** The position after the last change, from which a watch of what is yet to come starts. */
  get end(): number {
    return this.#forgotten + this.#changes.length;
  }

  /** The position of the first change after `revision`; `undefined` when it is no longer kept. */
  positionAfter(revision: number): number | undefined {
    if (revision < this.#compactedRevision) return undefined;
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#forgotten + low;
  }

  /** The change at a position; `undefined` when it is forgotten or yet to come. */
  changeAt(position: number): Change | undefined {
    return position < this.#forgotten ? undefined : this.#changes[position - this.#forgotten];
  }

  #removeKey(key: string): void {
    if (!this.#byKey.delete(key)) return;
    this.#keys.splice(this.#positionOf(key), 1);
  }

  /** Where a key stands, or would stand. */
  #positionOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #range(namespace: string | undefined): readonly [number, number] {
    if (namespace === undefined) return [0, this.#keys.length];
    // "0" is the character after "/".
    return [this.#positionOf(`${namespace}/`), this.#positionOf(`${namespace}0`)];
  }
}

/** The place of an object in the order of a collection. */
export function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function byKey(a: Version, b: Version): number {
  const left = keyOf(a.namespace, a.name);
  const right = keyOf(b.namespace, b.name);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
