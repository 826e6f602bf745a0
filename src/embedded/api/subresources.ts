/**
 * What there is below objects, and what those subresources have in common that take an object of their own.
 */
import { type AdmissionSubject, admitted } from "./admission.ts";
import type { ApiContext } from "./context.ts";
import { badRequest } from "./errors.ts";
import { type JsonObject, textAt } from "./json.ts";
import { assertKind } from "./new-object.ts";
import type { GroupVersionKind, Subresource } from "./types.ts";

/** What is posted to `pods/binding`. */
export const bindingKind: GroupVersionKind = { group: "", version: "v1", kind: "Binding" };
/** What is posted to `pods/eviction`. */
export const evictionKind: GroupVersionKind = { group: "policy", version: "v1", kind: "Eviction" };
/** What `scale` shows and takes. */
export const scaleKind: GroupVersionKind = { group: "autoscaling", version: "v1", kind: "Scale" };

/** Which verbs a subresource knows, and what it takes where that is not the type's own kind. */
export const subresourceFacts: Readonly<
  Record<Subresource, { readonly verbs: readonly string[]; readonly takes?: GroupVersionKind }>
> = {
  status: { verbs: ["get", "patch", "update"] },
  scale: { verbs: ["get", "patch", "update"], takes: scaleKind },
  binding: { verbs: ["create"], takes: bindingKind },
  eviction: { verbs: ["create"], takes: evictionKind },
  log: { verbs: ["get"] },
};

/** A body with its version and kind filled in; throws 400 when it is of another kind or about another object. */
export function subresourceBody(wanted: GroupVersionKind, name: string, body: JsonObject): JsonObject {
  const whole = assertKind(wanted, body);
  const own = textAt(body, "metadata", "name");
  if (own !== "" && own !== name) throw badRequest(`name in URL does not match name in ${wanted.kind} object`);
  return whole;
}

/** The body as webhooks leave it; throws their refusal. */
export function admittedBody(
  context: ApiContext,
  subject: Omit<AdmissionSubject, "object" | "refill" | "check"> & { readonly object: JsonObject },
): JsonObject {
  return admitted(context, { ...subject, refill: (one) => one, check: () => {} });
}

/** The context of a write that the server makes itself, on behalf of a request that webhooks were asked about. */
export function ownWrites({ admission: _, unknownFields: __, ...context }: ApiContext): ApiContext {
  return context;
}
