/**
 * An API server for one test file, and ways to talk to it: the project's client, and bare HTTPS for what that hides.
 */
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { type ApiServer, type ApiServerOptions, startApiServer } from "../../src/embedded/index.ts";
import { KubeClient, type Pod } from "../../src/kube/index.ts";

export interface Reply {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body read as JSON; an empty object when it is none. */
  readonly body: Body;
}

/** JSON of unknown shape, to look into with few words; what is not there reads as `undefined`. */
export interface Body {
  readonly [key: string]: Body;
}

export interface Call {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the server's token; null sends none. */
  readonly token?: string | null;
}

export interface Harness {
  readonly server: ApiServer;
  readonly client: KubeClient;
  call(path: string, options?: Call): Promise<Reply>;
  /** Opens a watch and collects its events. */
  watch(path: string, headers?: Readonly<Record<string, string>>): WatchReader;
  stop(): Promise<void>;
}

export interface WatchReader {
  /** What came so far. */
  readonly events: readonly { readonly type: string; readonly object: Body }[];
  /** `ADDED a`, `BOOKMARK`, … in order of arrival. */
  readonly summary: readonly string[];
  readonly ended: boolean;
  /** Stops reading from the connection until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** Starts a server on a free port. */
export async function startHarness(options: Partial<ApiServerOptions> = {}): Promise<Harness> {
  const server = await startApiServer({ clock: systemClock, log: silentLogger, ...options });
  const client = new KubeClient(server.connection());
  const watches: WatchReader[] = [];
  return {
    server,
    client,
    call: (path, call = {}) => send(server, path, call),
    watch: (path, headers = {}) => {
      const reader = openWatch(server, path, headers);
      watches.push(reader);
      return reader;
    },
    stop: async () => {
      for (const one of watches) one.close();
      await client.close();
      await server.close();
    },
  };
}

function head(server: ApiServer, path: string, { method = "GET", headers = {}, token }: Call): object {
  const bearer = token === undefined ? server.token : token;
  const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  return {
    host: "127.0.0.1",
    port: server.port,
    ca: server.caCert,
    path,
    method,
    headers: { ...authorization, ...headers },
  };
}

function send(server: ApiServer, path: string, call: Call): Promise<Reply> {
  const { body } = call;
  const text =
    body === undefined ? undefined : typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const typed = text === undefined ? call : { ...call, headers: { ...bodyHeaders(text), ...call.headers } };
  return new Promise((resolve, reject) => {
    const sent = request(head(server, path, typed), (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks).toString("utf8");
        resolve({ code: response.statusCode ?? 0, headers: response.headers, text: answer, body: parsed(answer) });
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}

function bodyHeaders(text: string | Buffer): Record<string, string> {
  return { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) };
}

function parsed(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function openWatch(server: ApiServer, path: string, headers: Readonly<Record<string, string>>): WatchReader {
  const events: { type: string; object: Body }[] = [];
  let rest = "";
  let ended = false;
  let incoming: IncomingMessage | undefined;
  const sent = request(head(server, path, { headers }), (response) => {
    incoming = response;
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) events.push(JSON.parse(line));
    });
    response.on("close", () => {
      ended = true;
    });
  });
  sent.on("error", () => {
    ended = true;
  });
  sent.end();
  return {
    events,
    get summary() {
      return events.map(({ type, object }) =>
        [type, object["metadata"]?.["name"]].filter((one) => one !== undefined).join(" "),
      );
    },
    get ended() {
      return ended;
    },
    pause: () => incoming?.pause(),
    resume: () => incoming?.resume(),
    close: () => sent.destroy(),
  };
}

/** A pod that needs nothing. */
export function podNamed(name: string, more: Partial<Pod> = {}): Pod {
  const { metadata, ...rest } = more;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", ...metadata },
    spec: { containers: [{ name: "main", image: "registry.example/app:1" }] },
    ...rest,
  };
}
