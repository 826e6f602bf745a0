/**
 * The socket the API server listens on: opened, taken away for a while as in an outage, closed.
 */
import { once } from "node:events";
import type { Http2SecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, errorText, type Logger, TrancheError } from "../../base/index.ts";

/** How long to wait before the next try when another program has taken the port during an outage. */
const RETRY_MS = 100;

export class Listener {
  readonly #server: Http2SecureServer;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  /** Also those that are still in their TLS handshake. */
  readonly #sockets = new Set<Socket>();
  #outage: Promise<void> | undefined;

  constructor(server: Http2SecureServer, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#server = server;
    this.#clock = clock;
    this.#log = log;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Listens on the loopback interface and returns the port; 0 takes a free one. Throws `port-in-use`. */
  async open(port: number): Promise<number> {
    await this.#listen(port);
    this.#server.on("error", (error) => {
      this.#log.error({ error: errorText(error) }, "API server cannot listen or accept a connection");
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Cuts every connection and refuses new ones for `durationMs` or until the signal fires, then listens on the same port
   * again. Resolves when it does, or when the listener is closed before; an outage during an outage is the same one.
   */
  outage(durationMs: number, signal?: AbortSignal): Promise<void> {
    this.#outage ??= this.#beAway(durationMs, signal).finally(() => {
      this.#outage = undefined;
    });
    return this.#outage;
  }

  /** Cuts every connection and listens no more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#outage;
    if (this.#server.listening) await this.#stopListening();
  }

  async #beAway(durationMs: number, ending: AbortSignal | undefined): Promise<void> {
    const closing = this.#closing.signal;
    const { port } = this.#server.address() as AddressInfo;
    await this.#stopListening();
    await this.#wait(durationMs, ending === undefined ? closing : AbortSignal.any([closing, ending]));
    while (!closing.aborted) {
      try {
        await this.#listen(port);
        return;
      } catch {
        // The server has logged why.
        await this.#wait(RETRY_MS, closing);
      }
    }
  }

  /** Resolves after `ms`, or as soon as the signal fires. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #stopListening(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen({ port, host: "127.0.0.1" });
    try {
      await once(this.#server, "listening");
    } catch (cause) {
      if (!isPortInUse(cause)) throw cause;
      throw new TrancheError("port-in-use", `port ${port} on 127.0.0.1 is held by another program`, { cause });
    }
  }
}

function isPortInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
