/**
 * The watches of one collection, found by what they watch.
 *
 * Each kubelet and each agent watches the pods of its own node. Asking every watch about every change would make a change
 * cost as much as the fleet is large; so watches that pin a field to a value are looked up by the value the object has,
 * and had. What such a watch is not asked about cannot concern it, and it skips that when its turn comes.
 */
import type { Collection, Version } from "./collection.ts";
import type { LineCache, WatchSession } from "./watch.ts";

interface PinnedWatches {
  readonly read: (version: Version) => string;
  readonly byValue: Map<string, Set<WatchSession>>;
}

export class WatchIndex {
  readonly #collection: Collection;
  readonly #unpinned = new Set<WatchSession>();
  /** By field. */
  readonly #pinned = new Map<string, PinnedWatches>();
  /** All changes before this position were told to whom they concern. */
  #told: number;

  constructor(collection: Collection) {
    this.#collection = collection;
    this.#told = collection.end;
  }

  add(session: WatchSession): void {
    const { pin } = session.selection;
    if (pin === undefined) {
      this.#unpinned.add(session);
      return;
    }
    const { byValue } = this.#pinned.get(pin.field) ?? { byValue: new Map<string, Set<WatchSession>>() };
    this.#pinned.set(pin.field, { read: pin.read, byValue });
    byValue.set(pin.value, (byValue.get(pin.value) ?? new Set()).add(session));
  }

  delete(session: WatchSession): void {
    const { pin } = session.selection;
    if (pin === undefined) {
      this.#unpinned.delete(session);
      return;
    }
    const byValue = this.#pinned.get(pin.field)?.byValue;
    const sessions = byValue?.get(pin.value);
    sessions?.delete(session);
    if (sessions?.size === 0) byValue?.delete(pin.value);
  }

  /** Sends what has changed since the last time to those it may concern. */
  tell(lines: LineCache): void {
    const from = this.#told;
    this.#told = this.#collection.end;
    for (const session of this.#unpinned) session.pump(lines);
    for (const { read, byValue } of this.#pinned.values()) {
      for (const value of this.#values(from, read, byValue)) {
        for (const session of byValue.get(value) ?? []) {
          session.skipTo(from);
          session.pump(lines);
        }
      }
    }
  }

  /** All watches, none of them behind for want of being asked. */
  *sessions(): Iterable<WatchSession> {
    for (const session of this.#unpinned) yield session;
    for (const { byValue } of this.#pinned.values()) {
      for (const sessions of byValue.values()) for (const session of sessions) yield this.brought(session);
    }
  }

  /** The session, past what cannot concern it. */
  brought(session: WatchSession): WatchSession {
    session.skipTo(this.#told);
    return session;
  }

  /** The values that objects changed since `from` have and had; every value watched when that is not known any more. */
  #values(from: number, read: PinnedWatches["read"], byValue: PinnedWatches["byValue"]): Iterable<string> {
    const values = new Set<string>();
    for (let position = from; position < this.#told; position += 1) {
      const change = this.#collection.changeAt(position);
      if (change === undefined) return [...byValue.keys()];
      values.add(read(change.current));
      if (change.previous !== undefined) values.add(read(change.previous));
    }
    return values;
  }
}
