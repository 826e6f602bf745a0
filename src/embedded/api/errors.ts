/**
 * The API's errors: a `Status` object with the code and reason clients test for (apimachinery, pkg/api/errors).
 */
import type { Json, JsonObject } from "./json.ts";

/** What an error says of the collection it is about. */
export interface Named {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** One reason why an object is invalid; `field` reads like `spec.containers[0].name`. */
export interface Cause {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueTypeInvalid"
    | "FieldValueTooLong"
    | "FieldValueTooMany";
  readonly message: string;
  readonly field: string;
}

/** Thrown by whatever handles a request; the HTTP layer turns it into its `Status`. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject;

  constructor(code: number, reason: string, message: string, details: JsonObject = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The `Status` object on the wire. */
  get status(): JsonObject {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "" ? {} : { reason: this.reason }),
      details: this.details,
      code: this.code,
    };
  }
}

/** `pods` or `deployments.apps`, as messages name a collection. */
function qualifiedPlural(type: Named): string {
  return type.group === "" ? type.plural : `${type.plural}.${type.group}`;
}

function detailsOf(type: Named, name: string, more: JsonObject = {}): JsonObject {
  const group: JsonObject = type.group === "" ? {} : { group: type.group };
  return { ...(name === "" ? {} : { name }), ...group, kind: type.plural, ...more };
}

/** 400: the request cannot be understood. */
export function badRequest(message: string): ApiError {
  return new ApiError(400, "BadRequest", message);
}

/** 401: no or a wrong bearer token. */
export function unauthorized(): ApiError {
  return new ApiError(401, "Unauthorized", "Unauthorized");
}

/** 403: understood, and refused by an admission rule. */
export function forbidden(type: Named, name: string, why: string, more: JsonObject = {}): ApiError {
  const message = `${qualifiedPlural(type)} "${name}" is forbidden: ${why}`;
  return new ApiError(403, "Forbidden", message, detailsOf(type, name, more));
}

/** 404: no object of this name. */
export function notFound(type: Named, name: string): ApiError {
  return new ApiError(404, "NotFound", `${qualifiedPlural(type)} "${name}" not found`, detailsOf(type, name));
}

/** 404: no such path, type or subresource. */
export function noSuchPath(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource");
}

/** 405: the path is there, the verb is not. */
export function methodNotAllowed(): ApiError {
  return new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

/** 406: no form the client accepts. */
export function notAcceptable(): ApiError {
  const message = "only the following media types are accepted: application/json";
  return new ApiError(406, "NotAcceptable", message);
}

/** 409: an object of this name is already there. */
export function alreadyExists(type: Named, name: string): ApiError {
  const message = `${qualifiedPlural(type)} "${name}" already exists`;
  return new ApiError(409, "AlreadyExists", message, detailsOf(type, name));
}

/** 409: the write does not fit what is stored. */
export function conflict(type: Named, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualifiedPlural(type)} "${name}": ${why}`;
  return new ApiError(409, "Conflict", message, detailsOf(type, name));
}

/** 409 for a stale resource version, with the words every client knows. */
export function staleObject(type: Named, name: string): ApiError {
  const why = "the object has been modified; please apply your changes to the latest version and try again";
  return conflict(type, name, why);
}

/** 410: the resource version asked for is older than what is kept. */
export function expired(message: string, metadata: JsonObject = {}): ApiError {
  const error = new ApiError(410, "Expired", message);
  return Object.keys(metadata).length === 0 ? error : new ExpiredWithMetadata(message, metadata);
}

/** A 410 whose list metadata lets the client go on, if it can bear an inconsistent list. */
class ExpiredWithMetadata extends ApiError {
  readonly #metadata: JsonObject;

  constructor(message: string, metadata: JsonObject) {
    super(410, "Expired", message);
    this.#metadata = metadata;
  }

  override get status(): JsonObject {
    return { ...super.status, metadata: this.#metadata };
  }
}

/** 413: the body is larger than `limitBytes`. */
export function tooLarge(limitBytes: number): ApiError {
  const message = `Request entity too large: limit is ${limitBytes}`;
  return new ApiError(413, "RequestEntityTooLarge", message);
}

/** 415: a body in a form this server does not read. */
export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
  return new ApiError(415, "UnsupportedMediaType", message);
}

/** 422: the object breaks rules of its kind; every broken rule is a cause. */
export function invalid(type: Named, name: string, causes: readonly Cause[]): ApiError {
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const text = lines.length === 1 ? (lines[0] ?? "") : `[${lines.join(", ")}]`;
  const list: Json[] = causes.map(({ reason, message, field }) => ({ reason, message, field }));
  const group: JsonObject = type.group === "" ? {} : { group: type.group };
  const details = { name, ...group, kind: type.kind, causes: list };
  const kind = type.group === "" ? type.kind : `${type.kind}.${type.group}`;
  return new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${text}`, details);
}

/** 500: a fault of this server. */
export function internalError(message: string): ApiError {
  return new ApiError(500, "InternalError", `Internal error occurred: ${message}`);
}

/** 504 for a resource version that this server has not reached. */
export function versionTooLarge(asked: number, current: number): ApiError {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  return new ApiError(504, "Timeout", `Timeout: ${message}`, { causes, retryAfterSeconds: 1 });
}

/** The answer to a deletion that took effect at once. */
export function successStatus(type: Named, name: string, uid: string): JsonObject {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details: detailsOf(type, name, { uid }) };
}
