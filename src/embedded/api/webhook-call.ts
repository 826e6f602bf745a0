/**
 * Calling a webhook: an AdmissionReview over HTTPS and what its answer means (admission.k8s.io/v1; apiserver,
 * pkg/admission/plugin/webhook/request and …/errors).
 */
import { randomUUID } from "node:crypto";
import { request } from "node:https";
import { errorText } from "../../base/index.ts";
import type { AdmissionSubject } from "./admission.ts";
import { bodyLimitBytes, parseBody } from "./body.ts";
import type { ApiContext } from "./context.ts";
import { ApiError, badRequest, internalError } from "./errors.ts";
import { isObject, type Json, type JsonObject, listAt, numberAt, objectAt, parsedJson, textAt } from "./json.ts";
import { jsonPatch } from "./json-patch.ts";
import { isLoopback } from "./webhook-faults.ts";
import type { Webhook } from "./webhooks.ts";

/**
 * Asks one webhook; the answer is its `response`, `undefined` when it failed and may be ignored. Throws the refusal, or
 * 500 when it failed and may not be ignored.
 */
export async function callWebhook(
  context: ApiContext,
  webhook: Webhook,
  subject: AdmissionSubject,
  warnings: string[],
): Promise<JsonObject | undefined> {
  const { name, spec } = webhook;
  if (subject.dryRun && !["None", "NoneOnDryRun"].includes(textAt(spec, "sideEffects"))) {
    throw badRequest(`admission webhook "${name}" does not support dry run`);
  }
  const uid = randomUUID();
  let response: JsonObject;
  try {
    response = checkedResponse(await post(webhook, reviewOf(subject, uid)), uid);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (textAt(spec, "failurePolicy") !== "Ignore") {
      throw internalError(`failed calling webhook "${name}": failed to call webhook: ${why}`);
    }
    context.log.warn({ webhook: name, error: why }, "failed calling webhook, its failurePolicy ignores that");
    return undefined;
  }
  for (const one of listAt(response, "warnings")) warnings.push(String(one));
  if (response["allowed"] !== true) throw denied(name, objectAt(response, "status"));
  return response;
}

/** The object with the JSON patch of an answer applied; the same object when there is none. */
export function patchedBy({ name }: Webhook, object: JsonObject, response: JsonObject): JsonObject {
  const patch = textAt(response, "patch");
  if (patch === "") return object;
  if (textAt(response, "patchType") !== "JSONPatch") {
    throw internalError(`webhook "${name}": unsupported patch type ${JSON.stringify(textAt(response, "patchType"))}`);
  }
  try {
    const patched = jsonPatch(object, parseBody(Buffer.from(patch, "base64").toString("utf8")));
    if (isObject(patched)) return patched;
    throw new Error("the patch leaves no object");
  } catch (error) {
    throw internalError(`webhook "${name}": cannot apply its patch: ${errorText(error)}`);
  }
}

/** The refusal in the words of the real server; a code that is no refusal becomes 400. */
function denied(name: string, status: JsonObject): ApiError {
  const start = `admission webhook "${name}" denied the request`;
  const why = textAt(status, "message") || textAt(status, "reason");
  const message = why === "" ? `${start} without explanation` : `${start}: ${why}`;
  const code = numberAt(status, "code") ?? 0;
  const isRefusal = Number.isInteger(code) && code >= 400 && code < 600;
  return new ApiError(isRefusal ? code : 400, textAt(status, "reason"), message, objectAt(status, "details"));
}

function reviewOf(subject: AdmissionSubject, uid: string): Json {
  const { operation, target, subresource, object, oldObject, dryRun } = subject;
  const { group, version, plural, namespaced } = target.type;
  const { kind } = subject.kind ?? target.type;
  const ownKind = subject.kind === undefined ? { group, version, kind } : { ...subject.kind };
  const resource = { group, version, resource: plural };
  const optionsKind = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions" }[operation];
  const name = target.name || textAt(object, "metadata", "name");
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid,
      kind: ownKind,
      resource,
      requestKind: ownKind,
      requestResource: resource,
      ...(subresource === "" ? {} : { subResource: subresource, requestSubResource: subresource }),
      name,
      ...(namespaced ? { namespace: target.namespace } : {}),
      operation,
      userInfo: { username: "tranche", groups: ["system:masters", "system:authenticated"] },
      object: object ?? null,
      oldObject: oldObject ?? null,
      dryRun,
      options: { apiVersion: "meta.k8s.io/v1", kind: optionsKind },
    },
  };
}

function checkedResponse(review: Json, uid: string): JsonObject {
  const kind = `${textAt(review, "apiVersion")} ${textAt(review, "kind")}`;
  if (kind !== "admission.k8s.io/v1 AdmissionReview") {
    throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${kind}`);
  }
  const response = objectAt(review, "response");
  const answered = textAt(response, "uid");
  if (answered !== uid) throw new Error(`expected response.uid="${uid}", got "${answered}"`);
  return response;
}

/** Where to connect; throws for what is not on this machine. */
function addressOf(client: JsonObject): URL {
  const service = objectAt(client, "service");
  if (Object.keys(service).length > 0) {
    const name = `${textAt(service, "namespace")}/${textAt(service, "name")}`;
    throw new Error(`service ${name} has no address: the embedded cluster routes no services, use clientConfig.url`);
  }
  const url = new URL(textAt(client, "url"));
  if (url.protocol === "https:" && isLoopback(url.hostname)) return url;
  throw new Error(`${url.origin} is not this machine, and webhooks are called on loopback addresses only`);
}

async function post({ spec }: Webhook, review: Json): Promise<Json> {
  const client = objectAt(spec, "clientConfig");
  const url = addressOf(client);
  const seconds = numberAt(spec, "timeoutSeconds") ?? 10;
  url.searchParams.set("timeout", `${seconds}s`);
  const bundle = textAt(client, "caBundle");
  const text = JSON.stringify(review);
  const isLocalhost = url.hostname === "localhost";
  const options = {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      "content-length": Buffer.byteLength(text),
    },
    signal: AbortSignal.timeout(seconds * 1000),
    agent: false as const,
    // The name is checked against the certificate; where it leads does not depend on a resolver.
    ...(isLocalhost ? { host: "127.0.0.1", servername: "localhost" } : {}),
    ...(bundle === "" ? {} : { ca: Buffer.from(bundle, "base64") }),
  };
  try {
    return await new Promise<Json>((resolve, reject) => {
      const sent = request(url, options, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > bodyLimitBytes) response.destroy(new Error(`its answer is larger than ${bodyLimitBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          const body = Buffer.concat(chunks).toString("utf8");
          // What is not JSON reads as null, which is no review.
          if (response.statusCode === 200) resolve(parsedJson(body) ?? null);
          else reject(new Error(`an error on the server: status ${response.statusCode}: ${body.slice(0, 200)}`));
        });
      });
      sent.on("error", reject);
      sent.end(text);
    });
  } catch (error) {
    const isLate = error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError");
    throw new Error(`Post "${url.href}": ${isLate ? "context deadline exceeded" : errorText(error)}`, { cause: error });
  }
}
