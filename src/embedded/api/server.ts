/**
 * The API server: HTTPS on the loopback interface, a bearer token, and the requests in between.
 *
 * As a real one it speaks HTTP/2, so that all watches of a client share a connection or a few, and HTTP/1.1 with clients
 * that do not.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createSecureServer } from "node:http2";
import type { Duplex } from "node:stream";
import { type Clock, errorText, type Logger } from "../../base/index.ts";
import type { KubeConnection } from "../../kube/index.ts";
import { withAdmission } from "./admission.ts";
import type { Answer } from "./answer.ts";
import { textAnswer } from "./answer.ts";
import { metricsText, RequestCounts } from "./api-metrics.ts";
import { mediaType, readBody } from "./body.ts";
import type { ApiContext, ReadLogs } from "./context.ts";
import { followDefinitions } from "./custom-types.ts";
import { answerMeta } from "./discovery.ts";
import { ApiError, badRequest, internalError, unauthorized } from "./errors.ts";
import { expireEvents } from "./event-expiry.ts";
import { repeatedFields } from "./field-validation.ts";
import { GarbageCollector } from "./garbage-collection.ts";
import type { HttpRequest, HttpResponse } from "./http.ts";
import type { Journal } from "./journal.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { LastChange } from "./last-change.ts";
import { Listener } from "./listener.ts";
import { followNamespaces } from "./namespaces.ts";
import { parseResourcePath, pathSegments } from "./paths.ts";
import { sendPieces } from "./pieces.ts";
import { Registry } from "./registry.ts";
import { answerResource } from "./resource-requests.ts";
import { seedObjects } from "./seed.ts";
import { Store } from "./store.ts";
import { makeCertificate, type ServerCertificate } from "./tls.ts";
import { builtInTypes } from "./types.ts";
import { WatchHub } from "./watch-hub.ts";

export interface ApiServerOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** How many changes of each type a watch can go back; default 2,000. */
  readonly historyLimit?: number;
  /** How clients know the server, from an earlier run; made anew by default. */
  readonly identity?: ServerIdentity;
  /**
   * Where objects are kept. The server begins with what was kept before, and answers a write when it is on disk. Whoever
   * opened the journal closes it, after the server.
   */
  readonly journal?: Journal;
}

/** By what clients know the server, and it them; secret. */
export interface ServerIdentity {
  readonly token: string;
  readonly certificate: ServerCertificate;
}

/** A new token and certificate; `nowMs` is when the certificate begins to hold. */
export async function newServerIdentity(nowMs: number): Promise<ServerIdentity> {
  return { token: randomBytes(32).toString("base64url"), certificate: await makeCertificate(nowMs) };
}

/** What the server counts. */
export interface ApiServerStats {
  /** Requests answered or being answered since the start. */
  readonly requests: number;
  readonly openWatches: number;
  readonly objects: number;
  /** The resource version of the last write. */
  readonly revision: number;
}

export interface ApiServer {
  /** For example `https://127.0.0.1:41234`. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  /** PEM of the certificate to trust. */
  readonly caCert: string;
  /** The text of a kubeconfig; holds the token, so write it with mode 0600. */
  kubeconfig(): string;
  readonly stats: ApiServerStats;
  /** Says who reads the logs of containers: the kubelet stand-in. */
  setLogs(readLogs: ReadLogs): void;
  /** How to connect, for clients in the same process. */
  connection(): KubeConnection;
  /** The version of the last write, of whatever object. */
  resourceVersion(): string;
  /** The version of the last write that was more than a sign of life of some node. */
  lastChange(): string;
  /** Whether garbage collection has nothing left to look at. */
  idle(): boolean;
  /** Forgets all history, as a compaction does: watches that come back are answered 410. */
  compact(): void;
  /**
   * Cuts all connections and refuses new ones for `durationMs` or until the signal fires, then listens on the same port
   * again, with all it holds. Resolves when it listens, or when it is closed before. An outage during an outage is the
   * same one.
   */
  outage(durationMs: number, signal?: AbortSignal): Promise<void>;
  /** Ends all watches and connections at once. */
  close(): Promise<void>;
}

/**
 * Starts the server. Throws a `TrancheError` with code `port-in-use` when another program holds the port, and with code
 * `journal-not-written` when the journal cannot be begun.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { clock, log, journal } = options;
  const store = new Store(options.historyLimit === undefined ? {} : { historyLimit: options.historyLimit });
  if (journal?.kept !== undefined) store.restore(journal.kept);
  await journal?.follow(store);
  const context: ApiContext = { store, registry: new Registry(builtInTypes), clock, log, readLogs: undefined };
  followDefinitions(context);
  followNamespaces(context);
  seedObjects(context);
  const lastChange = new LastChange(store);
  const { token, certificate } = options.identity ?? (await newServerIdentity(clock.now()));
  const hub = new WatchHub(context);
  const front = new Front(context, { hub, token, journal });
  // The timeout is for connections over HTTP/1.1.
  const serverOptions = { ...certificate, allowHTTP1: true, keepAliveTimeout: 120_000 };
  const server = createSecureServer(serverOptions, (request, response) => {
    void front.serve(request, response);
  });
  server.on("clientError", refuseConnection);
  const listener = new Listener(server, { clock, log });
  const port = await listener.open(options.port ?? 0).catch((error: unknown) => {
    hub.close();
    throw error;
  });
  const collector = new GarbageCollector(context);
  collector.start();
  const stop = new AbortController();
  void expireEvents(context, stop.signal);
  const url = `https://127.0.0.1:${port}`;
  const { cert: caCert } = certificate;
  return {
    url,
    port,
    token,
    caCert,
    kubeconfig: () => kubeconfigText({ url, token, caCert }),
    connection: () => ({ server: url, token, caData: caCert }),
    resourceVersion: () => String(store.revision),
    lastChange: () => String(lastChange.revision),
    idle: () => collector.idle(),
    get stats() {
      return { requests: front.requests, openWatches: hub.open, objects: store.size, revision: store.revision };
    },
    setLogs: (readLogs) => {
      context.readLogs = readLogs;
    },
    compact: () => {
      for (const [, collection] of store.collections()) collection.forget();
    },
    outage: (durationMs, signal) => listener.outage(durationMs, signal),
    close: async () => {
      stop.abort();
      collector.stop();
      hub.close();
      await listener.close();
    },
  };
}

const openPaths: ReadonlySet<string> = new Set(["/livez", "/readyz", "/healthz"]);

interface FrontOptions {
  readonly hub: WatchHub;
  readonly token: string;
  readonly journal: Journal | undefined;
}

/** From a connection's request to its answer. */
class Front {
  readonly #context: ApiContext;
  readonly #hub: WatchHub;
  readonly #tokenDigest: Buffer;
  readonly #journal: Journal | undefined;
  readonly #counts = new RequestCounts();
  requests = 0;

