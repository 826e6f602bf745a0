/**
 * What becomes of fields that a custom type's schema does not know: said, refused or passed over, as the client asks
 * (KEP-2885 server side unknown field validation). Built-in types keep
 * all fields here, so of theirs nothing is said.
 */
import { badRequest } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { ApiType } from "./types.ts";

const policies = ["Ignore", "Strict", "Warn"];

/** What a client asked for with `fieldValidation`, and where warnings for it go. */
export interface UnknownFields {
  /** Empty when not given: the real server then warns. */
  readonly policy: string;
  readonly warnings: string[];
}

/** Warns of the fields of `object` that its type does not know; throws 400 under `Strict` and for an unknown policy. */
export function noteUnknownFields(asked: UnknownFields | undefined, type: ApiType, object: JsonObject): void {
  if (asked === undefined) return;
  const { policy, warnings } = asked;
  if (policy !== "" && !policies.includes(policy)) {
    const supported = policies.map((one) => JSON.stringify(one)).join(", ");
    throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`);
  }
  if (policy === "Ignore" || type.definition === undefined) return;
  const unknown = type.definition.unknownFields(object).map((field) => `unknown field ${JSON.stringify(field)}`);
  if (policy === "Strict" && unknown.length > 0) {
    const what = `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`;
    throw badRequest(`${what}: strict decoding error: ${unknown.join(", ")}`);
  }
  // A write that waited for webhooks comes here again.
  for (const one of unknown) if (!warnings.includes(one)) warnings.push(one);
}
