/**
 * What one turn of the agent came to.
 */
import type { Finding } from "../base/index.ts";
import type { MigConfigState } from "../insight/index.ts";
import type { RepartitionResult } from "./repartition.ts";

/** How soon a turn is taken again that was broken off or could not do all it was to. */
export const RETRY_MS = 1_000;

export interface TurnResult {
  /** All but those about the health of driver and GPUs, which a snapshot takes as they are at its moment. */
  readonly findings: readonly Finding[];
  readonly migLabel: string | undefined;
  readonly migConfig: { readonly name: string; readonly state: MigConfigState } | undefined;
  readonly pluginConfig: PluginConfigInForce | undefined;
  /** Whether the kubelet shows what is offered. */
  readonly confirmed: boolean;
  readonly retryInMs: number | undefined;
}

/** The device-plugin config a node runs with; names are `undefined` for the defaults. */
export interface PluginConfigInForce {
  readonly name: string | undefined;
  readonly hash: string | undefined;
  /** Since when, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** Before the first turn. */
export const noTurn: TurnResult = {
  findings: [],
  migLabel: undefined,
  migConfig: undefined,
  pluginConfig: undefined,
  confirmed: false,
  retryInMs: undefined,
};

/** Success is told only when the kubelet shows it too. */
export function migState(refused: boolean, confirmed: boolean, state: RepartitionResult["state"]): MigConfigState {
  if (refused) return "failed";
  return confirmed ? state : "pending";
}

/** The sooner of two waits, where there are any. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
