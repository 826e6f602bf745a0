/**
 * How an agent stands: for its health and metrics endpoints and whoever follows it. Read without asking anybody.
 */
import type { Finding } from "../base/index.ts";
import type { PluginConfigInForce } from "./turn-result.ts";

/** One resource as the kubelet is told of it. */
export interface OfferedResource {
  readonly resource: string;
  readonly devices: number;
  /** Devices that pods may get. */
  readonly healthy: number;
  /** Whether the kubelet knows of it. */
  readonly registered: boolean;
}

/** What the agent has done since it was started; only grows. */
export interface AgentCounts {
  readonly turns: number;
  readonly brokenTurns: number;
  readonly allocations: number;
  readonly configChanges: number;
  /** Registrations with the kubelet, its restarts included. */
  readonly registrations: number;
  readonly xids: number;
}

export interface AgentStatus {
  /** When the turn under way began, in milliseconds since the epoch; `undefined` between two turns. */
  readonly turnSinceMs: number | undefined;
  /** When the last turn ended; `undefined` before the first. */
  readonly lastTurnMs: number | undefined;
  /** Whether the driver answers and the kubelet shows what the node offers. */
  readonly ready: boolean;
  readonly driverAnswers: boolean;
  readonly pluginConfig: PluginConfigInForce | undefined;
  readonly resources: readonly OfferedResource[];
  /** Client processes of each MPS control daemon that works, by device UUID, as it told within the last ten seconds. */
  readonly mpsClients: ReadonlyMap<string, number>;
  readonly counts: AgentCounts;
  readonly findings: readonly Finding[];
}
