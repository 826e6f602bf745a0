/**
 * Names of GPU resources and patterns over them (NVIDIA k8s-device-plugin api/config/v1/resources.go).
 */
import { type FieldReader, mistyped } from "./field-reader.ts";
import type { FieldPath } from "./places.ts";

const prefix = "nvidia.com/";
const maxLength = 63;
const label = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const subdomain = new RegExp(`^${label}(?:\\.${label})*$`);

/** Reads a resource name and completes it with `nvidia.com/`; `undefined` when it is none. */
export function readResourceName(reader: FieldReader, path: FieldPath, value: unknown): string | undefined {
  const text = value ?? "";
  if (typeof text !== "string")
    return mistyped(reader, path, value, { type: "string", remedy: "write the name as text" });
  const full = text.startsWith(prefix) ? text : `${prefix}${text}`;
  if (full.length > maxLength) {
    const message = `fully-qualified resource name must be ${maxLength} characters or less: ${full}`;
    reader.report("bad-resource-name", reader.placeOf(path), message, `shorten it by ${full.length - maxLength}`);
    return undefined;
  }
  if (subdomain.test(full.slice(prefix.length))) return full;
  const message = `incorrect format for resource name '${full}': a lowercase RFC 1123 subdomain is wanted after ${prefix}`;
  reader.report("bad-resource-name", reader.placeOf(path), message, nameRemedy(full));
  return undefined;
}

/** Whether a text matches a pattern in which `*` stands for anything, from end to end. */
export function patternMatches(pattern: string, text: string): boolean {
  const literals = pattern.split("*").map((literal) => literal.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literals.join(".*")}$`).test(text);
}

function nameRemedy(full: string): string {
  const name = full.slice(prefix.length);
  if (name.includes("/")) return `only resources of ${prefix.slice(0, -1)} can be named here`;
  const better = name.toLowerCase().replaceAll("+", ".").replaceAll("_", "-");
  return subdomain.test(better) ? `write ${prefix}${better}` : "use lower-case letters, digits, `-` and `.`";
}
