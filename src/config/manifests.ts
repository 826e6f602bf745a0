/**
 * Reads Kubernetes manifests as kubectl does: YAML or JSON, many documents in a file, lists unfolded.
 *
 * A bare NVIDIA configuration is taken too, as the ConfigMap a user would make of it.
 */
import { basename } from "node:path";
import { type Finding, finding, type Outcome, type Place } from "../base/index.ts";
import { readDocuments, type TextDocument } from "./documents.ts";
import { fieldName, hasErrors, isObject, type JsonObject, jsonType, textRemedy } from "./field-reader.ts";
import { type FieldPath, type PlaceAt, placesIn } from "./places.ts";
import { recognise } from "./recognise.ts";
import type { Manifest } from "./types.ts";

/** A file to read. */
export interface FileText {
  /** As findings shall cite it. */
  readonly file: string;
  readonly text: string;
}

/** A text inside a manifest, for example the value of a ConfigMap's key. */
export interface EmbeddedFile {
  readonly text: string;
  /** As findings shall cite it when no place is known. */
  readonly file: string;
  /** Where lines and columns of the text stand in the outer file. */
  readonly placeAt: PlaceAt;
}

/** The key under which a bare configuration file goes into its ConfigMap. */
const bareConfigKey = "config.yaml";

/** Reads all manifests of the files; any that cannot be read makes the outcome a failure, with all findings. */
export function readManifests(files: readonly FileText[]): Outcome<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  const findings: Finding[] = [];
  const reads = files.map(({ file, text }) => ({ file, ...readDocuments(text, file, placesIn(file)) }));
  const taken = new Set(reads.flatMap((read) => read.documents.flatMap(({ value }) => configMapsOf(value))));
  for (const { file, documents, findings: ofText } of reads) {
    findings.push(...ofText);
    for (const document of documents) {
      if (document.value === null) continue;
      const one = readDocument(document, file, taken);
      findings.push(...one.findings);
      manifests.push(...one.manifests);
    }
  }
  return hasErrors(findings) ? { ok: false, findings } : { ok: true, value: manifests, findings };
}

/** The text under a key of a ConfigMap's `data`, `undefined` when there is none. */
export function embeddedFile(manifest: Manifest, key: string): EmbeddedFile | undefined {
  const { data } = manifest.object;
  const text = isObject(data) && Object.hasOwn(data, key) ? data[key] : undefined;
  if (typeof text !== "string") return undefined;
  return {
    text,
    file: manifest.place.file,
    placeAt: (line, column) => manifest.placeInside(["data", key], line, column),
  };
}

/** Names of the ConfigMaps of a document. */
function configMapsOf(value: unknown): readonly string[] {
  if (!isObject(value)) return [];
  const { kind, items, metadata } = value;
  if (Array.isArray(items)) return items.flatMap(configMapsOf);
  const name = kind === "ConfigMap" && isObject(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? [name] : [];
}

interface DocumentRead {
  readonly manifests: readonly Manifest[];
  readonly findings: readonly Finding[];
}

/** `taken` are the names that a bare configuration may not have for its ConfigMap; its own is added. */
function readDocument(document: TextDocument, file: string, taken: Set<string>): DocumentRead {
  const { value } = document;
  if (!isObject(value)) {
    return refused(file, { place: document.placeOf([]), what: `expected an object, found ${jsonType(value)}` });
  }
  if (!Object.hasOwn(value, "kind") && !Object.hasOwn(value, "apiVersion")) {
    const kind = recognise(value);
    if (kind === "mig-parted" || kind === "device-plugin") {
      const name = freeName(configMapName(file), taken);
      taken.add(name);
      return wrapBareConfig(document, file, { kind, name });
    }
  }
  return readObjectAt(document, file, { object: value, path: [] });
}

/** An object of a document: the whole of it, or an item of a list. */
interface ObjectAt {
  readonly object: JsonObject;
  readonly path: FieldPath;
}

function readObjectAt(document: TextDocument, file: string, at: ObjectAt): DocumentRead {
  const { kind, items } = at.object;
  if (typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)) return unfold(document, file, at);
  const problems = objectProblems(at.object);
  if (problems.length > 0) {
    const findings = problems.map(({ path, ...problem }) =>
      problemFinding(file, { ...problem, place: document.placeOf([...at.path, ...path]) }),
    );
    return { manifests: [], findings };
  }
  return { manifests: [manifest(document, at)], findings: [] };
}

/** Items of a typed list such as PodList need not repeat kind and apiVersion. */
function unfold(document: TextDocument, file: string, { object, path }: ObjectAt): DocumentRead {
  const itemKind = String(object["kind"]).slice(0, -"List".length);
  const inherited = itemKind === "" ? {} : { apiVersion: object["apiVersion"], kind: itemKind };
  const items: readonly unknown[] = Array.isArray(object["items"]) ? object["items"] : [];
  const reads = items.map((item, index) => {
    const itemPath = [...path, "items", index];
    if (isObject(item)) return readObjectAt(document, file, { object: { ...inherited, ...item }, path: itemPath });
    return refused(file, { place: document.placeOf(itemPath), what: `expected an object, found ${jsonType(item)}` });
  });
  return {
    manifests: reads.flatMap((read) => read.manifests),
    findings: reads.flatMap((read) => read.findings),
  };
}

