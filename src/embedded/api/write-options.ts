/**
 * What the query of a write asks for (apimachinery, pkg/apis/meta/v1/validation).
 */
import { badRequest, type Cause, invalid } from "./errors.ts";
import type { Writer } from "./field-owners.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";

/** The media type of a server-side apply. */
export const applyType = "application/apply-patch+yaml";

const maxManagerBytes = 128;

/** The parts of a request that say how to write, and who writes. */
export interface WriteRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly mediaType: string;
  readonly userAgent: string;
  readonly path: { readonly subresource: string | undefined };
}

/** Reads the options that all writes have; throws 400 or 422. */
export function writeOptions(request: WriteRequest): { readonly dryRun: boolean; readonly writer: Writer } {
  const { method, query, path } = request;
  const values = query.getAll("dryRun").filter((one) => one !== "");
  const unknown = values.find((one) => one !== "All");
  if (unknown !== undefined)
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(unknown)}: supported values: "All"`);
  const causes = [
    ...managerFaults(query.get("fieldManager") ?? ""),
    ...(method === "PATCH" ? patchFaults(request) : []),
  ];
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", plural: "", kind: optionsKind(method) }, "", causes);
  const writer = { manager: managerOf(request), operation: "Update", subresource: path.subresource ?? "" } as const;
  return { dryRun: values.length > 0, writer };
}

function optionsKind(method: string): string {
  return { POST: "CreateOptions", PUT: "UpdateOptions", PATCH: "PatchOptions" }[method] ?? "DeleteOptions";
}

function managerFaults(manager: string): readonly Cause[] {
  if (Buffer.byteLength(manager) > maxManagerBytes) {
    const message = `Too long: may not be more than ${maxManagerBytes} bytes`;
    return [{ reason: "FieldValueTooLong", message, field: "fieldManager" }];
  }
  const at = [...manager].findIndex((one) => !isPrintable(one));
  if (at < 0) return [];
  return [invalidValue("fieldManager", manager, `should only contain printable characters (at position ${at})`)];
}

function patchFaults({ query, mediaType }: WriteRequest): readonly Cause[] {
  if (mediaType === applyType) {
    const isNamed = (query.get("fieldManager") ?? "") !== "";
    return isNamed ? [] : [requiredValue("fieldManager", "is required for apply patch")];
  }
  if (!query.has("force")) return [];
  const message = "Forbidden: may not be specified for non-apply patch";
  return [{ reason: "FieldValueForbidden", message, field: "force" }];
}

/** The manager that a client names, or else the program it says it is. */
function managerOf({ query, userAgent }: WriteRequest): string {
  const named = query.get("fieldManager") ?? "";
  if (named !== "") return named;
  let name = "";
  for (const one of userAgent.split("/")[0] ?? "") {
    if (!isPrintable(one)) continue;
    if (Buffer.byteLength(name + one) > maxManagerBytes) break;
    name += one;
  }
  return name === "" ? "unknown" : name;
}

/** As Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the plain space. */
function isPrintable(character: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character);
}
