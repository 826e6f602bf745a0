/**
 * Deleting: at once, after a grace period, or when finalizers let go (apiserver, pkg/registry/rest/delete.go).
 */
import { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { badRequest, conflict } from "./errors.ts";
import { type JsonObject, listAt, numberAt, objectAt, textAt, withPath } from "./json.ts";
import { collectionKey } from "./registry.ts";
import { findObject, isFinished, type Target, type WriteOptions } from "./writes.ts";

/** What a client asks of a deletion; `undefined` leaves the choice to the server. */
export interface DeleteOptions extends WriteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/** What became of the object: its last state, and whether it is gone. */
export interface Deletion {
  readonly version: Version;
  readonly gone: boolean;
}

/** Reads the `DeleteOptions` of a body; throws 400 for values that make no sense. */
export function parseDeleteOptions(body: JsonObject, options: WriteOptions): DeleteOptions {
  const grace = body["gracePeriodSeconds"];
  if (grace !== undefined && grace !== null && !Number.isInteger(grace)) {
    throw badRequest("gracePeriodSeconds is not a whole number");
  }
  const policy = body["propagationPolicy"];
  if (typeof policy === "string" && !["Orphan", "Background", "Foreground"].includes(policy)) {
    throw badRequest(`propagationPolicy: Unsupported value: ${JSON.stringify(policy)}`);
  }
  const preconditions = objectAt(body, "preconditions");
  return {
    dryRun: options.dryRun || listAt(body, "dryRun").includes("All"),
    gracePeriodSeconds: typeof grace === "number" ? grace : undefined,
    uid: textAt(preconditions, "uid") || undefined,
    resourceVersion: textAt(preconditions, "resourceVersion") || undefined,
  };
}

/** Begins or completes the deletion of an object; throws 404, or 409 for a precondition that does not hold. */
export function deleteObject(context: ApiContext, target: Target, options: DeleteOptions): Deletion {
  const old = findObject(context, target);
  assertPreconditions(target, old, options);
  const marked = markDeleted(context, target, { old: old.object, options });
  const key = collectionKey(target.type);
  if (marked === old.object) return { version: old, gone: false };
  context.admission?.admit({
    operation: "DELETE",
    target,
    subresource: "",
    object: undefined,
    oldObject: old.object,
    dryRun: options.dryRun,
    refill: (one) => one,
    check: () => {},
  });
  const gone = isFinished(marked);
  if (options.dryRun) return { version: new Version(marked, old.revision), gone };
  const version = gone ? context.store.remove(key, marked, old) : context.store.replace(key, marked, old);
  return { version, gone };
}

function assertPreconditions({ type, name }: Target, old: Version, options: DeleteOptions): void {
  const { uid, resourceVersion } = options;
  if (uid !== undefined && uid !== old.uid) {
    throw conflict(type, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.uid}`);
  }
  if (resourceVersion !== undefined && resourceVersion !== String(old.revision)) {
    const seen = `ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.revision}`;
    throw conflict(type, name, `Precondition failed: ${seen}`);
  }
}

interface Marking {
  readonly old: JsonObject;
  readonly options: DeleteOptions;
}

/** The object with the time by which it shall be gone; the same object when that does not change. */
function markDeleted({ clock }: ApiContext, target: Target, { old, options }: Marking): JsonObject {
  const grace = graceSeconds(target, old, options);
  const before = numberAt(old, "metadata", "deletionGracePeriodSeconds");
  // A second deletion can only shorten the time that the first one left.
  if (before !== undefined && (options.gracePeriodSeconds === undefined || grace >= before)) return old;
  const due = new Date(clock.now() + grace * 1000).toISOString();
  const timed = withPath(old, ["metadata", "deletionTimestamp"], `${due.slice(0, 19)}Z`);
  return withPath(timed, ["metadata", "deletionGracePeriodSeconds"], grace);
}

/** Only pods on a node have something to wait for (kubernetes, pkg/registry/core/pod/strategy.go). */
function graceSeconds({ type }: Target, object: JsonObject, options: DeleteOptions): number {
  if (collectionKey(type) !== "pods.") return 0;
  const spec = objectAt(object, "spec");
  if (textAt(spec, "nodeName") === "") return 0;
  if (["Succeeded", "Failed"].includes(textAt(object, "status", "phase"))) return 0;
  const wanted = options.gracePeriodSeconds ?? numberAt(spec, "terminationGracePeriodSeconds") ?? 30;
  return wanted < 0 ? 1 : wanted;
}
