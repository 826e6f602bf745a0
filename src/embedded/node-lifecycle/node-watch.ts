/**
 * Tells which nodes have shown no sign of life for too long.
 *
 * Counted from when a sign was seen to change, by the watcher's own clock, as kube-controller-manager does. Time in which
 * the watcher itself could not see does not count: after an outage of the API server nobody has been silent yet.
 */
import type { Lease, Node } from "../../kube/index.ts";

/** How often it is looked (`--node-monitor-period`). */
export const monitorEveryMs = 5_000;
/** How long a node may be silent (`--node-monitor-grace-period`, 50 s since Kubernetes 1.32). */
const graceMs = 50_000;
/** The same for one that has never spoken (`--node-startup-grace-period`). */
const startupGraceMs = 60_000;

interface Sign {
  readonly text: string;
  readonly seenMs: number;
}

export class NodeWatch {
  #signs: ReadonlyMap<string, Sign> = new Map();
  #lastMs: number | undefined;

  /** One look at all there is; names the silent nodes. */
  look(nodes: readonly Node[], leases: readonly Lease[], nowMs: number): ReadonlySet<string> {
    const wasBlind = this.#lastMs === undefined || nowMs - this.#lastMs > 2 * monitorEveryMs;
    this.#lastMs = nowMs;
    const renewals = new Map(leases.map(({ metadata, spec }) => [metadata.name, spec?.renewTime]));
    const signs = nodes.map(({ metadata: { name, uid }, status }): readonly [string, Sign] => {
      const ready = status?.conditions?.find((one) => one.type === "Ready");
      const text = JSON.stringify([uid, renewals.get(name), ready?.lastHeartbeatTime]);
      const known = this.#signs.get(name);
      return [name, known?.text === text && !wasBlind ? known : { text, seenMs: nowMs }];
    });
    this.#signs = new Map(signs);
    const silent = nodes.filter(({ metadata: { name }, status }) => {
      const hasSpoken = renewals.has(name) || status?.conditions !== undefined;
      return nowMs - (this.#signs.get(name)?.seenMs ?? nowMs) > (hasSpoken ? graceMs : startupGraceMs);
    });
    return new Set(silent.map((one) => one.metadata.name));
  }
}
