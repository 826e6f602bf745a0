/**
 * From the labels a node shall have to the one change of the Node that brings them about, and takes away those that no
 * longer hold.
 *
 * Which labels are the agent's own stands in an annotation of the Node, so that an agent that starts anew knows what an
 * earlier one wrote. It is the way of Node Feature Discovery, and what that writes on the same node stays its own.
 */
import type { Node } from "../../kube/index.ts";

/** Names of the labels that the agent wrote, with commas between them. */
export const FEATURE_LABELS_ANNOTATION = "tranche.dev/feature-labels";

/** Node Feature Discovery's list, with the name of its instance in front if it has one (nfd pkg/apis/nfd/v1alpha1). */
const nfdAnnotation = /^([^/]+\.)?nfd\.node\.kubernetes\.io\/feature-labels$/;

export interface FeatureLabelPatch {
  /** A JSON merge patch; `undefined` when the Node is right as it is. */
  readonly patch: { readonly metadata: MetadataPatch } | undefined;
  /** Wanted labels that Node Feature Discovery writes on this node; they are left to it. */
  readonly leftToNfd: readonly string[];
  /** Labels that somebody else set to another value, which is replaced. */
  readonly replaced: readonly string[];
}

interface MetadataPatch {
  readonly labels: Readonly<Record<string, string | null>>;
  readonly annotations: Readonly<Record<string, string | null>>;
}

/**
 * What makes `node` have `wanted` and nothing else of what the agent wrote before. A label that a user set by hand under
 * one of these names gets the right value, as it does from Node Feature Discovery; other names are never touched.
 *
 * `written` names what the agent wrote last: `node` may be from before that, so those go whether they are seen or not.
 */
export function featureLabelPatch(
  node: Node,
  wanted: ReadonlyMap<string, string>,
  written: readonly string[] = [],
): FeatureLabelPatch {
  const { labels = {}, annotations = {} } = node.metadata;
  const ofNfd = new Set(
    Object.entries(annotations)
      .filter(([name]) => nfdAnnotation.test(name))
      .flatMap(([, list]) => namesIn(list)),
  );
  const before = namesIn(annotations[FEATURE_LABELS_ANNOTATION] ?? "");
  const own = [...wanted].filter(([name]) => !ofNfd.has(name));
  const ownNames = new Set(own.map(([name]) => name));
  const former = new Set([...written, ...before.filter((name) => labels[name] !== undefined)]);
  const gone = [...former].filter((name) => !ownNames.has(name) && !ofNfd.has(name));
  const wrong = own.filter(([name, value]) => labels[name] !== value);
  const list = [...ownNames].sort().join(",");
  const isListed = (annotations[FEATURE_LABELS_ANNOTATION] ?? "") === list;
  const labelChanges = Object.fromEntries([...wrong, ...gone.map((name) => [name, null] as const)]);
  // With every change, also where the list looks right: `node` may be old, and no label may ever stand unlisted.
  const listChange = { [FEATURE_LABELS_ANNOTATION]: list === "" ? null : list };
  const isRight = wrong.length === 0 && gone.length === 0 && isListed;
  return {
    patch: isRight ? undefined : { metadata: { labels: labelChanges, annotations: listChange } },
    leftToNfd: [...wanted.keys()].filter((name) => ofNfd.has(name)),
    replaced: wrong
      .filter(([name]) => labels[name] !== undefined && ![...before, ...written].includes(name))
      .map(([name]) => name),
  };
}

function namesIn(list: string): readonly string[] {
  return list.split(",").filter((name) => name !== "");
}
