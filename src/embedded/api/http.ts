/**
 * Requests and responses as the server uses them, whether they come over HTTP/1.1 or HTTP/2.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Writable } from "node:stream";

export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** What `ServerResponse` and `Http2ServerResponse` have in common. */
export interface HttpResponse extends Writable {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  writeHead(statusCode: number, headers: OutgoingHttpHeaders): unknown;
  /** HTTP/2 sends the head at once. */
  flushHeaders?(): void;
}
