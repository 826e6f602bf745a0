/**
 * Reviews: what a client may do and who it is (authorization.k8s.io, authentication.k8s.io). They are answered, not kept.
 */
import { apiVersionOf } from "../../kube/index.ts";
import type { JsonObject } from "./json.ts";
import type { ApiType } from "./types.ts";

/** Whoever has the token may do everything, so the answer depends on the kind of the question alone. */
const statuses: Readonly<Record<string, JsonObject>> = {
  SelfSubjectAccessReview: { allowed: true, reason: "the bearer token of this cluster allows everything" },
  SelfSubjectRulesReview: {
    resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
    nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
    incomplete: false,
  },
  SelfSubjectReview: { userInfo: { username: "tranche", groups: ["system:masters", "system:authenticated"] } },
};

/** The review with its answer in `status`. */
export function reviewed(type: ApiType, review: JsonObject): JsonObject {
  const own = { apiVersion: apiVersionOf(type), kind: type.kind, status: statuses[type.kind] ?? {} };
  return { metadata: {}, ...review, ...own };
}
