/**
 * Agents read ConfigMaps from the API and cite them as such; the user who wrote them in a file is shown the file.
 */
import { configMapFile } from "../../agent/index.ts";
import type { Finding } from "../../base/index.ts";
import { embeddedFile, type PlaceAt } from "../../config/index.ts";
import type { Declared } from "./declared.ts";

/** The findings with places in ConfigMaps turned into places in the files these were read from. */
export function inUserFiles(findings: readonly Finding[], { configMaps }: Declared): readonly Finding[] {
  const placeAt = new Map<string, PlaceAt>();
  for (const { manifest, object, contents } of configMaps) {
    for (const key of contents.keys()) {
      const file = embeddedFile(manifest, key);
      if (file !== undefined) placeAt.set(configMapFile(object, key), file.placeAt);
    }
  }
  return findings.map((one) => {
    const inFile = one.place && placeAt.get(one.place.file);
    return one.place === undefined || inFile === undefined
      ? one
      : { ...one, place: inFile(one.place.line, one.place.column) };
  });
}
