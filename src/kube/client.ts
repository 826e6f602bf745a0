/**
 * The Kubernetes API client: typed calls over one transport, nothing kept between them.
 */

import type { KubeConnection } from "./connection.ts";
import { errorFromStatus, hasStatus, KubeError } from "./error.ts";
import { isRecord } from "./json.ts";
import { apiVersionOf, collectionPath, objectPath } from "./resources.ts";
import { Transport } from "./transport.ts";
import type {
  DeleteOptions,
  KubeApi,
  KubeObject,
  ListOptions,
  ObjectRef,
  ResourceType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./types.ts";

/** As kubectl and client-go ask for. */
const pageSize = 500;
/** How much longer than its own end a silent watch may last before its connection counts as dead. */
const deadWatchGraceMs = 15_000;

interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly next: string | undefined;
}

/** The Kubernetes API over HTTP; `close` ends what is under way. */
export class KubeClient implements KubeApi {
  readonly #transport: Transport;

  constructor(connection: KubeConnection) {
    this.#transport = new Transport(connection);
  }

  /** Ends all calls, watches and connections. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async get<T extends KubeObject>(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<T> {
    return asObject<T>(await this.#transport.json({ method: "GET", path: objectPath(type, ref), signal }));
  }

  async list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    let page = await this.#page<T>(type, options, { limit: String(pageSize) }, signal);
    const { resourceVersion } = page;
    const items = [...page.items];
    while (page.next !== undefined) {
      try {
        page = await this.#page<T>(type, options, { limit: String(pageSize), continue: page.next }, signal);
      } catch (error) {
        // The continue token has expired; one whole list is what client-go's pager falls back to.
        if (hasStatus(error, 410)) return await this.#page<T>(type, options, {}, signal);
        throw error;
      }
      items.push(...page.items);
    }
    return { items, resourceVersion };
  }

  async create<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const path = collectionPath(type, object.metadata.namespace ?? "default");
    const query = writeQuery(options);
    return asObject<T>(await this.#transport.json({ method: "POST", path, query, body: object }));
  }

  async update<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const path = objectPath(type, object.metadata, options.subresource);
    const query = writeQuery(options);
    return asObject<T>(await this.#transport.json({ method: "PUT", path, query, body: object }));
  }

  async mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const answer = await this.#transport.json({
      method: "PATCH",
      path: objectPath(type, ref, options.subresource),
      query: writeQuery(options),
      body: patch,
      contentType: "application/merge-patch+json",
    });
    return asObject<T>(answer);
  }

  async delete(type: ResourceType, ref: ObjectRef, options: DeleteOptions = {}): Promise<void> {
    const body = { apiVersion: "v1", kind: "DeleteOptions", ...options };
    await this.#transport.json({ method: "DELETE", path: objectPath(type, ref), body });
  }

  async createSubresource(type: ResourceType, ref: ObjectRef, subresource: string, body: KubeObject): Promise<void> {
    await this.#transport.json({ method: "POST", path: objectPath(type, ref, subresource), body });
  }

  async *watch<T extends KubeObject>(type: ResourceType, options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds = 300, signal } = options;
    const query = {
      watch: "true",
      allowWatchBookmarks: "true",
      timeoutSeconds: String(timeoutSeconds),
      resourceVersion,
      labelSelector,
      fieldSelector,
    };
    const call = { method: "GET", path: collectionPath(type, namespace), query, signal } as const;
    const lines = this.#transport.lines(call, timeoutSeconds * 1000 + deadWatchGraceMs);
    for await (const line of lines) yield parseWatchLine<T>(line);
  }

  async #page<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions,
    paging: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Page<T>> {
    const { labelSelector, fieldSelector } = options;
    const path = collectionPath(type, options.namespace);
    const query = { labelSelector, fieldSelector, ...paging };
    return parsePage<T>(type, await this.#transport.json({ method: "GET", path, query, signal }));
  }
}

function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return { dryRun: options.dryRun === true ? "All" : undefined, fieldManager: options.fieldManager };
}

/**
 * The object without `metadata.managedFields`: who wrote which field is often larger than the rest, nobody here reads it,
 * and an update without it leaves the server's books as they are. client-go has `TransformStripManagedFields` for that.
 */
function asObject<T extends KubeObject>(answer: unknown): T {
  if (!isRecord(answer) || !isRecord(answer["metadata"])) throw unreadable("an object");
  const { managedFields, ...metadata } = answer["metadata"];
  return (managedFields === undefined ? answer : { ...answer, metadata }) as unknown as T;
}

function parsePage<T extends KubeObject>(type: ResourceType, answer: unknown): Page<T> {
  if (!isRecord(answer) || !isRecord(answer["metadata"])) throw unreadable("a list");
  const { resourceVersion, continue: next } = answer["metadata"];
  const items = answer["items"] ?? [];
  if (!Array.isArray(items) || typeof resourceVersion !== "string") throw unreadable("a list");
  // A list names the kind once for all; its items leave it out.
  const typed = items.map((item) => asObject<T>({ apiVersion: apiVersionOf(type), kind: type.kind, ...item }));
  return { items: typed, resourceVersion, next: typeof next === "string" && next !== "" ? next : undefined };
}

function parseWatchLine<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    event = undefined;
  }
  if (!isRecord(event) || !isRecord(event["object"])) throw unreadable("a watch event");
  const { type, object } = event;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type, object: asObject<T>(object) };
    case "BOOKMARK":
      return { type, resourceVersion: asObject(object).metadata.resourceVersion ?? "" };
    case "ERROR":
      throw errorFromStatus(event["object"], 500);
    default:
      throw unreadable("a watch event");
  }
}

function unreadable(wanted: string): KubeError {
  return new KubeError(`the API server answered with something that is not ${wanted}`, {
    status: 0,
    reason: "Unreadable",
  });
}
