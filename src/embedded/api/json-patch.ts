/**
 * JSON patch (RFC 6902).
 */
import { badRequest } from "./errors.ts";
import { isList, isObject, type Json, sameJson, withField } from "./json.ts";

/** More operations than this are refused, as the real server does. */
const operationLimit = 10_000;

/** Applies the operations in order, all or none; throws 400 for one that does not fit. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!isList(patch)) throw badRequest("a JSON patch is a list of operations");
  if (patch.length > operationLimit) {
    throw badRequest(`the allowed maximum operations in a JSON patch is ${operationLimit}, got ${patch.length}`);
  }
  return patch.reduce<Json>((document, operation) => applyOperation(document, operation), target);
}

function applyOperation(document: Json, operation: Json): Json {
  if (!isObject(operation)) throw badRequest("an operation of a JSON patch is an object");
  const path = parsePointer(operation["path"]);
  switch (operation["op"]) {
    case "add":
      return edit(document, path, { kind: "add", value: givenValue(operation["value"]) });
    case "replace":
      return edit(document, path, { kind: "replace", value: givenValue(operation["value"]) });
    case "remove":
      return edit(document, path, { kind: "remove" });
    case "copy":
      return edit(document, path, { kind: "add", value: read(document, parsePointer(operation["from"])) });
    case "move": {
      const from = parsePointer(operation["from"]);
      return edit(edit(document, from, { kind: "remove" }), path, { kind: "add", value: read(document, from) });
    }
    case "test":
      if (sameJson(read(document, path), operation["value"])) return document;
      throw badRequest(`testing value ${pointerText(path)} failed`);
    default:
      throw badRequest(`unexpected operation kind: ${String(operation["op"])}`);
  }
}

function givenValue(value: Json | undefined): Json {
  if (value === undefined) throw badRequest("an operation of a JSON patch lacks its value");
  return value;
}

/** RFC 6901. */
function parsePointer(pointer: Json | undefined): readonly string[] {
  if (typeof pointer !== "string" || (pointer !== "" && !pointer.startsWith("/"))) {
    throw badRequest(`${JSON.stringify(pointer)} is no JSON pointer`);
  }
  return pointer === "" ? [] : pointer.slice(1).split("/").map(unescaped);
}

function unescaped(part: string): string {
  return part.replaceAll("~1", "/").replaceAll("~0", "~");
}

function pointerText(path: readonly string[]): string {
  return path.map((part) => `/${part}`).join("");
}

function missingPath(path: readonly string[]): Error {
  return badRequest(`the path ${pointerText(path)} does not exist`);
}

function read(document: Json, path: readonly string[]): Json {
  let here: Json | undefined = document;
  for (const part of path) {
    if (isList(here)) here = here[indexOf(part, here.length - 1, path)];
    else here = isObject(here) && Object.hasOwn(here, part) ? here[part] : undefined;
  }
  if (here === undefined) throw missingPath(path);
  return here;
}

type Edit = { readonly kind: "add" | "replace"; readonly value: Json } | { readonly kind: "remove" };

function edit(document: Json, path: readonly string[], change: Edit): Json {
  const [part, ...rest] = path;
  if (part === undefined) {
    if (change.kind === "remove") throw badRequest("the whole document cannot be removed");
    return change.value;
  }
  if (isList(document)) return editList(document, { part, rest }, change);
  if (!isObject(document)) throw missingPath(path);
  const child = Object.hasOwn(document, part) ? document[part] : undefined;
  if (rest.length > 0) {
    if (child === undefined) throw missingPath(path);
    return withField(document, part, edit(child, rest, change));
  }
  if (change.kind !== "add" && child === undefined) throw missingPath(path);
  return withField(document, part, change.kind === "remove" ? undefined : change.value);
}

interface Step {
  readonly part: string;
  readonly rest: readonly string[];
}

function editList(list: readonly Json[], { part, rest }: Step, change: Edit): Json {
  const path = [part, ...rest];
  if (rest.length > 0) {
    const index = indexOf(part, list.length - 1, path);
    const child = list[index];
    return child === undefined ? list : list.with(index, edit(child, rest, change));
  }
  if (change.kind === "add") {
    const index = part === "-" ? list.length : indexOf(part, list.length, path);
    return list.toSpliced(index, 0, change.value);
  }
  const index = indexOf(part, list.length - 1, path);
  return change.kind === "remove" ? list.toSpliced(index, 1) : list.with(index, change.value);
}

function indexOf(part: string, last: number, path: readonly string[]): number {
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : Number.NaN;
  if (Number.isNaN(index) || index > last) throw missingPath(path);
  return index;
}
