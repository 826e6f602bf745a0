/**
 * Tells NVIDIA's configuration formats from each other and from anything else by their top-level keys.
 */
import { readFirstDocument } from "./documents.ts";
import { isObject } from "./field-reader.ts";
import { placesIn } from "./places.ts";

/** `empty` is a valid device-plugin configuration and a valid, useless mig-parted file. */
export type ContentKind = "mig-parted" | "device-plugin" | "empty" | "other";

const pluginSections = new Set(["flags", "resources", "sharing", "imex"]);

/** What a parsed document is. Keys of device-plugin files count in any case, as its reader takes them. */
export function recognise(value: unknown): ContentKind {
  if (value === null || value === undefined) return "empty";
  if (!isObject(value)) return "other";
  const keys = Object.keys(value);
  if (keys.length === 0) return "empty";
  if (keys.includes("mig-configs")) return "mig-parted";
  const lower = keys.map((key) => key.toLowerCase());
  if (lower.some((key) => pluginSections.has(key))) return "device-plugin";
  return lower.every((key) => key === "version") ? "device-plugin" : "other";
}

/**
 * What a text is. A text that is not well-formed YAML is what its lines look like, so that whoever reads it as that
 * reports the mistake.
 */
export function recogniseText(text: string): ContentKind {
  const { documents, findings } = readFirstDocument(text, "", placesIn(""));
  if (findings.every((one) => one.severity !== "error")) return recognise(documents[0]?.value);
  if (/^["']?mig-configs["']?\s*:/m.test(text)) return "mig-parted";
  return /^["']?(?:flags|sharing)["']?\s*:/im.test(text) ? "device-plugin" : "other";
}

/** What each text of a ConfigMap's `data` holds, by key; takes `data` as it comes, missing or untyped. */
export function configMapContents(data: unknown): ReadonlyMap<string, ContentKind> {
  const contents = new Map<string, ContentKind>();
  for (const [key, text] of Object.entries(isObject(data) ? data : {})) {
    if (typeof text === "string") contents.set(key, recogniseText(text));
  }
  return contents;
}
