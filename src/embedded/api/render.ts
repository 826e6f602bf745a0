/**
 * Objects as text, in the form a client asked for.
 */
import { apiVersionOf } from "../../kube/index.ts";
import type { Version } from "./collection.ts";
import { columnsOf } from "./columns.ts";
import type { ApiContext } from "./context.ts";
import type { JsonObject } from "./json.ts";
import { chooseForm, type Form } from "./negotiation.ts";
import type { ResourcePath } from "./paths.ts";
import { columnDefinitions, type RowObject, tableRow } from "./table.ts";
import type { ApiType } from "./types.ts";

/** How to write objects of a type. */
export interface Renderer {
  /** Equal keys write equal texts, so that watches can share them. */
  readonly key: string;
  one(version: Version): string;
  /** As `one`, for what follows on the same connection; a table names its columns only once. */
  next(version: Version): string;
  list(versions: readonly Version[], metadata: JsonObject): string;
}

export interface RenderOptions {
  readonly type: ApiType;
  readonly form: Form;
  /** What each row of a table carries. */
  readonly rowObject: RowObject;
  /** Milliseconds since the epoch, for ages. */
  readonly nowMs: () => number;
}

/** The renderer for a form. */
export function rendererFor(options: RenderOptions): Renderer {
  switch (options.form) {
    case "object":
      return objectRenderer(options.type);
    case "metadata":
      return metadataRenderer(options.type);
    case "table":
      return tableRenderer(options);
  }
}

/** What a request says of the form of its answer. */
export interface FormRequest {
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly accept: string;
}

/** The renderer that a request asks for; throws 406 when there is none. */
export function requestedRenderer({ clock }: ApiContext, { path, query, accept }: FormRequest): Renderer {
  const included = query.get("includeObject");
  return rendererFor({
    type: path.type,
    form: chooseForm(accept),
    rowObject: included === "None" || included === "Object" ? included : "Metadata",
    nowMs: () => clock.now(),
  });
}

function objectRenderer(type: ApiType): Renderer {
  const apiVersion = apiVersionOf(type);
  const text = (version: Version): string => {
    if (type.view !== undefined) return JSON.stringify(type.view.show(version.object));
    return version.object["apiVersion"] === apiVersion
      ? version.text
      : JSON.stringify({ ...version.object, apiVersion });
  };
  const head = { kind: `${type.kind}List`, apiVersion };
  return {
    key: `object ${apiVersion}`,
    one: text,
    next: text,
    list: (versions, metadata) => listText(head, metadata, versions.map(text)),
  };
}

function metadataRenderer(type: ApiType): Renderer {
  const apiVersion = "meta.k8s.io/v1";
  const text = ({ object }: Version): string =>
    JSON.stringify({ kind: "PartialObjectMetadata", apiVersion, metadata: object["metadata"] });
  const head = { kind: "PartialObjectMetadataList", apiVersion };
  return {
    key: `metadata ${type.kind}`,
    one: text,
    next: text,
    list: (versions, metadata) => listText(head, metadata, versions.map(text)),
  };
}

function tableRenderer({ type, rowObject, nowMs }: RenderOptions): Renderer {
  const columns = columnsOf(type);
  const head = { kind: "Table", apiVersion: "meta.k8s.io/v1" };
  const row = (version: Version): string =>
    JSON.stringify(tableRow(columns, version.object, { nowMs: nowMs(), rowObject }));
  const table = (versions: readonly Version[], rest: JsonObject): string => {
    const start = JSON.stringify({ ...head, ...rest }).slice(0, -1);
    return `${start},"rows":[${versions.map(row).join(",")}]}`;
  };
  const own = (version: Version): JsonObject => ({ resourceVersion: String(version.revision) });
  return {
    key: `table ${rowObject} ${apiVersionOf(type)} ${type.kind}`,
    one: (one) => table([one], { metadata: own(one), columnDefinitions: columnDefinitions(columns) }),
    next: (one) => table([one], { metadata: own(one), columnDefinitions: null }),
    list: (versions, metadata) => table(versions, { metadata, columnDefinitions: columnDefinitions(columns) }),
  };
}

function listText(head: JsonObject, metadata: JsonObject, items: readonly string[]): string {
  const start = JSON.stringify({ ...head, metadata }).slice(0, -1);
  return `${start},"items":[${items.join(",")}]}`;
}
