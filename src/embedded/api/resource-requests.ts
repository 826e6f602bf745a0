/**
 * Requests for collections, objects and their subresources, by verb.
 */
import type { Answer } from "./answer.ts";
import { jsonAnswer, textAnswer } from "./answer.ts";
import { parseObject } from "./body.ts";
import type { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { type DeleteOptions, parseDeleteOptions } from "./deletion.ts";
import { type ApiError, badRequest, methodNotAllowed, noSuchPath, successStatus } from "./errors.ts";
import { evictPod } from "./eviction.ts";
import type { Part } from "./field-owners.ts";
import { isObject, type JsonObject } from "./json.ts";
import { assertReached, listObjects, parseRevision } from "./list.ts";
import { followLog } from "./log-follow.ts";
import { endObject } from "./namespaces.ts";
import { patchFunction, patchObject } from "./patching.ts";
import type { ResourcePath } from "./paths.ts";
import { bindPod, podLog } from "./pod-actions.ts";
import { collectionKey } from "./registry.ts";
import { requestedRenderer } from "./render.ts";
import { reviewed } from "./reviews.ts";
import { readScale, updateScale } from "./scale.ts";
import { parseSelectors, type Selection } from "./selectors.ts";
import { watchAnswer } from "./watch-request.ts";
import { writeOptions } from "./write-options.ts";
import { createObject, findObject, type Target, updateObject } from "./writes.ts";

/** A request whose path is known and whose body is read. */
export interface ResourceRequest {
  readonly method: string;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly userAgent: string;
  /** The media type of the body. */
  readonly mediaType: string;
  readonly body: Buffer;
}

/** Answers a request; throws `ApiError`. */
export async function answerResource(context: ApiContext, request: ResourceRequest): Promise<Answer> {
  const { path } = request;
  if (!path.type.stored) return answerReview(request);
  if (path.name === undefined) return answerCollection(context, request);
  if (path.subresource === undefined) return answerObject(context, request, targetOf(path, path.name));
  const target = targetOf(path, path.name);
  const known = path.type.subresources.find((one) => one === path.subresource);
  switch (known) {
    case undefined:
      throw refusedSubresource(path);
    case "status":
      return answerStatus(context, request, target);
    case "scale":
      return answerScale(context, request, target);
    case "log":
      if (request.method !== "GET") throw methodNotAllowed();
      return await answerLog(context, request, target);
    case "binding":
    case "eviction": {
      if (request.method !== "POST") throw methodNotAllowed();
      const act = known === "binding" ? bindPod : evictPod;
      return jsonAnswer(JSON.stringify(act(context, target, bodyObject(request), writeOptions(request))), 201);
    }
  }
}

function answerReview(request: ResourceRequest): Answer {
  const { path, method } = request;
  if (path.name !== undefined) throw noSuchPath();
  if (method !== "POST") throw methodNotAllowed();
  return jsonAnswer(JSON.stringify(reviewed(path.type, bodyObject(request))), 201);
}

/** Ways into a running container, which a simulated one does not have. */
function refusedSubresource({ type, subresource = "" }: ResourcePath): ApiError {
  const isWayIn = collectionKey(type) === "pods." && ["exec", "attach", "portforward"].includes(subresource);
  if (!isWayIn) return noSuchPath();
  return badRequest(
    `${subresource} is not there: containers of this cluster are simulated; kubectl logs tells what one does`,
  );
}

function targetOf({ type, namespace }: ResourcePath, name: string): Target {
  return { type, namespace: namespace ?? "", name };
}

function bodyObject(request: ResourceRequest): JsonObject {
  return parseObject(request.body, request.mediaType);
}

function answerCollection(context: ApiContext, request: ResourceRequest): Answer {
  const { path, method } = request;
  const isEverywhere = path.type.namespaced && path.namespace === undefined;
  if (method === "GET")
    return isWatch(request) ? watchAnswer(context, request, selectionOf(request)) : list(context, request);
  if (isEverywhere) throw methodNotAllowed();
  if (method === "POST") {
    const renderer = requestedRenderer(context, request);
    const made = createObject(context, targetOf(path, ""), bodyObject(request), writeOptions(request));
    return jsonAnswer(renderer.one(made), 201);
  }
  if (method === "DELETE") return deleteCollection(context, request);
  throw methodNotAllowed();
}

function isWatch({ query }: ResourceRequest): boolean {
  return isTrue(query.get("watch"));
}

/** Whether a flag of the query is set; without a value it is. */
function isTrue(value: string | null): boolean {
  return value === "" || value === "1" || value === "true";
}

function selectionOf({ path, query }: ResourceRequest): Selection {
  const selectors = parseSelectors(path.type, query.get("labelSelector") ?? "", query.get("fieldSelector") ?? "");
  return { namespace: path.namespace, ...selectors };
}

function list(context: ApiContext, request: ResourceRequest): Answer {
  const { path, query } = request;
  const renderer = requestedRenderer(context, request);
  const limit = query.get("limit") ?? "0";
  if (!/^\d{1,9}$/.test(limit)) throw badRequest(`limit: Invalid value: ${JSON.stringify(limit)}`);
  const { items, metadata } = listObjects(context.store, context.store.collection(collectionKey(path.type)), {
    selection: selectionOf(request),
    limit: Number(limit),
    continueToken: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    resourceVersionMatch: query.get("resourceVersionMatch") ?? "",
  });
  return jsonAnswer(renderer.list(items, metadata));
}

function deleteCollection(context: ApiContext, request: ResourceRequest): Answer {
  const { type } = request.path;
  const options = deleteOptions(request);
  const { namespace, filter } = selectionOf(request);
  const renderer = requestedRenderer(context, request);
  const chosen = context.store
    .collection(collectionKey(type))
    .list(namespace)
    .filter(filter ?? (() => true));
  for (const one of chosen) endObject(context, { type, namespace: one.namespace, name: one.name }, options);
  return jsonAnswer(renderer.list(chosen, { resourceVersion: String(context.store.revision) }));
}

function answerObject(context: ApiContext, request: ResourceRequest, target: Target): Answer {
  switch (request.method) {
    case "GET":
      return read(context, request, target);
    case "PUT":
      return replace(context, request, { target, part: "main" });
    case "PATCH":
      return patch(context, request, { target, part: "main" });
    case "DELETE": {
      const options = deleteOptions(request);
      const renderer = requestedRenderer(context, request);
      const { version, gone } = endObject(context, target, options);
      return jsonAnswer(answersWithObject(target, gone) ? renderer.one(version) : successText(target, version));
    }
    default:
      throw methodNotAllowed();
  }
}

function read(context: ApiContext, request: ResourceRequest, target: Target): Answer {
  if (isWatch(request)) {
    const pin = { field: "metadata.name", value: target.name, read: (one: Version): string => one.name };
    const filter = (one: Version): boolean => one.name === target.name;
    return watchAnswer(context, request, { namespace: request.path.namespace, filter, pin });
  }
  const asked = request.query.get("resourceVersion") ?? "";
  if (asked !== "") assertReached(context.store, parseRevision(asked));
  const renderer = requestedRenderer(context, request);
  return jsonAnswer(renderer.one(findObject(context, target)));
}

interface Change {
  readonly target: Target;
  readonly part: Part;
}

function replace(context: ApiContext, request: ResourceRequest, { target, part }: Change): Answer {
  const renderer = requestedRenderer(context, request);
  const body = bodyObject(request);
  // A name left out is the one on the URL; metadata of another form stays as it is and is refused with its place.
  const given = body["metadata"] ?? {};
  const isNameless = isObject(given) && (given["name"] ?? "") === "";
  const named = isNameless ? { ...body, metadata: { ...given, name: target.name } } : body;
  const options = { ...writeOptions(request), part };
  return jsonAnswer(renderer.one(updateObject(context, target, () => named, options)));
}

function patch(context: ApiContext, request: ResourceRequest, { target, part }: Change): Answer {
  const renderer = requestedRenderer(context, request);
  const { version, created } = patchObject(context, target, {
    mediaType: request.mediaType,
    body: request.body.toString("utf8"),
    part,
    force: isTrue(request.query.get("force")),
    ...writeOptions(request),
  });
  return jsonAnswer(renderer.one(version), created ? 201 : 200);
}

function answerStatus(context: ApiContext, request: ResourceRequest, target: Target): Answer {
  switch (request.method) {
    case "GET":
      return read(context, request, target);
    case "PUT":
      return replace(context, request, { target, part: "status" });
    case "PATCH":
      return patch(context, request, { target, part: "status" });
    default:
      throw methodNotAllowed();
  }
}

function answerScale(context: ApiContext, request: ResourceRequest, target: Target): Answer {
  const { method, path, mediaType, body } = request;
  const write = (change: (scale: JsonObject) => JsonObject): Answer =>
    jsonAnswer(JSON.stringify(updateScale(context, target, change, writeOptions(request))));
  switch (method) {
    case "GET":
      return jsonAnswer(JSON.stringify(readScale(context, target)));
    case "PUT": {
      const given = bodyObject(request);
      return write(() => given);
    }
    case "PATCH":
      return write(patchFunction(path.type, { mediaType, body: body.toString("utf8") }));
    default:
      throw methodNotAllowed();
  }
}

function deleteOptions(request: ResourceRequest): DeleteOptions {
  const { query } = request;
  const given = request.body.length === 0 ? {} : bodyObject(request);
  const grace = query.get("gracePeriodSeconds");
  if (grace !== null && !/^-?\d{1,9}$/.test(grace)) throw badRequest("gracePeriodSeconds is not a whole number");
  const policy = query.get("propagationPolicy");
  const orphan = query.get("orphanDependents");
  const fromQuery: JsonObject = {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: orphan === "true" }),
  };
  return parseDeleteOptions({ ...fromQuery, ...given }, writeOptions(request));
}

/** What is still there is shown; of what is gone only these types are (`ReturnDeletedObject` in their storage). */
function answersWithObject({ type }: Target, gone: boolean): boolean {
  return !gone || ["pods.", "services.", "serviceaccounts.", "persistentvolumeclaims."].includes(collectionKey(type));
}

function successText({ type, name }: Target, version: Version): string {
  return JSON.stringify(successStatus(type, name, version.uid));
}

async function answerLog(context: ApiContext, request: ResourceRequest, target: Target): Promise<Answer> {
  const { query } = request;
  const tail = query.get("tailLines");
  if (tail !== null && !/^\d{1,9}$/.test(tail)) throw badRequest("tailLines: Invalid value: must be a whole number");
  const wanted = {
    container: query.get("container") ?? "",
    tailLines: tail === null ? undefined : Number(tail),
    previous: query.get("previous") === "true",
    timestamps: query.get("timestamps") === "true",
  };
  const text = await podLog(context, target, wanted);
  if (query.get("follow") !== "true" || wanted.previous) return textAnswer(text);
  return { kind: "stream", pieces: (signal) => followLog(context, target, wanted, signal) };
}
