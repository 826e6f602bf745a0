/**
 * The last write that changed something: signs of life are left out.
 *
 * A cluster at rest goes on writing, since kubelets renew their leases and the times of their conditions. Who waits for
 * rest asks here.
 */
import type { Change } from "./collection.ts";
import type { Store } from "./store.ts";

export class LastChange {
  #revision: number;

  constructor(store: Store) {
    this.#revision = store.revision;
    store.listen((collection, change) => {
      // A listener before this one may have written in turn, and that change is heard of first.
      if (!isSignOfLife(collection, change)) this.#revision = Math.max(this.#revision, change.revision);
    });
  }

  /** The resource version it brought. */
  get revision(): number {
    return this.#revision;
  }
}

function isSignOfLife(collection: string, { type, current, previous }: Change): boolean {
  if (type !== "MODIFIED" || previous === undefined) return false;
  if (collection === "leases.coordination.k8s.io") return true;
  return collection === "nodes." && timeless(current.object) === timeless(previous.object);
}

/** The object without what every write or heartbeat moves. */
function timeless(object: unknown): string {
  return JSON.stringify(object, (key, value) =>
    key === "lastHeartbeatTime" || key === "resourceVersion" || key === "managedFields" ? undefined : value,
  );
}
