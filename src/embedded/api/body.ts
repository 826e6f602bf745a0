/**
 * Reading the body of a request.
 */
import type { IncomingMessage } from "node:http";
import { badRequest, tooLarge, unsupportedMediaType } from "./errors.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { parseProtobuf, protobufType } from "./protobuf.ts";

/** As etcd and the real server bound what one request may bring. */
export const bodyLimitBytes = 3 * 1024 * 1024;

/** The body; throws 413 beyond the limit. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
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
export function mediaType(request: IncomingMessage): string {
  const [type = ""] = (request.headers["content-type"] ?? "application/json").split(";");
  return type.trim().toLowerCase();
}

/** Reads an object in JSON or in protobuf; throws 400 for what is none, 415 for another form. */
export function parseObject(body: Buffer, type: string): JsonObject {
  if (type === protobufType) return parseProtobuf(body);
  if (type !== "application/json") throw unsupportedMediaType(["application/json", protobufType]);
  return parseObjectBody(body.toString("utf8"));
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
