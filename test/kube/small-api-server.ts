/**
 * A small API server for the client's tests: one collection of ConfigMaps with history, and faults on demand.
 *
 * Written apart from the embedded cluster's server, so that the client is not only tested against its own sibling.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConfigMap } from "../../src/kube/index.ts";

/** How the next watch lines fail. */
export type Cut = "mid-line" | "reset" | "orderly";

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: ConfigMap;
}

interface Watcher {
  readonly response: ServerResponse;
}

export interface SeenRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export class SmallApiServer {
  readonly requests: SeenRequest[] = [];
  readonly objects = new Map<string, ConfigMap>();
  /** Answers to give, in order, before the server does its work again. */
  readonly refusals: { status: number; headers?: Record<string, string>; body: string }[] = [];
  /** Closes each watch right after its first event. */
  closesAfterEvent = false;
  /** Answers every `continue` with 410. */
  forgetsPages = false;
  #version = 1;
  #oldest = 1;
  #history: Change[] = [];
  #watchers = new Set<Watcher>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get watching(): number {
    return this.#watchers.size;
  }

  count(kind: "list" | "watch"): number {
    return this.requests.filter((one) => one.url.searchParams.has("watch") === (kind === "watch")).length;
  }

  write(name: string, value: string): void {
    const type = this.objects.has(name) ? "MODIFIED" : "ADDED";
    this.#change(type, this.#configMap(name, value));
  }

  remove(name: string): void {
    const object = this.objects.get(name);
    if (object !== undefined) this.#change("DELETED", this.#configMap(name, object.data?.["value"] ?? ""));
  }

  /** Forgets history: who asks for a version before now gets 410. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history = [];
  }

  bookmark(): void {
    const metadata = { name: "", resourceVersion: String(this.#version) };
    const line = JSON.stringify({ type: "BOOKMARK", object: { apiVersion: "v1", kind: "ConfigMap", metadata } });
    for (const { response } of this.#watchers) response.write(`${line}\n`);
  }

  /** Tells every watcher, as an event on the open stream, that its version has expired. */
  expireWatches(): void {
    for (const { response } of this.#watchers) response.write(`${JSON.stringify({ type: "ERROR", object: gone })}\n`);
  }

  cut(how: Cut): void {
    for (const watcher of this.#watchers) {
      if (how === "mid-line") watcher.response.end('{"type":"ADDED","object":{"kind":"Conf');
      else if (how === "orderly") watcher.response.end();
      else watcher.response.destroy();
      this.#watchers.delete(watcher);
    }
  }

  /** The next change reaches its watchers only by half. */
  writeCutInHalf(name: string, value: string): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    this.write(name, value);
    const line = eventLine(this.#history.at(-1) as Change);
    for (const { response } of watchers) response.end(line.slice(0, line.length / 2));
  }

  #configMap(name: string, value: string): ConfigMap {
    this.#version += 1;
    const managedFields = [{ manager: "kubectl", operation: "Update", fieldsType: "FieldsV1", fieldsV1: {} }];
    const metadata = { name, namespace: "default", uid: name, resourceVersion: String(this.#version), managedFields };
    return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { value } };
  }

  #change(type: Change["type"], object: ConfigMap): void {
    const change = { version: this.#version, type, object };
    this.#history.push(change);
    if (type === "DELETED") this.objects.delete(object.metadata.name);
    else this.objects.set(object.metadata.name, object);
    for (const { response } of this.#watchers) this.#send(response, change);
  }

  #send(response: ServerResponse, change: Change): void {
    response.write(eventLine(change));
    if (!this.closesAfterEvent) return;
    response.end();
    for (const one of this.#watchers) if (one.response === response) this.#watchers.delete(one);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    let body = "";
    for await (const chunk of request) body += String(chunk);
    this.requests.push({ method: request.method ?? "", url, headers: request.headers, body });
    const refusal = this.refusals.shift();
    if (refusal !== undefined) {
      response.writeHead(refusal.status, refusal.headers).end(refusal.body);
    } else if (request.method !== "GET") {
      response.end(body);
    } else if (url.searchParams.has("watch")) {
      this.#watch(url, response);
    } else {
      this.#list(url, response);
    }
  }

  #list(url: URL, response: ServerResponse): void {
    if (this.forgetsPages && url.searchParams.has("continue")) {
      response.writeHead(410).end(JSON.stringify(gone));
      return;
    }
    const limit = Number(url.searchParams.get("limit") ?? "0") || Number.POSITIVE_INFINITY;
    const [from, version] = (url.searchParams.get("continue") ?? `0:${this.#version}`).split(":").map(Number);
    const all = [...this.objects.values()];
    const items = all.slice(from, (from ?? 0) + limit).map(({ metadata, data }) => ({ metadata, data }));
    const end = (from ?? 0) + items.length;
    const next = end < all.length ? { continue: `${end}:${version}` } : {};
    response.end(
      JSON.stringify({ kind: "ConfigMapList", metadata: { resourceVersion: String(version), ...next }, items }),
    );
  }

  #watch(url: URL, response: ServerResponse): void {
    const since = Number(url.searchParams.get("resourceVersion"));
    if (since < this.#oldest) {
      response.writeHead(410).end(JSON.stringify(gone));
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const watcher = { response };
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
    for (const change of this.#history) {
      if (change.version > since && this.#watchers.has(watcher)) this.#send(response, change);
    }
  }
}

const gone = {
  apiVersion: "v1",
  kind: "Status",
  status: "Failure",
  reason: "Expired",
  code: 410,
  message: "too old resource version",
};

function eventLine(change: Change): string {
  return `${JSON.stringify({ type: change.type, object: change.object })}\n`;
}
