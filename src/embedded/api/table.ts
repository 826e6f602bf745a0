/**
 * Server-made tables, as `kubectl get` shows them (apimachinery, pkg/apis/meta/v1, Table).
 */
import type { Json, JsonList, JsonObject } from "./json.ts";

/** One column; `cell` reads an object, with the present time for ages. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly format?: string;
  /** Default: the name. */
  readonly description?: string;
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority: 0 | 1;
  readonly cell: (object: JsonObject, nowMs: number) => Json;
}

/** What a row carries of its object (`includeObject`). */
export type RowObject = "None" | "Metadata" | "Object";

/** The columns as clients read them. */
export function columnDefinitions(columns: readonly Column[]): JsonList {
  return columns.map(({ name, type, format = "", description = name, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

export interface RowOptions {
  readonly nowMs: number;
  readonly rowObject: RowObject;
}

/** One object as a row. */
export function tableRow(columns: readonly Column[], object: JsonObject, { nowMs, rowObject }: RowOptions): JsonObject {
  const cells = columns.map((column) => column.cell(object, nowMs));
  switch (rowObject) {
    case "None":
      return { cells };
    case "Object":
      return { cells, object };
    case "Metadata":
      return {
        cells,
        object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: metadataOf(object) },
      };
  }
}

function metadataOf(object: JsonObject): Json {
  return object["metadata"] ?? {};
}

/** A span of time as people read it: `45s`, `3m20s`, `5h`, `12d` (apimachinery, pkg/util/duration, HumanDuration). */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return twoUnits(minutes, "m", `${seconds % 60}s`);
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return twoUnits(hours, "h", `${minutes % 60}m`);
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return twoUnits(days, "d", `${hours % 24}h`);
  if (days < 2 * 365) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? twoUnits(years, "y", `${days % 365}d`) : `${years}y`;
}

function twoUnits(count: number, unit: string, rest: string): string {
  return rest.startsWith("0") ? `${count}${unit}` : `${count}${unit}${rest}`;
}

/** How long ago a time in RFC 3339 was; `<unknown>` when there is none. */
export function ageOf(time: string, nowMs: number): string {
  const thenMs = Date.parse(time);
  return Number.isNaN(thenMs) ? "<unknown>" : humanDuration(nowMs - thenMs);
}
