/**
 * Which types are served now: the built-in ones and those that CustomResourceDefinitions bring.
 */
import type { ApiType } from "./types.ts";

/** Looks types up by path; types come and go with their definitions. */
export class Registry {
  readonly #types = new Map<string, ApiType>();

  constructor(types: Iterable<ApiType>) {
    for (const type of types) this.add(type);
  }

  /** The type served at this group, version and plural. */
  find(group: string, version: string, plural: string): ApiType | undefined {
    return this.#types.get(pathKey(group, version, plural));
  }

  /** Starts to serve a type, in place of one with the same path. */
  add(type: ApiType): void {
    this.#types.set(pathKey(type.group, type.version, type.plural), type);
  }

  /** Stops serving a type. */
  remove(type: ApiType): void {
    this.#types.delete(pathKey(type.group, type.version, type.plural));
  }

  /** All types, in the order in which they came. */
  all(): readonly ApiType[] {
    return [...this.#types.values()];
  }

  /** The versions served of each group, in the order in which they came; the core group is the empty name. */
  groups(): ReadonlyMap<string, readonly string[]> {
    const groups = new Map<string, string[]>();
    for (const { group, version } of this.#types.values()) {
      const versions = groups.get(group) ?? [];
      if (!versions.includes(version)) versions.push(version);
      groups.set(group, versions);
    }
    return groups;
  }
}

function pathKey(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`;
}

/** Names what is stored: all versions of a custom type share one collection, and so do a type and its view. */
export function collectionKey(type: Pick<ApiType, "group" | "plural" | "view">): string {
  return type.view?.collection ?? `${type.plural}.${type.group}`;
}
