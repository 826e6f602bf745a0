/**
 * All objects of a cache by namespace and name; sorted again only after something has changed.
 */
import type { KubeObject, ResourceCache } from "../../../kube/index.ts";

export class Sorted<T extends KubeObject> {
  readonly #cache: ResourceCache<T>;
  #items: readonly T[] | undefined;

  constructor(cache: ResourceCache<T>) {
    this.#cache = cache;
    cache.onChange(() => {
      this.#items = undefined;
    });
  }

  items(): readonly T[] {
    this.#items ??= this.#cache.items().toSorted(byName);
    return this.#items;
  }
}

function byName({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  return compare(a.namespace ?? "", b.namespace ?? "") || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
