/**
 * The error of every Kubernetes API call, made from the server's `Status` object or from a broken connection.
 */
import { TrancheError } from "../base/index.ts";
import { isRecord } from "./json.ts";

export interface KubeErrorDetails {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The `reason` of the `Status` object, for example `AlreadyExists`; `ConnectionFailed` or `Closed` without answer. */
  readonly reason: string;
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call the API server refused, or that got no whole answer. Retryable for 429, 5xx and broken connections. */
export class KubeError extends TrancheError {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: KubeErrorDetails) {
    const { status, reason, cause } = details;
    const retryable = status === 0 ? reason !== "Closed" : status === 429 || status >= 500;
    super("kube-api", message, { retryable, ...(cause === undefined ? {} : { cause }) });
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Whether `error` is a `KubeError` with this HTTP status, for example 404 or 409. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof KubeError && error.status === status;
}

/** The error for an answer that is not 2xx; `call` names the request where the body holds no `Status`. */
export function errorFromAnswer(call: string, status: number, text: string, retryAfter?: string): KubeError {
  const headerMs = retryAfterMs(retryAfter);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (isRecord(body) && body["kind"] === "Status") return errorFromStatus(body, status, headerMs);
  return new KubeError(`${call} was answered ${status}: ${text.slice(0, 200)}`, {
    status,
    reason: "Unknown",
    retryAfterMs: headerMs,
  });
}

/** The error that a `Status` object tells of; `fallback` is the HTTP status where the object names none. */
export function errorFromStatus(body: Record<string, unknown>, fallback: number, headerMs?: number): KubeError {
  const { code, reason, message, details } = body;
  const seconds = isRecord(details) ? details["retryAfterSeconds"] : undefined;
  return new KubeError(typeof message === "string" && message !== "" ? message : `the API server says ${fallback}`, {
    status: typeof code === "number" ? code : fallback,
    reason: typeof reason === "string" ? reason : "Unknown",
    retryAfterMs: headerMs ?? (typeof seconds === "number" && seconds > 0 ? seconds * 1000 : undefined),
  });
}

function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
