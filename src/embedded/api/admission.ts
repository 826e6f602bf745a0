/**
 * Admission: where webhooks are asked in the course of a write (apiserver, pkg/admission/plugin/webhook).
 *
 * Writes run to their end without waiting, which is what keeps them from racing each other; webhooks take time. So a
 * write that needs a webhook's word is broken off, the webhooks are asked, and the write runs again from the start with
 * their answer at hand. If the object changed meanwhile, the answer does not fit any more and they are asked anew.
 */
import type { ApiContext } from "./context.ts";
import { conflict } from "./errors.ts";
import { type JsonObject, objectAt, textAt, without, withPath } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { GroupVersionKind } from "./types.ts";
import { callWebhook, patchedBy } from "./webhook-call.ts";
import { type Webhook, webhooksFor } from "./webhooks.ts";
import type { Target } from "./writes.ts";

/** A write as webhooks see it. */
export interface AdmissionSubject {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly target: Target;
  /** Empty for the object itself. */
  readonly subresource: string;
  /** The kind of a subresource that has one of its own. */
  readonly kind?: GroupVersionKind;
  /** `undefined` for a deletion. */
  readonly object: JsonObject | undefined;
  /** `undefined` for a creation. */
  readonly oldObject: JsonObject | undefined;
  readonly dryRun: boolean;
  /** Makes a patched object whole again; throws `ApiError`. */
  readonly refill: (object: JsonObject) => JsonObject;
  /** Throws `ApiError` when the object breaks rules. */
  readonly check: (object: JsonObject) => void;
}

/** Decides on the writes of one request. */
export interface Admission {
  /** The object as it may be stored; throws what ends the request, or breaks it off until webhooks have answered. */
  admit(subject: AdmissionSubject): JsonObject | undefined;
}

/** The object that a write may store; throws `ApiError`. Without webhooks that is the object as it is, checked. */
export function admitted(context: ApiContext, subject: AdmissionSubject & { readonly object: JsonObject }): JsonObject {
  if (context.admission !== undefined) return context.admission.admit(subject) ?? subject.object;
  subject.check(subject.object);
  return subject.object;
}

/** Thrown to break a write off. */
class PendingReview extends Error {
  readonly key: string;
  readonly subject: AdmissionSubject;

  constructor(key: string, subject: AdmissionSubject) {
    super("webhooks have to be asked first");
    this.name = "PendingReview";
    this.key = key;
    this.subject = subject;
  }
}

/** An object that changes this often while webhooks are asked about it is given up, with a conflict. */
const reviewLimit = 5;

/** Runs a request with admission; what webhooks warn of is added to `warnings`. */
export async function withAdmission<T>(
  context: ApiContext,
  warnings: string[],
  run: (context: ApiContext) => Promise<T>,
): Promise<T> {
  const answers = new Map<string, JsonObject | undefined>();
  const reviews = new Map<string, number>();
  const admission: Admission = {
    admit: (subject) => {
      const key = reviewKey(subject);
      if (answers.has(key)) return answers.get(key);
      if (
        webhooksFor(context, subject, "mutating").length > 0 ||
        webhooksFor(context, subject, "validating").length > 0
      ) {
        throw new PendingReview(key, subject);
      }
      if (subject.object !== undefined) subject.check(subject.object);
      return subject.object;
    },
  };
  for (;;) {
    try {
      return await run({ ...context, admission });
    } catch (error) {
      if (!(error instanceof PendingReview)) throw error;
      const { target } = error.subject;
      const place = `${collectionKey(target.type)}/${target.namespace}/${target.name}`;
      const count = (reviews.get(place) ?? 0) + 1;
      if (count > reviewLimit) throw conflict(target.type, target.name, "the object changed while webhooks were asked");
      reviews.set(place, count);
      answers.set(error.key, await review(context, error.subject, warnings));
    }
  }
}

/** Equal for writes on which webhooks would say the same; what the server draws anew at each try is left out. */
function reviewKey({ operation, target, subresource, object, oldObject, dryRun }: AdmissionSubject): string {
  const place = `${collectionKey(target.type)}/${target.namespace}/${target.name}`;
  const before = textAt(oldObject, "metadata", "uid") + textAt(oldObject, "metadata", "resourceVersion");
  const shown = object === undefined ? null : steady(object);
  const key = JSON.stringify([operation, place, subresource, dryRun, before, shown]);
  return object === undefined || oldObject !== undefined ? key : withoutDrawn(key, object);
}

/** What is drawn anew at each try may stand elsewhere too: a Job selects its pods by its uid. */
function withoutDrawn(key: string, object: JsonObject): string {
  const metadata = objectAt(object, "metadata");
  const drawn = [textAt(metadata, "uid"), textAt(metadata, "generateName") === "" ? "" : textAt(metadata, "name")];
  return drawn.filter((one) => one !== "").reduce((left, one) => left.replaceAll(one, ""), key);
}

function steady(object: JsonObject): JsonObject {
  const metadata = objectAt(object, "metadata");
  const drawn = textAt(metadata, "generateName") === "" ? [] : ["name"];
  return { ...object, metadata: without(metadata, "uid", "creationTimestamp", "managedFields", ...drawn) };
}

/** Mutating webhooks one after the other, then the rules of the type, then validating webhooks all at once. */
async function review(
  context: ApiContext,
  subject: AdmissionSubject,
  warnings: string[],
): Promise<JsonObject | undefined> {
  let present = subject;
  for (const webhook of webhooksFor(context, subject, "mutating")) {
    const object = await mutate(context, webhook, present, warnings);
    present = { ...present, object };
  }
  if (present.object !== undefined) subject.check(present.object);
  const validating = webhooksFor(context, present, "validating");
  await Promise.all(validating.map((webhook) => callWebhook(context, webhook, present, warnings)));
  return present.object;
}

async function mutate(
  context: ApiContext,
  webhook: Webhook,
  subject: AdmissionSubject,
  warnings: string[],
): Promise<JsonObject | undefined> {
  const answer = await callWebhook(context, webhook, subject, warnings);
  if (answer === undefined || subject.object === undefined) return subject.object;
  const patched = patchedBy(webhook, subject.object, answer);
  if (patched === subject.object) return patched;
  // Who an object is stays as it was, whatever a patch says.
  const uid = textAt(subject.object, "metadata", "uid");
  return subject.refill(withPath(patched, ["metadata", "uid"], uid));
}
