/**
 * The agent's HTTP endpoints: whether it lives, whether it is ready, what it counts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { getHeapSnapshot } from "node:v8";
import type { AgentStatus } from "../../agent/index.ts";
import { errorText, findingLine } from "../../base/index.ts";
import { EXPOSITION_TYPE } from "../../insight/index.ts";
import type { ListenAddress } from "./command.ts";

/** A change of layout with resets of every GPU takes minutes; a turn longer than this hangs. */
const HUNG_TURN_MS = 900_000;
/** Between two turns the agent rests for seconds. */
const HUNG_REST_MS = 60_000;

export interface EndpointsOptions {
  readonly address: ListenAddress;
  status(): AgentStatus;
  /** When the agent was started, in milliseconds since the epoch. */
  readonly startMs: number;
  metricsText(): string;
  readonly heapSnapshot: boolean;
}

/** Endpoints that listen. */
export interface Endpoints {
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

/** Listens; throws what the system says when the address cannot be had. */
export async function serveEndpoints(options: EndpointsOptions): Promise<Endpoints> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => response.destroy(Error(errorText(error))));
  });
  const { host, port } = options.address;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  const bound = server.address();
  const actual = typeof bound === "object" && bound !== null ? bound.port : port;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}`, close: () => closed(server) };
}

async function answer(options: EndpointsOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0];
  if (request.method !== "GET" && request.method !== "HEAD") return end(response, { status: 405, text: "only GET\n" });
  if (path === "/healthz") return end(response, health(options.status(), options.startMs, Date.now()));
  if (path === "/readyz") return end(response, readiness(options.status()));
  if (path === "/metrics") return end(response, { status: 200, text: options.metricsText(), type: EXPOSITION_TYPE });
  if (path === "/debug/heap" && options.heapSnapshot) {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    return pipeline(getHeapSnapshot(), response);
  }
  end(response, { status: 404, text: "not found\n" });
}

/** Alive: the agent takes its turns. What is wrong with driver or kubelet does not count, a restart would not heal it. */
export function health({ turnSinceMs, lastTurnMs }: AgentStatus, startMs: number, nowMs: number): Answer {
  // Before the first turn the agent waits for the API, however long that is away.
  if (turnSinceMs === undefined && lastTurnMs === undefined)
    return { status: 200, text: `ok, starting since ${nowMs - startMs} ms\n` };
  const idleMs = nowMs - (turnSinceMs ?? lastTurnMs ?? nowMs);
  const limitMs = turnSinceMs === undefined ? HUNG_REST_MS : HUNG_TURN_MS;
  if (idleMs <= limitMs) return { status: 200, text: "ok\n" };
  return { status: 503, text: `no turn has ended for ${Math.round(idleMs / 1000)} s\n` };
}

function readiness({ ready, findings }: AgentStatus): Answer {
  const lines = findings.map((one) => `${findingLine(one)}\n`).join("");
  return ready ? { status: 200, text: `ready\n${lines}` } : { status: 503, text: `not ready\n${lines}` };
}

function end(response: ServerResponse, { status, text, type = "text/plain; charset=utf-8" }: Answer): void {
  response.writeHead(status, { "content-type": type }).end(text);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
