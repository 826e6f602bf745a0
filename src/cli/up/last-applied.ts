/**
 * Applying as `kubectl apply` does: what an object was last applied as is written into an annotation of it, so that
 * fields which a manifest no longer has are taken away and fields that others have set stay
 * (kubectl, pkg/cmd/apply; apimachinery, pkg/util/jsonmergepatch).
 */
import type { KubeObject } from "../../kube/index.ts";
import { isRecord } from "./control-protocol.ts";

/** The annotation that kubectl reads and writes. */
export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** The object with the annotation that says how it is applied now; one that the server will refuse stays as it is. */
export function withLastApplied<T extends KubeObject>(object: T): T {
  const given: unknown = object.metadata.annotations ?? {};
  if (!isRecord(given)) return object;
  const { [LAST_APPLIED]: _, ...annotations } = given;
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const applied = { ...annotations, [LAST_APPLIED]: `${goJson(bare)}\n` };
  return { ...object, metadata: { ...object.metadata, annotations: applied } };
}

/**
 * The merge patch that brings `live` to what `wanted` says; `wanted` bears its annotation already. Lists are replaced as
 * a whole, as kubectl does for custom resources.
 */
export function applyPatch(live: KubeObject, wanted: KubeObject): Readonly<Record<string, unknown>> {
  const before = parsedRecord(live.metadata.annotations?.[LAST_APPLIED]);
  return { ...withRemovals(before, { ...wanted }) };
}

/** As Go's encoding/json writes it; kubectl compares texts, and takes an object for changed when they differ. */
function goJson(value: unknown): string {
  const sorted = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(sorted);
    if (!isRecord(one)) return one;
    const entries = Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]));
  };
  const escaped = /[<>&\u2028\u2029]/g;
  return JSON.stringify(sorted(value)).replaceAll(
    escaped,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** `wanted` with null for each field that was applied `before` and is wanted no more. */
function withRemovals(
  before: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(wanted, key));
  return Object.fromEntries([
    ...Object.entries(wanted).map(([key, value]): [string, unknown] => {
      const old = Object.hasOwn(before, key) ? before[key] : undefined;
      return [key, isRecord(value) && isRecord(old) ? withRemovals(old, value) : value];
    }),
    ...removed.map((key): [string, unknown] => [key, null]),
  ]);
}

/** An annotation that somebody has broken tells nothing of what was applied. */
function parsedRecord(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}
