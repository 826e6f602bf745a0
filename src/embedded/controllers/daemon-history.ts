/**
 * The templates a daemon set has had, as `kubectl rollout history` and `undo` read them (kubernetes,
 * pkg/controller/history and pkg/controller/daemon/update.go): pure.
 */
import { revisionLabel } from "./daemon-pod.ts";
import { controllerReference } from "./owners.ts";
import { hashOf, meaningOf } from "./same.ts";
import type { ControllerRevision, DaemonSet } from "./types.ts";

/** What to do so that the history shows the present template as the newest. */
export interface HistoryPlan {
  /** Hash of the present template. */
  readonly hash: string;
  readonly create: ControllerRevision | undefined;
  readonly update: ControllerRevision | undefined;
  readonly remove: readonly ControllerRevision[];
}

/** `live` are the hashes of templates of which there are pods. */
export function planHistory(
  set: DaemonSet,
  revisions: readonly ControllerRevision[],
  live: ReadonlySet<string>,
): HistoryPlan {
  const data = { spec: { template: { ...set.spec.template, $patch: "replace" } } };
  const meaning = meaningOf(data);
  const current = revisions.find((one) => meaningOf(one.data) === meaning);
  const others = revisions.filter((one) => one !== current);
  const revision = Math.max(0, ...others.map((one) => one.revision)) + 1;
  const hash = current?.metadata.labels?.[revisionLabel] ?? hashOf(meaning);
  const kept = set.spec.revisionHistoryLimit ?? 10;
  const idle = others.filter((one) => !live.has(one.metadata.labels?.[revisionLabel] ?? ""));
  const remove = idle.toSorted((a, b) => a.revision - b.revision).slice(0, Math.max(0, others.length - kept));
  const isNewest = current !== undefined && current.revision >= revision;
  return {
    hash,
    create: current === undefined ? newRevision(set, { hash, revision, data }) : undefined,
    update: current === undefined || isNewest ? undefined : { ...current, revision },
    remove,
  };
}

interface Content {
  readonly hash: string;
  readonly revision: number;
  readonly data: unknown;
}

function newRevision(set: DaemonSet, { hash, revision, data }: Content): ControllerRevision {
  const { name, namespace, annotations = {} } = set.metadata;
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...set.spec.template.metadata?.labels, [revisionLabel]: hash },
      annotations: { ...annotations },
      ownerReferences: [controllerReference(set)],
    },
    data,
    revision,
  };
}
