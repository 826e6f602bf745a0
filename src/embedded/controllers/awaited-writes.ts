/**
 * What a controller has written and its caches do not show yet.
 *
 * Deciding anew before that would do the same again, for example create a pod twice; kube-controller-manager keeps
 * expectations for this (pkg/controller/controller_utils.go).
 */
import type { Clock } from "../../base/index.ts";
import type { KubeObject, ResourceCache } from "../../kube/index.ts";

/** After this long the caches are believed again, whatever became of the write. */
const expiryMs = 30_000;

interface Awaited {
  readonly expiresMs: number;
  isShown(): boolean;
}

/** Writes by the key of the object on whose behalf they were made. */
export class AwaitedWrites {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Awaited[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether nothing is awaited. */
  get idle(): boolean {
    return [...this.#byKey.keys()].every((key) => !this.has(key));
  }

  /** Whether something written for this key is not shown yet. */
  has(key: string): boolean {
    const nowMs = this.#clock.now();
    const left = (this.#byKey.get(key) ?? []).filter((one) => one.expiresMs > nowMs && !one.isShown());
    if (left.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
    return left.length > 0;
  }

  /** Awaits that the cache has come as far as `object`, which is what the server answered. */
  written<T extends KubeObject>(key: string, cache: ResourceCache<T>, object: KubeObject): void {
    const revision = revisionOf(object.metadata.resourceVersion);
    this.#await(key, () => revisionOf(cache.resourceVersion) >= revision);
  }

  /** Awaits that the cache shows the object gone or going. */
  deleted<T extends KubeObject>(key: string, cache: ResourceCache<T>, object: T): void {
    const { namespace, name, uid } = object.metadata;
    this.#await(key, () => {
      const shown = cache.get(namespace, name);
      return shown === undefined || shown.metadata.uid !== uid || shown.metadata.deletionTimestamp !== undefined;
    });
  }

  #await(key: string, isShown: () => boolean): void {
    const expiresMs = this.#clock.now() + expiryMs;
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), { expiresMs, isShown }]);
  }
}

/** Resource versions are numbers that grow (KEP-5504). */
function revisionOf(resourceVersion: string | undefined): number {
  return Number(resourceVersion ?? 0);
}
