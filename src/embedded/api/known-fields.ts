/**
 * Which fields built-in types know; a server in Go decodes into structures and drops all others.
 */
import { isList, isObject, type Json, type JsonObject, withField } from "./json.ts";
import { messages } from "./messages.ts";
import type { ApiType } from "./types.ts";

/** Steps from the root of an object to a field: names, and places in lists. */
export type FieldSteps = readonly (string | number)[];

/**
 * Where an object has fields that its type does not know. Of a type whose fields are not written down here only the
 * metadata is looked at.
 */
export function unknownFields(type: ApiType, object: JsonObject): readonly FieldSteps[] {
  const found: FieldSteps[] = [];
  const message = messageOf(type);
  if (message === undefined) visit(object["metadata"] ?? null, "ObjectMeta", { steps: ["metadata"], found });
  else {
    const { apiVersion: _, kind: __, ...fields } = object;
    visit(fields, message, { steps: [], found });
  }
  return found;
}

function messageOf({ kind, custom }: ApiType): string | undefined {
  return custom || !messages.has(kind) ? undefined : kind;
}

interface Visit {
  /** Of the value that is looked at; changed on the way, since most fields are known. */
  readonly steps: (string | number)[];
  readonly found: FieldSteps[];
}

/** Values of another shape than their type's are left to whoever checks shapes. */
function visit(value: Json, message: string, state: Visit): void {
  const known = messages.get(message)?.byName;
  if (known === undefined || !isObject(value)) return;
  const { steps, found } = state;
  for (const key of Object.keys(value)) {
    const field = known.get(key);
    const one = value[key] ?? null;
    if (field !== undefined && typeof one !== "object") continue;
    steps.push(key);
    if (field === undefined) found.push([...steps]);
    else if (field.isMap) visitEach(isObject(one) ? Object.entries(one) : [], field.type, state);
    else if (field.isRepeated) visitEach(isList(one) ? one.entries() : [], field.type, state);
    else visit(one, field.type, state);
    steps.pop();
  }
}

function visitEach(parts: Iterable<readonly [string | number, Json]>, message: string, state: Visit): void {
  if (!messages.has(message)) return;
  for (const [step, part] of parts) {
    state.steps.push(step);
    visit(part, message, state);
    state.steps.pop();
  }
}

/** The object without the field at the end of some steps. */
export function withoutField(object: JsonObject, steps: FieldSteps): JsonObject {
  const made = withoutPart(object, steps);
  return isObject(made) ? made : object;
}

function withoutPart(value: Json, [step, ...rest]: FieldSteps): Json {
  if (isList(value)) return value.map((one, index) => (index === step ? withoutPart(one, rest) : one));
  if (!isObject(value) || typeof step !== "string" || !Object.hasOwn(value, step)) return value;
  return withField(value, step, rest.length === 0 ? undefined : withoutPart(value[step] ?? null, rest));
}

/** Steps as the decoder of the real server writes them: `spec.containers[0].image`. */
export function stepsText(steps: FieldSteps): string {
  return steps.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}
