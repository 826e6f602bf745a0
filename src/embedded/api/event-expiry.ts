/**
 * Events are kept for an hour after their last change, as a real server does (kube-apiserver --event-ttl).
 */
import type { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";

/** Where events are kept. */
const eventsKey = "events.";
const lifetimeMs = 60 * 60 * 1000;
const sweepIntervalMs = 60 * 1000;

/** Removes old events once a minute, until the signal fires. */
export async function expireEvents({ store, clock }: ApiContext, signal: AbortSignal): Promise<void> {
  // Versions never change, so the time a version came is told by the version itself.
  const seenMs = new WeakMap<Version, number>();
  while (!signal.aborted) {
    const now = clock.now();
    for (const version of store.collection(eventsKey).list()) {
      const firstMs = seenMs.get(version) ?? now;
      seenMs.set(version, firstMs);
      if (now - firstMs >= lifetimeMs) store.remove(eventsKey, version.object, version);
    }
    try {
      await clock.sleep(sweepIntervalMs, signal);
    } catch {
      return;
    }
  }
}
