/**
 * HTTP to one API server: JSON calls, and streams of lines for watches.
 *
 * Everything that goes wrong leaves as `KubeError`, except the caller's own signal, whose reason is thrown as it is.
 */
import { Agent, type Dispatcher } from "undici";
import { errorText } from "../base/index.ts";
import type { KubeConnection } from "./connection.ts";
import { errorFromAnswer, KubeError } from "./error.ts";
import { patientRequest } from "./patient-request.ts";

const answerTimeoutMs = 30_000;
/**
 * A connection that owes the answer to a ping when the next is due is given up, with the watches on it. client-go notices a
 * silent one after 45 s at most (apimachinery, pkg/util/net/http.go, `readIdleTimeout` and `pingTimeout`).
 */
const pingIntervalMs = 20_000;

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With its leading slash. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Owns the connections to one API server until it is closed. */
export class Transport {
  readonly #agent: Agent;
  readonly #connection: KubeConnection;
  readonly #closing = new AbortController();

  constructor(connection: KubeConnection) {
    const { caData, clientCertData, clientKeyData, tlsServerName, insecureSkipTlsVerify } = connection;
    this.#connection = connection;
    this.#agent = new Agent({
      headersTimeout: answerTimeoutMs,
      // A watch may be silent for minutes; each request says how long its body may pause.
      bodyTimeout: 0,
      h2Options: { pingInterval: pingIntervalMs },
      connect: {
        timeout: 10_000,
        rejectUnauthorized: insecureSkipTlsVerify !== true,
        ...(caData === undefined ? {} : { ca: caData }),
        ...(clientCertData === undefined ? {} : { cert: clientCertData }),
        ...(clientKeyData === undefined ? {} : { key: clientKeyData }),
        ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
      },
    });
  }

  /** Sends `call` and reads the JSON of the answer. */
  async json(call: Call): Promise<unknown> {
    return await this.#guarded(call, async (signal) => {
      const answer = await this.#send(call, answerTimeoutMs, signal);
      const text = await answer.body.text();
      return text === "" ? undefined : JSON.parse(text);
    });
  }

  /**
   * The lines of the answer to `call`, as they come. A stream that ends within a line was cut, which is a failed
   * connection: passing the half line over would lose what it told.
   */
  async *lines(call: Call, pauseTimeoutMs: number): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let rest = "";
    const answer = await this.#guarded(call, (signal) => this.#send(call, pauseTimeoutMs, signal));
    const chunks = answer.body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#guarded(call, () => chunks.next());
        if (next.done === true) break;
        const parts = (rest + decoder.decode(next.value, { stream: true })).split("\n");
        rest = parts.pop() ?? "";
        for (const line of parts) if (line !== "") yield line;
      }
    } finally {
      answer.body.on("error", () => {}).destroy();
    }
    if (rest.trim() !== "") throw connectionFailed(call, "the stream was cut within a line");
  }

  /** Ends all calls and connections. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#agent.destroy();
  }

  async #send(call: Call, bodyTimeoutMs: number, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, path, query = {}, body, contentType = "application/json" } = call;
    const url = new URL(`${this.#connection.server.replace(/\/+$/, "")}${path}`);
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, value);
    const { token } = this.#connection;
    const bearer = typeof token === "function" ? await token() : token;
    const options = {
      dispatcher: this.#agent,
      method,
      bodyTimeout: bodyTimeoutMs,
      headers: {
        accept: "application/json",
        "user-agent": "tranche",
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { "content-type": contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const answer = await patientRequest(url, options, signal);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const retryAfter = answer.headers["retry-after"];
    throw errorFromAnswer(
      `${method} ${path}`,
      answer.statusCode,
      await answer.body.text(),
      typeof retryAfter === "string" ? retryAfter : undefined,
    );
  }

  async #guarded<T>(call: Call, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const closing = this.#closing.signal;
    call.signal?.throwIfAborted();
    try {
      return await run(call.signal === undefined ? closing : AbortSignal.any([closing, call.signal]));
    } catch (error) {
      call.signal?.throwIfAborted();
      if (error instanceof KubeError) throw error;
      if (closing.aborted) {
        throw new KubeError(`${call.method} ${call.path}: the client is closed`, { status: 0, reason: "Closed" });
      }
      throw connectionFailed(call, errorText(error), error);
    }
  }
}

function connectionFailed(call: Call, why: string, cause?: unknown): KubeError {
  return new KubeError(`${call.method} ${call.path} got no whole answer: ${why}`, {
    status: 0,
    reason: "ConnectionFailed",
    // The message already tells of the cause; it stays for programs that look at its code.
    cause: cause instanceof Error && "code" in cause ? cause : undefined,
  });
}
