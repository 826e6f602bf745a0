/**
 * The control socket of a running `up`: takes faults from `tranche fault`, one request and one answer at a time.
 *
 * A unix socket that only its user may open, in a directory that only its user may enter: whoever gets that far may end
 * the process anyway.
 */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { errorText, finding, type Logger } from "../../base/index.ts";
import {
  CLUSTER_PATH,
  type ClusterFacts,
  CONTROL_VERSION,
  FAULTS_PATH,
  type Fault,
  type FaultAnswer,
  parseFault,
} from "./control-protocol.ts";

/** Requests are a few hundred bytes. */
const BODY_LIMIT = 64 * 1024;

export interface ControlOptions {
  readonly socketPath: string;
  readonly facts: Omit<ClusterFacts, "version">;
  readonly log: Logger;
  cause(fault: Fault): Promise<FaultAnswer>;
}

export interface Control {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/** Serves the socket, in place of one that a killed process left behind; throws when it cannot be made. */
export async function serveControl(options: ControlOptions): Promise<Control> {
  const server = createServer((request, response) => {
    void answer(options, request, response);
  });
  // The state directory is locked by this process, so what is there belongs to nobody.
  await rm(options.socketPath, { force: true });
  await listen(server, options.socketPath);
  server.on("error", (error) => options.log.error({ error: errorText(error) }, "control socket failed"));
  return {
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The socket has mode 0600 from its first moment. A unix socket is bound before `listen` returns, so nothing else sees the mask. */
async function listen(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await once(server, "listening");
}

async function answer(options: ControlOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { status, body } = await answerTo(options, request);
    send(response, status, body);
  } catch (error) {
    // The client is gone; the request itself counts as destroyed as soon as it has been read.
    if (response.destroyed) return;
    options.log.error({ url: request.url, error: errorText(error) }, "control request failed");
    const message = `the cluster could not do it: ${errorText(error)}`;
    send(response, 500, { version: CONTROL_VERSION, findings: [failed(message, "see the log of up (--log-level)")] });
  }
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

async function answerTo(options: ControlOptions, request: IncomingMessage): Promise<Reply> {
  const { method = "", url = "" } = request;
  if (method === "GET" && url === CLUSTER_PATH) {
    const facts: ClusterFacts = { version: CONTROL_VERSION, ...options.facts };
    return { status: 200, body: facts };
  }
  if (method !== "POST" || url !== FAULTS_PATH) return refusal(404, `there is no ${method} ${url}`);
  const text = await readText(request);
  if (text === undefined) return refusal(413, `the request is longer than ${BODY_LIMIT} bytes`);
  const parsed = parseFault(jsonOf(text));
  if (!parsed.ok) return refusal(400, parsed.problem);
  const done = await options.cause(parsed.fault);
  const { ok } = done;
  const body = ok ? { report: done.report } : { findings: done.findings };
  return { status: ok ? 200 : 409, body: { version: CONTROL_VERSION, ...body } };
}

/** The whole body; `undefined` when it is too long. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > BODY_LIMIT) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(status: number, problem: string): Reply {
  const remedy = "use tranche fault of the same version as the tranche up that runs";
  return { status, body: { version: CONTROL_VERSION, findings: [failed(problem, remedy)] } };
}

function failed(message: string, remedy: string): object {
  return finding("control-failed", { kind: "cluster", name: "control socket" }, message, { remedy });
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    Connection: "close",
  });
  response.end(text);
}
