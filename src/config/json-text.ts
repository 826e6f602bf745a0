/**
 * Reads one YAML or JSON text as the plain JSON value that Kubernetes' own reader makes of it (sigs.k8s.io/yaml).
 */
import type { Finding, Outcome } from "../base/index.ts";
import { readFirstDocument } from "./documents.ts";
import { placesIn } from "./places.ts";

/** What a text says. */
export interface JsonText {
  /** `null` for a text without content. */
  readonly value: unknown;
  /** Keys that stand twice in their mapping, with their places. */
  readonly repeated: readonly Finding[];
}

/** Reads the first document of `text`; findings cite their places in `file`. */
export function readJsonText(text: string, file: string): Outcome<JsonText> {
  const { documents, findings } = readFirstDocument(text, file, placesIn(file));
  const repeated = findings.filter(({ code }) => code === "duplicate-key");
  const broken = findings.filter(({ code }) => code === "yaml-syntax");
  if (broken.length > 0) return { ok: false, findings: broken };
  return { ok: true, value: { value: documents[0]?.value ?? null, repeated }, findings: [] };
}
