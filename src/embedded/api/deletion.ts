/**
 * Deleting: at once, after a grace period, or when finalizers let go (apiserver, pkg/registry/rest/delete.go).
 */
import { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { badRequest, type Cause, conflict, invalid } from "./errors.ts";
import { type JsonObject, listAt, numberAt, objectAt, sameJson, textAt, withPath } from "./json.ts";
import { invalidValue } from "./metadata-validation.ts";
import { collectionKey } from "./registry.ts";
import { findObject, isFinished, type Target, type WriteOptions } from "./writes.ts";

/** What a client asks of a deletion; `undefined` leaves the choice to the server. */
export interface DeleteOptions extends WriteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  /** What becomes of dependents. */
  readonly propagation: Propagation | undefined;
}

const propagations = ["Background", "Foreground", "Orphan"] as const;

/** Dependents are deleted after the object, before it, or let go. */
export type Propagation = (typeof propagations)[number];

/** Held until all dependents are let go. */
export const orphanFinalizer = "orphan";
/** Held until all dependents that block the deletion are gone. */
export const foregroundFinalizer = "foregroundDeletion";

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
  const faults = propagationFaults(body);
  if (faults.length > 0) throw invalid(optionsType, "", faults);
  const preconditions = objectAt(body, "preconditions");
  return {
    dryRun: options.dryRun || listAt(body, "dryRun").includes("All"),
    gracePeriodSeconds: typeof grace === "number" ? grace : undefined,
    uid: textAt(preconditions, "uid") || undefined,
    resourceVersion: textAt(preconditions, "resourceVersion") || undefined,
    propagation: parsePropagation(body),
  };
}

const optionsType = { group: "meta.k8s.io", plural: "deleteoptions", kind: "DeleteOptions" };

/** (apimachinery, pkg/apis/meta/v1/validation/validation.go, ValidateDeleteOptions) */
function propagationFaults(body: JsonObject): readonly Cause[] {
  const field = "propagationPolicy";
  const policy = body[field] ?? null;
  if (policy === null) return [];
  if (typeof body["orphanDependents"] === "boolean") {
    return [invalidValue(field, policy, "orphanDependents and deletionPropagation cannot be both set")];
  }
  if (propagations.some((one) => one === policy)) return [];
  const supported = [...propagations, "nil"].map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`;
  return [{ reason: "FieldValueNotSupported", message, field }];
}

/** `orphanDependents` is what there was before `propagationPolicy`. */
function parsePropagation(body: JsonObject): Propagation | undefined {
  const orphan = body["orphanDependents"];
  if (typeof orphan === "boolean") return orphan ? "Orphan" : "Background";
  return propagations.find((one) => one === body["propagationPolicy"]);
}

/** Begins or completes the deletion of an object; throws 404, or 409 for a precondition that does not hold. */
export function deleteObject(context: ApiContext, target: Target, options: DeleteOptions): Deletion {
  const old = findObject(context, target);
  assertPreconditions(target, old, options);
  const marked = markDeleted(context, target, { old: old.object, options });
  const key = collectionKey(target.type);
  if (marked === old.object) return { version: old, gone: false };
  admitDeletion(context, target, { old: old.object, options });
  const gone = isFinished(marked);
  if (options.dryRun) return { version: new Version(marked, old.revision), gone };
  const version = gone ? context.store.remove(key, marked, old) : context.store.replace(key, marked, old);
  return { version, gone };
}

/** Throws 409 for an object that is not the one the client means. */
export function assertPreconditions({ type, name }: Target, old: Version, options: DeleteOptions): void {
  const { uid, resourceVersion } = options;
  if (uid !== undefined && uid !== old.uid) {
    throw conflict(type, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.uid}`);
  }
  if (resourceVersion !== undefined && resourceVersion !== String(old.revision)) {
    const seen = `ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.revision}`;
    throw conflict(type, name, `Precondition failed: ${seen}`);
  }
}

/** Asks webhooks; throws their refusal. */
export function admitDeletion({ admission }: ApiContext, target: Target, { old, options }: Marking): void {
  admission?.admit({
    operation: "DELETE",
    target,
    subresource: "",
    object: undefined,
    oldObject: old,
    dryRun: options.dryRun,
    refill: (one) => one,
    check: () => {},
  });
}

interface Marking {
  readonly old: JsonObject;
  readonly options: DeleteOptions;
}

/** The object with what its deletion waits for and until when; the same object when neither changes. */
function markDeleted({ clock }: ApiContext, target: Target, { old, options }: Marking): JsonObject {
  const grace = graceSeconds(target, old, options);
  const before = numberAt(old, "metadata", "deletionGracePeriodSeconds");
  // A second deletion can only shorten the time that the first one left.
  const isShortened = options.gracePeriodSeconds !== undefined && grace < (before ?? 0);
  if (before !== undefined && before > 0 && !isShortened) return old;
  const held = markFinalizers(target, { old, options });
  if (before === 0) return held;
  const due = new Date(clock.now() + grace * 1000).toISOString();
  const timed = withPath(held, ["metadata", "deletionTimestamp"], `${due.slice(0, 19)}Z`);
  return withPath(timed, ["metadata", "deletionGracePeriodSeconds"], grace);
}

/**
 * The object with the finalizer that keeps it while garbage collection looks after its dependents
 * (apiserver, pkg/registry/generic/registry/store.go, deletionFinalizersForGarbageCollection).
 */
function markFinalizers(target: Target, { old, options }: Marking): JsonObject {
  const before = listAt(old, "metadata", "finalizers");
  const isMarked = before.includes(orphanFinalizer) || before.includes(foregroundFinalizer);
  const propagation = options.propagation ?? (isMarked ? undefined : defaultPropagation(target));
  if (propagation === undefined) return old;
  const others = before.filter((one) => one !== orphanFinalizer && one !== foregroundFinalizer);
  const own = { Orphan: [orphanFinalizer], Foreground: [foregroundFinalizer], Background: [] }[propagation];
  const after = [...others, ...own];
  return sameJson(before, after) ? old : withPath(old, ["metadata", "finalizers"], after);
}

/** Jobs and replication controllers leave their pods behind unless asked otherwise, as they always did. */
function defaultPropagation({ type }: Target): Propagation {
  return ["jobs.batch", "replicationcontrollers."].includes(collectionKey(type)) ? "Orphan" : "Background";
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
