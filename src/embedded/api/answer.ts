/**
 * What a request is answered with, before it becomes HTTP.
 */
import type { WatchOptions } from "./watch.ts";

export type Answer =
  | { readonly kind: "body"; readonly code: number; readonly contentType: string; readonly text: string }
  | { readonly kind: "watch"; readonly options: WatchOptions; readonly timeoutMs: number }
  /** Plain text that comes piece by piece, until it ends or `signal` fires. */
  | { readonly kind: "stream"; readonly pieces: (signal: AbortSignal) => AsyncIterable<string> };

/** A JSON text as the whole answer. */
export function jsonAnswer(text: string, code = 200): Answer {
  return { kind: "body", code, contentType: "application/json", text };
}

/** Plain text as the whole answer. */
export function textAnswer(text: string): Answer {
  return { kind: "body", code: 200, contentType: "text/plain; charset=utf-8", text };
}