  constructor(context: ApiContext, { hub, token, journal }: FrontOptions) {
    this.#context = context;
    this.#hub = hub;
    this.#tokenDigest = digest(token);
    this.#journal = journal;
  }

  async serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    this.requests += 1;
    const warnings: string[] = [];
    const { method = "GET", url = "/" } = request;
    response.once("close", () => this.#counts.add(this.#context.registry, { method, url }, response.statusCode));
    try {
      const answer = await this.#answer(request, warnings);
      // What a client was told to be done stays done, also when the machine loses its power.
      if (method !== "GET") await this.#journal?.written();
      warn(response, warnings);
      if (answer.kind === "watch") this.#hub.start(response, answer.options, answer.timeoutMs);
      else if (answer.kind === "stream") await sendPieces(response, answer.pieces);
      else sendBody(response, answer);
    } catch (error) {
      warn(response, warnings);
      this.#fail(request, response, error);
    }
  }

  async #answer(request: HttpRequest, warnings: string[]): Promise<Answer> {
    const url = new URL(request.url ?? "/", "https://127.0.0.1");
    const segments = pathSegments(url.pathname);
    if (openPaths.has(`/${segments[0] ?? ""}`)) return textAnswer("ok");
    if (!this.#isAuthorised(request)) throw unauthorized();
    const method = request.method ?? "GET";
    const accept = request.headers.accept ?? "";
    if (url.pathname === "/metrics" && method === "GET") return textAnswer(this.#metrics());
    const meta = answerMeta(this.#context, { method, segments, accept });
    if (meta !== undefined) return meta;
    const path = parseResourcePath(segments, this.#context.registry);
    const body = method === "GET" ? Buffer.alloc(0) : await readBody(request);
    const { "user-agent": userAgent = "" } = request.headers;
    const asked = { method, path, query: url.searchParams, accept, userAgent, mediaType: mediaType(request), body };
    const policy = url.searchParams.get("fieldValidation") ?? "";
    const repeated = (): readonly string[] => repeatedFields(body, asked.mediaType);
    const unknownFields = { policy, warnings, repeated };
    return await withAdmission({ ...this.#context, unknownFields }, warnings, (context) =>
      answerResource(context, asked),
    );
  }

  #isAuthorised(request: HttpRequest): boolean {
    const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
    // Digests are of one length, and comparing them takes the same time whatever they are.
    return token !== undefined && timingSafeEqual(digest(token), this.#tokenDigest);
  }

  #metrics(): string {
    return metricsText(this.#context, { requests: this.#counts, openWatches: this.#hub.open });
  }

  #fail(request: HttpRequest, response: HttpResponse, error: unknown): void {
    const { method, url } = request;
    if (!(error instanceof ApiError)) {
      // Whoever goes away within a body waits for no answer; a request that was read whole is destroyed as well.
      if (request.destroyed && !request.complete) return;
      this.#context.log.error({ method, url, error: errorText(error) }, "request failed");
    }
    const apiError = error instanceof ApiError ? error : internalError(errorText(error));
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const retryAfter = apiError.details["retryAfterSeconds"];
    if (typeof retryAfter === "number") response.setHeader("Retry-After", retryAfter);
    // What is left of a body that was not read is let through, so that the client comes to read the answer.
    if (!request.complete && request.httpVersionMajor === 1) response.setHeader("Connection", "close");
    request.resume();
    const text = JSON.stringify(apiError.status);
    sendBody(response, { kind: "body", code: apiError.code, contentType: "application/json", text });
  }
}

/** Answers what is no HTTP at all; the connection cannot be used any further. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const text = JSON.stringify(badRequest(`the request is no valid HTTP: ${error.message}`).status);
  const lines = [
    "HTTP/1.1 400 Bad Request",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${text}`);
}

function sendBody(response: HttpResponse, answer: Extract<Answer, { kind: "body" }>): void {
  const body = Buffer.from(answer.text);
  response.writeHead(answer.code, {
    "Content-Type": answer.contentType,
    "Content-Length": body.length,
    "Cache-Control": "no-cache, private",
  });
  response.end(body);
}

/** Tells what the client should know beside the answer (RFC 7234 §5.5, code 299; KEP-1693). */
function warn(response: HttpResponse, warnings: readonly string[]): void {
  if (warnings.length === 0 || response.headersSent) return;
  const quoted = warnings.map((one) => `299 - "${one.replaceAll(/[\\"]/g, "\\$&").replaceAll(/[^\x20-\x7e]/g, " ")}"`);
  response.setHeader("Warning", quoted);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
