/**
 * Lists: at which revision, and in pages (KEP-365 paginated lists, KEP-2340 resource version semantics).
 */
import { type Collection, keyOf, type Version } from "./collection.ts";
import { badRequest, expired, versionTooLarge } from "./errors.ts";
import { type JsonObject, numberAt, parsedJson, textAt } from "./json.ts";
import type { Selection } from "./selectors.ts";
import type { Store } from "./store.ts";

export interface ListRequest {
  readonly selection: Selection;
  /** 0 for all at once. */
  readonly limit: number;
  /** The token of the page before; empty for the first. */
  readonly continueToken: string;
  /** As given; empty when not. */
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
}

export interface ListResult {
  readonly items: readonly Version[];
  /** `resourceVersion`, and for a page that is not the last `continue` and `remainingItemCount`. */
  readonly metadata: JsonObject;
}

/** Where the next page starts: after `start`, at `revision`; a revision of -1 takes what is there by then. */
interface Continuation {
  readonly revision: number;
  readonly start: string;
}

const tooOldToken =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
  "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
  "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
  "deleted between the time the first chunk was returned and now may show up in the list.";

/** Answers a list; throws 400 for parameters that do not fit together, 410 for a past no longer kept, 504 for a future. */
export function listObjects(store: Store, collection: Collection, request: ListRequest): ListResult {
  const from = request.continueToken === "" ? undefined : parseToken(request);
  const revision = from === undefined ? firstRevision(store, request) : from.revision;
  const isCurrent = revision === -1 || revision === store.revision;
  const at = isCurrent ? store.revision : revision;
  const { namespace, filter } = request.selection;
  const found = isCurrent ? collection.list(namespace) : collection.listAt(revision, namespace);
  if (found === undefined) throw tooOld(store, from, revision);
  const selected = filter === undefined ? found : found.filter(filter);
  const start = from === undefined ? 0 : positionAfter(selected, from.start);
  const end = request.limit > 0 ? start + request.limit : selected.length;
  const items = start === 0 && end >= selected.length ? selected : selected.slice(start, end);
  const last = items.at(-1);
  const remaining = selected.length - start - items.length;
  if (remaining <= 0 || last === undefined) return { items, metadata: { resourceVersion: String(at) } };
  const next = token({ revision: at, start: keyOf(last.namespace, last.name) });
  // With a filter the real server cannot know how many are left, and does not say.
  const counted: JsonObject = filter === undefined ? { remainingItemCount: remaining } : {};
  return { items, metadata: { resourceVersion: String(at), continue: next, ...counted } };
}

/** Items are in order, so the page starts behind the last key of the one before, whether that is still there or not. */
function positionAfter(items: readonly Version[], start: string): number {
  const index = items.findIndex((one) => keyOf(one.namespace, one.name) > start);
  return index < 0 ? items.length : index;
}

function tooOld(store: Store, from: Continuation | undefined, revision: number): Error {
  if (from === undefined) return expired(`The provided resource version ${revision} is too old.`);
  return expired(tooOldToken, { resourceVersion: String(store.revision), continue: token({ ...from, revision: -1 }) });
}

/** The revision a first page is taken at; -1 for the present one. */
function firstRevision(store: Store, request: ListRequest): number {
  const { resourceVersion, resourceVersionMatch, limit } = request;
  if (resourceVersion === "") {
    if (resourceVersionMatch === "") return -1;
    throw badRequest("resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  const asked = parseRevision(resourceVersion);
  if (resourceVersionMatch === "Exact" && asked === 0) {
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
  }
  assertReached(store, asked);
  const isExact = resourceVersionMatch === "Exact" || (resourceVersionMatch === "" && limit > 0 && asked > 0);
  return isExact ? asked : -1;
}

/** Reads a resource version; throws 400 for what is none. */
export function parseRevision(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: is no resource version`);
  return Number(text);
}

/** Throws 504 for a revision that is yet to come. */
export function assertReached(store: Store, revision: number): void {
  if (revision > store.revision) throw versionTooLarge(revision, store.revision);
}

function token({ revision, start }: Continuation): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: revision, start })).toString("base64url");
}

function parseToken({ continueToken, resourceVersion }: ListRequest): Continuation {
  if (resourceVersion !== "" && resourceVersion !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  const value = parsedJson(Buffer.from(continueToken, "base64url").toString("utf8"));
  if (value === undefined) throw badRequest("continue key is not valid: the token cannot be decoded");
  const revision = numberAt(value, "rv");
  const start = textAt(value, "start");
  if (revision === undefined || start === "") throw badRequest("continue key is not valid: the token is incomplete");
  return { revision, start };
}