function manifest(document: TextDocument, { object, path }: ObjectAt): Manifest {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const { namespace, name, generateName } = metadata;
  return {
    apiVersion: String(object["apiVersion"]),
    kind: String(object["kind"]),
    namespace: typeof namespace === "string" && namespace !== "" ? namespace : undefined,
    name: String(name ?? generateName),
    object,
    get place() {
      return document.placeOf(path);
    },
    placeOf: (inner) => document.placeOf([...path, ...inner]),
    placeInside: (inner, line, column) => document.placeInside([...path, ...inner], line, column),
  };
}

interface Problem {
  readonly code: "not-a-manifest" | "bad-value";
  readonly path: FieldPath;
  readonly what: string;
  readonly remedy: string;
}

/** What the API server would refuse about any object, before it looks at its kind. */
function objectProblems(object: JsonObject): readonly Problem[] {
  const problems: Problem[] = [];
  for (const field of ["apiVersion", "kind"]) {
    const value = object[field];
    if (typeof value === "string" && value !== "") continue;
    const remedy = `add \`${field}\`, for example ${field === "kind" ? "kind: Pod" : "apiVersion: v1"}`;
    problems.push({ code: "not-a-manifest", path: [field], what: `object has no ${field}`, remedy });
  }
  const { metadata } = object;
  const { name, generateName } = isObject(metadata) ? metadata : {};
  const named = [name, generateName].some((one) => one !== undefined && one !== null && one !== "");
  if (!named) {
    const what = `${object["kind"] ?? "object"} has no metadata.name`;
    problems.push({ code: "not-a-manifest", path: ["metadata"], what, remedy: "add a name under `metadata`" });
  }
  return [...problems, ...(isObject(metadata) ? metadataProblems(metadata) : []), ...dataProblems(object)];
}

function metadataProblems(metadata: JsonObject): readonly Problem[] {
  const texts = ["name", "generateName", "namespace"].flatMap((field) =>
    textProblem(["metadata", field], metadata[field]),
  );
  const maps = ["labels", "annotations"].flatMap((field) => textMapProblems(["metadata", field], metadata[field]));
  return [...texts, ...maps];
}

function dataProblems(object: JsonObject): readonly Problem[] {
  return object["kind"] === "ConfigMap" ? textMapProblems(["data"], object["data"]) : [];
}

function textMapProblems(path: FieldPath, value: unknown): readonly Problem[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, one]) => textProblem([...path, key], one));
}

function textProblem(path: FieldPath, value: unknown): readonly Problem[] {
  if (value === undefined || value === null || typeof value === "string") return [];
  const what = `cannot unmarshal ${jsonType(value)} into '${fieldName(path)}' of type string`;
  const remedy = typeof value === "object" ? "write the text as a block after `|`" : textRemedy(value);
  return [{ code: "bad-value", path, what, remedy }];
}

function refused(file: string, { place, what }: { readonly place: Place; readonly what: string }): DocumentRead {
  const remedy = "write a Kubernetes object with apiVersion, kind and metadata, or one of NVIDIA's configurations";
  return { manifests: [], findings: [problemFinding(file, { code: "not-a-manifest", place, what, remedy })] };
}

function problemFinding(file: string, problem: Omit<Problem, "path"> & { readonly place: Place }): Finding {
  const { code, place, what, remedy } = problem;
  return finding(code, { kind: "file", name: file }, what, { place, remedy });
}

function wrapBareConfig(
  document: TextDocument,
  file: string,
  { kind, name }: { readonly kind: "mig-parted" | "device-plugin"; readonly name: string },
): DocumentRead {
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data: { [bareConfigKey]: document.text },
  };
  const wrapped: Manifest = {
    apiVersion: "v1",
    kind: "ConfigMap",
    namespace: undefined,
    name,
    object,
    get place() {
      return document.placeOf([]);
    },
    placeOf: () => document.placeOf([]),
    placeInside: (_path, line, column) => document.placeAt(line, column),
  };
  const what = `bare ${kind} configuration is used as ConfigMap "${name}", key ${bareConfigKey}`;
  const remedy = `on a cluster: kubectl create configmap ${name} --from-file=${bareConfigKey}=${file}`;
  const place = document.placeOf([]);
  return {
    manifests: [wrapped],
    findings: [finding("bare-config-wrapped", { kind: "file", name: file }, what, { place, remedy })],
  };
}

/** The name, or with a number behind it the first that is not taken: files in two directories can be called alike. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name}-${number}`;
  return free;
}

/** The file's name without folder and extension, made a valid object name. */
function configMapName(file: string): string {
  const stem = basename(file).replace(/\.(?:ya?ml|json)$/i, "");
  const name = stem
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return name === "" ? "config" : name;
}
