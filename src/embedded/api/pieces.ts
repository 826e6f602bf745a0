/**
 * Sends an answer that comes piece by piece.
 */
import { once } from "node:events";
import type { HttpResponse } from "./http.ts";

/** Writes each piece when it comes and waits while the client does not read; stops when the client is gone. */
export async function sendPieces(
  response: HttpResponse,
  pieces: (signal: AbortSignal) => AsyncIterable<string>,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const { signal } = gone;
  response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache, private" });
  response.flushHeaders?.();
  try {
    for await (const piece of pieces(signal)) {
      if (!response.write(piece)) await once(response, "drain", { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  response.end();
}
