/**
 * `events.k8s.io/v1`: the same events as the core group's, under other names (kubernetes, pkg/apis/events/v1, conversion).
 */
import { type Json, type JsonObject, withField, without } from "./json.ts";

/** How a type shows objects that are stored as another type's. */
export interface ObjectView {
  /** The collection the objects are stored in. */
  readonly collection: string;
  /** The type they are stored as. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** A stored object as this type shows it. */
  show(object: JsonObject): JsonObject;
  /** An object of this type as it is stored. */
  store(object: JsonObject): JsonObject;
}

/** Fields of the core type and what the view calls them; all others have one name. */
const fieldNames: readonly (readonly [core: string, view: string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["reportingComponent", "reportingController"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
];

function renamed(object: JsonObject, from: 0 | 1, apiVersion: string): JsonObject {
  let made: JsonObject = { ...object, apiVersion };
  for (const pair of fieldNames) {
    const value: Json | undefined = object[pair[from]];
    made = without(made, pair[from]);
    if (value !== undefined) made = withField(made, pair[1 - from] ?? "", value);
  }
  return made;
}

export const eventView: ObjectView = {
  collection: "events.",
  group: "",
  version: "v1",
  plural: "events",
  show: (event) => renamed(event, 0, "events.k8s.io/v1"),
  store: (event) => renamed(event, 1, "v1"),
};
