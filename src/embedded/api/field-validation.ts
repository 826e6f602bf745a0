/**
 * What becomes of fields that a custom type's schema does not know: said, refused or passed over, as the client asks
 * (KEP-2885 server side unknown field validation). Built-in types keep
 * all fields here, so of theirs nothing is said.
 */
import { definitionsKey } from "./definition-status.ts";
import { badRequest } from "./errors.ts";
import { isList, isObject, type Json, type JsonObject } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";

const policies = ["Ignore", "Strict", "Warn"];

/** What a client asked for with `fieldValidation`, and where warnings for it go. */
export interface UnknownFields {
  /** Empty when not given: the real server then warns. */
  readonly policy: string;
  readonly warnings: string[];
}

/** Warns of what this server does not know or look at in `object`; throws 400 under `Strict` and for an unknown policy. */
export function noteUnknownFields(asked: UnknownFields | undefined, type: ApiType, object: JsonObject): void {
  if (asked === undefined) return;
  const { policy, warnings } = asked;
  if (policy !== "" && !policies.includes(policy)) {
    const supported = policies.map((one) => JSON.stringify(one)).join(", ");
    throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`);
  }
  if (policy === "Ignore") return;
  if (holdsCelRules(type, object))
    add(warnings, "x-kubernetes-validations are kept, but this server does not evaluate them");
  if (type.definition === undefined) return;
  const unknown = type.definition.unknownFields(object).map((field) => `unknown field ${JSON.stringify(field)}`);
  if (policy === "Strict" && unknown.length > 0) {
    const what = `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`;
    throw badRequest(`${what}: strict decoding error: ${unknown.join(", ")}`);
  }
  for (const one of unknown) add(warnings, one);
}

/** A write that waited for webhooks comes here again, and says nothing twice. */
function add(warnings: string[], one: string): void {
  if (!warnings.includes(one)) warnings.push(one);
}

/** Rules in CEL, which a definition may hold at any depth of its schemas. */
function holdsCelRules(type: ApiType, object: JsonObject): boolean {
  return collectionKey(type) === definitionsKey && mentions(object["spec"], "x-kubernetes-validations");
}

function mentions(value: Json | undefined, key: string): boolean {
  if (isList(value)) return value.some((one) => mentions(one, key));
  if (!isObject(value)) return false;
  return Object.hasOwn(value, key) || Object.values(value).some((one) => mentions(one, key));
}
