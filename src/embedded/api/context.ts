/**
 * What every part of the API server works on.
 */
import type { Clock, Logger } from "../../base/index.ts";
import type { Admission } from "./admission.ts";
import type { UnknownFields } from "./field-validation.ts";
import type { Registry } from "./registry.ts";
import type { Store } from "./store.ts";

/** What a client asks of a container's log. */
export interface LogOptions {
  /** Only the last lines; undefined means all. */
  readonly tailLines: number | undefined;
  /** The run before the present one. */
  readonly previous: boolean;
  readonly timestamps: boolean;
}

/** Reads a container's log, as the API server would from the kubelet; `container` is never empty. */
export type ReadLogs = (namespace: string, name: string, container: string, options: LogOptions) => Promise<string>;

export interface ApiContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Undefined while no kubelet stand-in is there to ask. */
  readLogs: ReadLogs | undefined;
  /** How the client of a request wants to hear of unknown fields; the server's own writes hear nothing. */
  readonly unknownFields?: UnknownFields;
  /** Asks webhooks about the writes of a request; without it, as for the server's own writes, none are asked. */
  readonly admission?: Admission;
}

/** A time as the API writes it: RFC 3339, whole seconds, UTC. */
export function timestamp(clock: Clock): string {
  return `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
}
