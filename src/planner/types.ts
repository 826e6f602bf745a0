/**
 * The words of choosing: nodes that can be cut, pods that wait, and what is chosen for whom.
 */

/** Amounts by resource name: CPUs, bytes, pods, devices. */
export type Amounts = Readonly<Record<string, number>>;

/** A node whose config may be chosen; callers hand in richer ones and get them back in their own functions. */
export interface PlannerNode {
  readonly name: string;
  /** The config it is already labelled with: such a node is left as it is. */
  readonly config: string | undefined;
  /** What it has of resources that no config changes, for example `cpu`, `memory`, `pods`. */
  readonly allocatable: Amounts;
  /** What pods on it hold, of every resource. A config that would offer less is not for this node. */
  readonly used: Amounts;
}

/** A pod that waits for a node. */
export interface PlannerPod {
  /** `namespace/name`. */
  readonly name: string;
  /** Zero amounts may be left out. */
  readonly requests: Amounts;
}

/** A named config; more is for the caller's functions to know. */
export interface PlannerConfig {
  readonly name: string;
}

export interface ChooseInput<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod> {
  readonly nodes: readonly N[];
  /** In file order, which decides between equals. */
  readonly configs: readonly C[];
  readonly pods: readonly P[];
  /**
   * What the node offers of each device resource under a config, and as it is now for `undefined`. No amounts mean that
   * the node cannot take this config, for example because a profile does not exist on its GPUs.
   */
  offersAfter(node: N, config: C | undefined): Amounts | undefined;
  /** Whether selectors, affinity and taints let the pod onto the node, whatever it offers. */
  mayRun(pod: P, node: N): boolean;
}

/** What was chosen for one node. */
export interface ConfigChoice<N extends PlannerNode, C extends PlannerConfig> {
  readonly node: N;
  /** `undefined`: the node stays as it is. */
  readonly config: C | undefined;
  readonly offers: Amounts;
  /** How many pending pods run in the whole cluster with all choices. */
  readonly podsWith: number;
  /** How many run when this one node stays as it is and all others follow their choice. */
  readonly podsWithout: number;
}

/** Why a pod runs under no choice, or not beside the others. */
export type Obstacle =
  | { readonly kind: "no-node"; readonly nodes: number }
  | { readonly kind: "not-offered"; readonly resource: string; readonly nodes: number }
  | { readonly kind: "too-large"; readonly resource: string; readonly wanted: number; readonly most: number }
  | { readonly kind: "no-node-with-all"; readonly nodes: number }
  | { readonly kind: "taken-by-others"; readonly nodes: number };

export interface ConfigPlan<N extends PlannerNode, C extends PlannerConfig, P extends PlannerPod> {
  /** One for each node, in the order given. */
  readonly choices: readonly ConfigChoice<N, C>[];
  /** Where each pod that runs could run. */
  readonly placements: readonly { readonly pod: P; readonly node: N }[];
  /** How many of the pending pods would run if nothing changed. */
  readonly podsNow: number;
  readonly waiting: readonly { readonly pod: P; readonly obstacle: Obstacle }[];
  /** Whether everything was tried; otherwise a better choice may exist. */
  readonly exact: boolean;
}
