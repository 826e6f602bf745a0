/**
 * Sets of fields in the notation of `metadata.managedFields[].fieldsV1` (KEP-555; structured-merge-diff, fieldpath).
 *
 * A set is a tree: `f:name` is a field, `k:{…}` a list entry by its keys, `v:…` an entry of a set of plain values. A
 * node without children, or with a child `.`, is a member itself; any other only leads to members. The tree on the
 * wire is the working form too, so nothing is decoded or encoded when an object is written.
 */
import { isObject, type Json, type JsonObject, parsedJson } from "./json.ts";

/** A node, or the root, which is never a member itself. */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}

export const emptySet: FieldSet = {};

/** Whether a set has no members. */
export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether a node below the root belongs to its set, rather than only leading to what does. */
export function isMember(node: FieldSet): boolean {
  return isEmptySet(node) || node["."] !== undefined;
}

/** The node over some children; `undefined` for one that is no member and leads to none. */
export function nodeOf(children: FieldSet, membership: "member" | "path"): FieldSet | undefined {
  if (membership === "path") return isEmptySet(children) ? undefined : children;
  return isEmptySet(children) ? emptySet : { ".": emptySet, ...children };
}

/** What is in either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  const result: Record<string, FieldSet> = { ...a };
  for (const [element, node] of childrenOf(b)) {
    const own = a[element];
    result[element] = own === undefined ? node : unitedNode(own, node);
  }
  return result;
}

function unitedNode(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b) return a;
  const membership = isMember(a) || isMember(b) ? "member" : "path";
  return nodeOf(withoutSelf(union(withoutSelf(a), withoutSelf(b))), membership) ?? emptySet;
}

/** What is in `a` and not in `b`, path by path: taking a field away leaves those below it. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a) || isEmptySet(b)) return a;
  return combined(a, (element, node) => {
    const other = b[element];
    if (other === undefined) return node;
    const rest = difference(withoutSelf(node), withoutSelf(other));
    return nodeOf(rest, isMember(node) && !isMember(other) ? "member" : "path");
  });
}

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return combined(a, (element, node) => {
    const other = b[element];
    if (other === undefined) return undefined;
    const shared = intersection(withoutSelf(node), withoutSelf(other));
    return nodeOf(shared, isMember(node) && isMember(other) ? "member" : "path");
  });
}

type NodeChange = (element: string, node: FieldSet) => FieldSet | undefined;

/** The set with each child in its new form; the same set when none changes. */
function combined(set: FieldSet, change: NodeChange): FieldSet {
  const result: Record<string, FieldSet> = {};
  let differs = false;
  for (const [element, node] of childrenOf(set)) {
    const kept = change(element, node);
    if (kept !== node) differs = true;
    if (kept !== undefined) result[element] = kept;
  }
  return differs ? result : set;
}

function childrenOf(set: FieldSet): readonly (readonly [string, FieldSet])[] {
  return Object.entries(set).filter(([element]) => element !== ".");
}

function withoutSelf(node: FieldSet): FieldSet {
  if (node["."] === undefined) return node;
  const { ".": _, ...children } = node;
  return children;
}

/** Every member as messages write it: `.spec.containers[name="main"].image`. */
export function memberPaths(set: FieldSet, prefix = ""): readonly string[] {
  return childrenOf(set).flatMap(([element, node]) => {
    const path = prefix + elementText(element);
    return [...(isMember(node) ? [path] : []), ...memberPaths(node, path)];
  });
}

/** An element as messages write it: `.spec`, `[name="main"]`. */
export function elementText(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  if (!element.startsWith("k:")) return `[${rest}]`;
  const keys = parsedKeys(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `[${keys.join(",")}]`;
}

function parsedKeys(text: string): readonly (readonly [string, Json])[] {
  const value = parsedJson(text);
  return isObject(value) ? Object.entries(value) : [];
}

/** Reads a set that a client sent; `undefined` for what is none. */
export function parseFieldSet(value: Json | undefined): FieldSet | undefined {
  return isFieldSet(value) ? value : undefined;
}

/** A set from this server's own store, which `parseFieldSet` read before it went there. */
export function storedFieldSet(value: Json | undefined): FieldSet | undefined {
  return isRead(value) ? value : undefined;
}

function isRead(value: Json | undefined): value is JsonObject & FieldSet {
  return isObject(value);
}

function isFieldSet(value: Json | undefined): value is JsonObject & FieldSet {
  if (!isObject(value)) return false;
  return Object.entries(value).every(([element, node]) => /^(\.$|[fvki]:)/.test(element) && isFieldSet(node));
}
