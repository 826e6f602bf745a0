/**
 * Events: what happened to an object, for `kubectl describe` and `kubectl get events`.
 */
import { createHash } from "node:crypto";
import { type Clock, systemClock } from "../base/index.ts";
import { hasStatus } from "./error.ts";
import { resources } from "./resources.ts";
import type { KubeApi, KubeEvent, KubeObject } from "./types.ts";

export interface EventInput {
  /** What it happened to, as read from the server. */
  readonly object: KubeObject;
  readonly type: KubeEvent["type"];
  /** One word in upper camel case, for example `FailedScheduling`. */
  readonly reason: string;
  readonly message: string;
  /** Who saw it, for example `default-scheduler`. */
  readonly component: string;
  /** The node it was seen on, if on one. */
  readonly host?: string;
  /**
   * Whether all such events of the object for this reason are one that tells the last message, as is due after ten that
   * differ (client-go, tools/record/events_cache.go, `EventAggregator`). Default false.
   */
  readonly combined?: boolean;
}

/** What recording an event needs of the API. */
export type EventApi = Pick<KubeApi, "create" | "get" | "update">;

/**
 * Writes an event, or counts it up when the server still has one that tells the same of the same object.
 *
 * The name is made from what is told, so that repetition finds the first event again even after a restart; client-go
 * keeps the names in memory instead. The window of repetition is thus the server's: it drops events after an hour.
 */
export async function recordEvent(
  api: EventApi,
  input: EventInput,
  clock: Pick<Clock, "now"> = systemClock,
): Promise<void> {
  const now = timestamp(clock);
  const event = newEvent(input, now);
  const ref = { namespace: event.metadata.namespace, name: event.metadata.name };
  for (;;) {
    try {
      await api.create(resources.events, event);
      return;
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
    }
    try {
      const seen = await api.get<KubeEvent>(resources.events, ref);
      const { message } = event;
      await api.update(resources.events, { ...seen, message, count: (seen.count ?? 1) + 1, lastTimestamp: now });
      return;
    } catch (error) {
      // It has gone since, or somebody else counted it up: begin again.
      if (!hasStatus(error, 404) && !hasStatus(error, 409)) throw error;
    }
  }
}

function newEvent(input: EventInput, now: string): KubeEvent {
  const { object, type, reason, component, host, combined = false } = input;
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const message = combined ? `(combined from similar events): ${input.message}` : input.message;
  const told = [object.kind, namespace, name, uid, type, reason, combined ? "" : message, component, host];
  const digest = createHash("sha256").update(JSON.stringify(told)).digest("hex").slice(0, 16);
  return {
    apiVersion: "v1",
    kind: "Event",
    // Events of cluster-scoped objects live in `default`.
    metadata: { name: `${name}.${digest}`, namespace: namespace ?? "default" },
    involvedObject: {
      apiVersion: object.apiVersion,
      kind: object.kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    source: host === undefined ? { component } : { component, host },
    reportingComponent: component,
    reportingInstance: host ?? "",
  };
}

/** The API's times have whole seconds. */
function timestamp(clock: Pick<Clock, "now">): string {
  return new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
}
