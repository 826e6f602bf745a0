/**
 * What a watch starts with (KEP-3157 watch-list, and "Efficient detection of changes" in the API concepts).
 */
import type { Answer } from "./answer.ts";
import type { Collection, Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { badRequest } from "./errors.ts";
import { assertReached, parseRevision } from "./list.ts";
import { collectionKey } from "./registry.ts";
import { type FormRequest, requestedRenderer } from "./render.ts";
import type { Selection } from "./selectors.ts";
import type { WatchOptions } from "./watch.ts";

/** How long a watch lasts when the client does not say: between one and two of these, so that not all end together. */
const minTimeoutMs = 30 * 60 * 1000;

/** The watch a request asks for; throws 400 for parameters that do not fit, 504 for a revision yet to come. */
export function watchAnswer(context: ApiContext, request: FormRequest, selection: Selection): Answer {
  const { query, path } = request;
  const collection = context.store.collection(collectionKey(path.type));
  const renderer = requestedRenderer(context, request);
  const bookmarks = query.get("allowWatchBookmarks") === "true";
  const start = startOf(context, { collection, selection, query, bookmarks });
  const options: WatchOptions = { type: path.type, collection, selection, renderer, bookmarks, ...start };
  return { kind: "watch", options, timeoutMs: timeoutMsOf(query) };
}

interface StartRequest {
  readonly collection: Collection;
  readonly selection: Selection;
  readonly query: URLSearchParams;
  readonly bookmarks: boolean;
}

type Start = Pick<WatchOptions, "initial" | "position" | "initialEndRevision">;

function startOf(context: ApiContext, { collection, selection, query, bookmarks }: StartRequest): Start {
  const asked = query.get("resourceVersion") ?? "";
  const revision = asked === "" ? 0 : parseRevision(asked);
  assertReached(context.store, revision);
  const sendInitial = query.get("sendInitialEvents");
  const match = query.get("resourceVersionMatch") ?? "";
  if (sendInitial !== null && match !== "NotOlderThan") {
    throw badRequest("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (sendInitial === null && match !== "") {
    throw badRequest("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
  const position = collection.end;
  if (sendInitial === "true") {
    const initialEndRevision = bookmarks ? context.store.revision : undefined;
    return { initial: selected(collection, selection), position, initialEndRevision };
  }
  if (revision > 0) {
    // A place before the history answers with 410 as soon as the watch looks there.
    return { initial: [], position: collection.positionAfter(revision) ?? -1, initialEndRevision: undefined };
  }
  const initial = sendInitial === "false" ? [] : selected(collection, selection);
  return { initial, position, initialEndRevision: undefined };
}

function selected(collection: Collection, { namespace, filter }: Selection): readonly Version[] {
  const all = collection.list(namespace);
  return filter === undefined ? all : all.filter(filter);
}

function timeoutMsOf(query: URLSearchParams): number {
  const asked = query.get("timeoutSeconds");
  if (asked === null) return minTimeoutMs * (1 + Math.random());
  if (!/^\d{1,9}$/.test(asked)) throw badRequest(`timeoutSeconds: Invalid value: ${JSON.stringify(asked)}`);
  // Timers of Node end at 2^31 ms.
  return Math.min(Number(asked) * 1000 || minTimeoutMs, 2 ** 31 - 1);
}
