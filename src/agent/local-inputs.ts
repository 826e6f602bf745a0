/**
 * What the machine itself says beside the Kubernetes API: the agent's command line and environment, and config files.
 */

/** Which of several configs the node uses (NVIDIA k8s-device-plugin cmd/config-manager/main.go). */
export interface ConfigChoice {
  /** The node label that names the config. */
  readonly label: string;
  /** The config of a node without the label; empty for none. */
  readonly defaultName: string;
  /** `named`, `single`, `empty`: what to try in order when neither names one. */
  readonly fallback: readonly string[];
}

/** Where the node's device-plugin config comes from. */
export type ConfigSource =
  /** The ConfigMap that the ClusterPolicy names, if it names one. */
  | { readonly kind: "policy" }
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  /** A directory with one config a file, as a ConfigMap is mounted. */
  | {
      readonly kind: "directory";
      readonly path: string;
      readonly texts: ReadonlyMap<string, string>;
      readonly choice: ConfigChoice;
    }
  | {
      readonly kind: "config-map";
      /** `undefined` takes one of that name wherever it is, the operator's namespace first. */
      readonly namespace: string | undefined;
      readonly name: string;
      readonly choice: ConfigChoice;
    }
  | { readonly kind: "unreadable"; readonly path: string; readonly reason: string };

export interface LocalInputs {
  /**
   * Options of the command line by their names (`--mig-strategy`) and environment variables by theirs; they overrule
   * ClusterPolicy and config.
   */
  readonly settings: ReadonlyMap<string, string>;
  readonly configs: ConfigSource;
}

/** An agent that is told nothing but what the API says. */
export const noLocalInputs: LocalInputs = { settings: new Map(), configs: { kind: "policy" } };
