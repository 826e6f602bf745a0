/**
 * Reading the body of a request.
 */
import { readJsonText } from "../../config/index.ts";
import { badRequest, tooLarge, unsupportedMediaType } from "./errors.ts";
import type { HttpRequest } from "./http.ts";
import { isObject, type Json, type JsonObject, parsedJson } from "./json.ts";
import { parseProtobuf, protobufType } from "./protobuf.ts";

/** As etcd and the real server bound what one request may bring. */
export const bodyLimitBytes = 3 * 1024 * 1024;

/** The body; throws 413 beyond the limit. */
export async function readBody(request: HttpRequest): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > bodyLimitBytes) throw tooLarge(bodyLimitBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > bodyLimitBytes) throw tooLarge(bodyLimitBytes);
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}

/** The media type of a body, without parameters; JSON when none is given. */
export function mediaType(request: HttpRequest): string {
  const [type = ""] = (request.headers["content-type"] ?? "application/json").split(";");
  return type.trim().toLowerCase();
}

const jsonType = "application/json";
const yamlType = "application/yaml";

/** Reads an object in JSON, YAML or protobuf; throws 400 for what is none, 415 for another form. */
export function parseObject(body: Buffer, type: string): JsonObject {
  if (type === protobufType) return parseProtobuf(body);
  if (type === yamlType) return parseYamlObject(body.toString("utf8"));
  if (type !== jsonType) throw unsupportedMediaType([jsonType, yamlType, protobufType]);
  return parseObjectBody(body.toString("utf8"));
}

/** Reads the body of an apply patch, YAML, which clients mostly write as JSON; throws 400 for what is no object. */
export function parseAppliedObject(text: string): JsonObject {
  const value = text.trimStart().startsWith("{") ? parsedJson(text) : undefined;
  return isObject(value) ? value : parseYamlObject(text, "error decoding YAML: ");
}

function parseYamlObject(text: string, where = ""): JsonObject {
  const read = readJsonText(text, "body");
  if (!read.ok) {
    const [{ place, message } = { place: undefined, message: "" }] = read.findings;
    throw badRequest(`${where}error converting YAML to JSON: yaml: line ${place?.line ?? 1}: ${message}`);
  }
  // What YAML aliases share is written out, so that it is JSON like any other.
  const value = parsedJson(JSON.stringify(read.value.value));
  if (!isObject(value)) throw badRequest(`${where}json: the body is not an object`);
  return value;
}

/** Reads JSON; throws 400 for what is none. */
export function parseBody(text: string): Json {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`couldn't get version/kind; json parse error: ${why}`);
  }
}

/** Reads a JSON object; throws 400 for anything else. */
export function parseObjectBody(text: string): JsonObject {
  const value = parseBody(text);
  if (!isObject(value)) throw badRequest("couldn't get version/kind; json parse error: the body is not an object");
  return value;
}
