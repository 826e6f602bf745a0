/**
 * Watches: each connection is a place in the history of a collection, and is sent what comes after it.
 *
 * A slow reader only stays behind in the history; nothing is kept for it. One that falls further behind than the
 * history reaches is told so with a 410 and has to list again.
 */
import { apiVersionOf } from "../../kube/index.ts";
import { type Change, type Collection, Version } from "./collection.ts";
import { expired } from "./errors.ts";
import type { HttpResponse } from "./http.ts";
import { withPath } from "./json.ts";
import type { Renderer } from "./render.ts";
import type { Selection } from "./selectors.ts";
import type { ApiType } from "./types.ts";

/** Lines made in one round, shared by all watches that are to get the same. */
export type LineCache = Map<Change, Map<string, Buffer>>;

/** About as much as is handed to a connection at once. */
const batchBytes = 256 * 1024;

export interface WatchOptions {
  readonly type: ApiType;
  readonly collection: Collection;
  readonly selection: Selection;
  readonly renderer: Renderer;
  /** What the client is told as ADDED before anything else. */
  readonly initial: readonly Version[];
  /** Where in the history to go on from. */
  readonly position: number;
  readonly bookmarks: boolean;
  /** The revision to confirm once `initial` is sent (`sendInitialEvents`); undefined when the client did not ask. */
  readonly initialEndRevision: number | undefined;
}

/** One connection that watches one collection. */
export class WatchSession {
  readonly collection: Collection;
  readonly #options: WatchOptions;
  readonly #response: HttpResponse;
  #initialSent = 0;
  #position: number;
  #isBlocked = false;
  /** Whether everything up to `#position` was handed over, and nothing is known behind it. */
  #isCaughtUp = false;
  #isFirst = true;
  #initialEndRevision: number | undefined;

  constructor(response: HttpResponse, options: WatchOptions) {
    this.collection = options.collection;
    this.#options = options;
    this.#response = response;
    this.#position = options.position;
    this.#initialEndRevision = options.initialEndRevision;
    response.on("drain", () => {
      this.#isBlocked = false;
      if (!this.#isCaughtUp) this.pump(new Map());
    });
  }

  get selection(): Selection {
    return this.#options.selection;
  }

  /** Leaves out what is before `position` and cannot concern this watch; one that is behind goes through it all. */
  skipTo(position: number): void {
    if (this.#isCaughtUp) this.#position = Math.max(this.#position, position);
  }

  /** Sends what is there to send, as far as the connection takes it. */
  pump(lines: LineCache): void {
    this.#isCaughtUp = false;
    let batch: Buffer[] = [];
    let bytes = 0;
    while (!this.#isBlocked && !this.#response.writableEnded) {
      const line = this.#nextLine(lines);
      if (line === "none") continue;
      if (typeof line !== "string") {
        batch.push(line);
        bytes += line.length;
        if (bytes < batchBytes) continue;
      }
      const [only] = batch;
      if (only !== undefined) this.#isBlocked = !this.#response.write(batch.length === 1 ? only : Buffer.concat(batch));
      if (typeof line === "string") {
        if (line === "expired") this.#fail();
        this.#isCaughtUp = true;
        return;
      }
      batch = [];
      bytes = 0;
    }
  }

  /** Tells how far the collection has come, if the client wants to know and has got everything. */
  bookmark(revision: number): void {
    const isBehind = this.#isBlocked || this.#position < this.collection.end;
    if (!this.#options.bookmarks || isBehind || this.#response.writableEnded) return;
    this.#isBlocked = !this.#response.write(this.#bookmarkLine(revision, false));
  }

  /** Ends the answer; the client may watch again from where it is. */
  end(revision: number): void {
    if (this.#response.writableEnded) return;
    this.bookmark(revision);
    this.#response.end();
  }

  /**
   * The next line, `none` for a change this client does not see, `end` when there is nothing more now, `expired` when
   * what comes next has been forgotten.
   */
  #nextLine(lines: LineCache): Buffer | "none" | "end" | "expired" {
    const { initial, renderer } = this.#options;
    const added = initial[this.#initialSent];
    if (added !== undefined) {
      this.#initialSent += 1;
      return this.#line("ADDED", added);
    }
    if (this.#initialEndRevision !== undefined) {
      const line = this.#bookmarkLine(this.#initialEndRevision, true);
      this.#initialEndRevision = undefined;
      return line;
    }
    if (this.#position >= this.collection.end) return "end";
    const change = this.collection.changeAt(this.#position);
    if (change === undefined) return "expired";
    this.#position += 1;
    const seen = seenChange(change, this.#options.selection);
    if (seen === undefined) return "none";
    if (this.#isFirst) return this.#line(seen, shownVersion(seen, change));
    return sharedLine(lines, change, `${seen} ${renderer.key}`, () =>
      eventLine(seen, renderer.next(shownVersion(seen, change))),
    );
  }

  #line(type: Change["type"], version: Version): Buffer {
    const { renderer } = this.#options;
    const text = this.#isFirst ? renderer.one(version) : renderer.next(version);
    this.#isFirst = false;
    return eventLine(type, text);
  }

  #bookmarkLine(revision: number, isInitialEnd: boolean): Buffer {
    const { type, renderer } = this.#options;
    const annotations = isInitialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
    const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...annotations };
    const object = { kind: type.kind, apiVersion: apiVersionOf(type), metadata };
    return eventLine(
      "BOOKMARK",
      renderer.key.startsWith("object") ? JSON.stringify(object) : renderer.next(new Version(object, revision)),
    );
  }

  #fail(): void {
    const status = expired("The resourceVersion for the provided watch is too old.").status;
    this.#response.end(eventLine("ERROR", JSON.stringify(status)));
  }
}

function eventLine(type: Change["type"] | "BOOKMARK" | "ERROR", text: string): Buffer {
  return Buffer.from(`{"type":"${type}","object":${text}}\n`);
}

function sharedLine(lines: LineCache, change: Change, key: string, make: () => Buffer): Buffer {
  const known = lines.get(change) ?? new Map<string, Buffer>();
  lines.set(change, known);
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}

/** What a change is to a client that sees only what it selected: objects come and go as they start and stop to match. */
function seenChange(change: Change, { namespace, filter }: Selection): Change["type"] | undefined {
  if (namespace !== undefined && change.current.namespace !== namespace) return undefined;
  if (filter === undefined) return change.type;
  const isSeen = change.type !== "DELETED" && filter(change.current);
  const wasSeen = change.previous !== undefined && filter(change.previous);
  if (isSeen) return wasSeen ? "MODIFIED" : "ADDED";
  return wasSeen ? "DELETED" : undefined;
}

/** An object that leaves the selection is shown as it was in it, at the revision at which it left. */
function shownVersion(seen: Change["type"], { type, current, previous, revision }: Change): Version {
  if (seen !== "DELETED" || type === "DELETED" || previous === undefined) return current;
  return new Version(withPath(previous.object, ["metadata", "resourceVersion"], String(revision)), revision);
}
