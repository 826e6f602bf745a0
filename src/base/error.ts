/**
 * The error thrown when something happens that should not, as opposed to findings, which are values.
 */

export interface TrancheErrorOptions {
  readonly cause?: unknown;
  /** Whether doing the same again later can help. Default false. */
  readonly retryable?: boolean;
}

/** `code` is a stable kebab-case noun; `message` names the object and what was seen. */
export class TrancheError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: TrancheErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TrancheError";
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** The message of anything thrown, with the messages of its causes. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${errorText(error.cause)}`;
}
