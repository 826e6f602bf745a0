/**
 * What becomes of fields that a type does not know, and of those that stand twice: said, refused or passed over, as the
 * client asks (KEP-2885 server side unknown field validation).
 */
import { definitionsKey } from "./definition-status.ts";
import { type ApiError, badRequest } from "./errors.ts";
import { isList, isObject, type Json, type JsonObject } from "./json.ts";
import { stepsText, unknownFields, withoutField } from "./known-fields.ts";
import { collectionKey } from "./registry.ts";
import { repeatedJsonFields, repeatedYamlKeys } from "./repeated-fields.ts";
import type { ApiType } from "./types.ts";

const policies = ["Ignore", "Strict", "Warn"];

/** What a client asked for with `fieldValidation`, and where warnings for it go. */
export interface UnknownFields {
  /** Empty when not given: the real server then warns. */
  readonly policy: string;
  readonly warnings: string[];
  /** What stands twice in the body, each as a message says it. */
  readonly repeated: () => readonly string[];
  /** The refusal of an object for its faults, where it is not that of a body with an object. */
  readonly refusal?: (faults: readonly string[], object: JsonObject) => ApiError;
}

/** What stands twice in a body of a media type. */
export function repeatedFields(body: Buffer, mediaType: string): readonly string[] {
  if (/[/+]yaml$/.test(mediaType)) {
    const fault = repeatedYamlKeys(body.toString("utf8"));
    if (fault === undefined) return [];
    return [mediaType === "application/yaml" ? fault : `error converting YAML to JSON: ${fault}`];
  }
  if (!/[/+]json$/.test(mediaType)) return [];
  const start = mediaType === "application/json-patch+json" ? "json patch duplicate field" : "duplicate field";
  return repeatedJsonFields(body.toString("utf8")).map((path) => `${start} ${JSON.stringify(path)}`);
}

/**
 * The object without fields its type does not know. Warns of them, of fields that stand twice, and of what this server
 * does not look at; throws 400 under `Strict` and for an unknown policy.
 */
export function withKnownFields(asked: UnknownFields | undefined, type: ApiType, object: JsonObject): JsonObject {
  if (asked === undefined) return object;
  const { policy, warnings } = asked;
  if (policy !== "" && !policies.includes(policy)) {
    const supported = policies.map((one) => JSON.stringify(one)).join(", ");
    throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`);
  }
  const unknown = unknownFields(type, object);
  if (policy !== "Ignore") {
    if (holdsCelRules(type, object))
      add(warnings, "x-kubernetes-validations are kept, but this server does not evaluate them");
    const paths = [...unknown.map(stepsText), ...(type.definition?.unknownFields(object) ?? [])];
    const faults = [...paths.map((path) => `unknown field ${JSON.stringify(path)}`), ...asked.repeated()];
    if (policy === "Strict" && faults.length > 0) throw refusal(asked, type, { object, faults });
    for (const one of faults) add(warnings, one);
  }
  return unknown.reduce(withoutField, object);
}

interface Refused {
  readonly object: JsonObject;
  readonly faults: readonly string[];
}

function refusal(asked: UnknownFields, type: ApiType, { object, faults }: Refused): ApiError {
  if (asked.refusal !== undefined) return asked.refusal(faults, object);
  const what = `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`;
  return badRequest(`${what}: ${strictFault(faults)}`);
}

/** Faults in one sentence, as the strict decoder of the real server sums them up. */
export function strictFault(faults: readonly string[]): string {
  return `strict decoding error: ${faults.join(", ")}`;
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
