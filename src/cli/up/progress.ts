/**
 * Tells what happens while it happens: one line for each event and each pod that changes its phase.
 */
import { type Clock, type Finding, type Logger, placeText } from "../../base/index.ts";
import { type KubeApi, type KubeEvent, type KubeObject, type Pod, ResourceCache, resources } from "../../kube/index.ts";
import { clean } from "../report/clean.ts";

/** Events that say no more than a pod's phase does. */
const QUIET_REASONS = new Set([
  "Scheduled",
  "Pulled",
  "Created",
  "Started",
  "Killing",
  "Starting",
  "NodeReady",
  "RegisteredNode",
]);

export interface ProgressOptions {
  readonly api: KubeApi;
  readonly pods: ResourceCache<Pod>;
  readonly clock: Clock;
  readonly log: Logger;
  /** The resource version of the last write of an earlier run: of what happened by then nothing is told. */
  readonly after: number;
  /** Takes one line without a line feed. */
  write(line: string): void;
}

/** Follows events and pods until the signal fires. */
export async function followProgress(
  { api, pods, clock, log, after, write }: ProgressOptions,
  signal: AbortSignal,
): Promise<void> {
  const isOld = ({ metadata }: KubeObject): boolean => Number(metadata.resourceVersion) <= after;
  const events = new ResourceCache<KubeEvent>(api, resources.events, { clock, log });
  events.onChange((change) => {
    if (change.type !== "added" || isOld(change.object) || QUIET_REASONS.has(change.object.reason)) return;
    write(clean(eventLine(change.object)));
  });
  pods.onChange((change) => {
    if (change.type === "added" && isOld(change.object)) return;
    const before = change.type === "modified" ? change.previous.status?.phase : undefined;
    const { namespace = "", name } = change.object.metadata;
    const phase = change.type === "deleted" ? "deleted" : change.object.status?.phase;
    if (phase === undefined || phase === before || (phase === "Pending" && change.type === "added")) return;
    const where = change.object.spec.nodeName === undefined ? "" : ` on ${change.object.spec.nodeName}`;
    write(clean(`pod ${namespace}/${name} ${phase}${where}`));
  });
  await Promise.all([events.run(signal), pods.run(signal)]);
}

function eventLine(event: KubeEvent): string {
  const { kind, namespace, name } = event.involvedObject;
  const subject = namespace === undefined ? name : `${namespace}/${name}`;
  return `${kind.toLowerCase()} ${subject} ${event.reason}: ${event.message}`;
}

/** One line for a finding, for those that are told at once. */
export function findingProgress(one: Finding): string {
  const where = one.place === undefined ? one.subject.name : placeText(one.place);
  return clean(`${one.severity} ${one.code}: ${where}: ${one.message}`);
}
