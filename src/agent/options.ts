/**
 * What an agent is told by whoever puts it into a process.
 */
import type { Clock, Finding, Logger } from "../base/index.ts";
import type { GpuDriver } from "../gpu/index.ts";
import type { KubeApi } from "../kube/index.ts";
import type { ReadHostFiles } from "./container-side.ts";
import type { FeatureLabelSettings } from "./feature-labels.ts";
import type { LastingText } from "./last-good.ts";
import type { LocalInputs } from "./local-inputs.ts";
import type { MpsMachine } from "./mps/mps-machine.ts";

export interface NodeAgentOptions {
  readonly node: string;
  readonly driver: GpuDriver;
  readonly api: KubeApi;
  /** The kubelet's root, `/var/lib/kubelet` on a node; its sockets are below it. */
  readonly kubeletRoot: string;
  /** Where `kubelet.sock` is and plugins have theirs; default `device-plugins` below the root. */
  readonly devicePluginDirectory?: string | undefined;
  /** Default `pod-resources/kubelet.sock` below the root. */
  readonly podResourcesSocket?: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells what the machine has for containers: device files, the driver's files. */
  readonly readHostFiles: ReadHostFiles;
  /** Where container runtimes look for CDI specs, `/var/run/cdi` on a node. */
  readonly cdiDirectory: string;
  /** Where the labels that tell what the GPUs are come from and go to. */
  readonly features: FeatureLabelSettings;
  /** Runs the control daemons of GPUs that are shared by MPS. */
  readonly mps: MpsMachine;
  /** The namespace whose ConfigMaps are read; default all. */
  readonly configNamespace?: string | undefined;
  /** Where the config in force outlives the agent. Default: nowhere. */
  readonly lastGood?: LastingText | undefined;
  /** What command line and files say, asked at every turn. Default: nothing. */
  readLocal?(): Promise<LocalInputs>;
  /** What is to be said of the agent's process, its driver and its locks. Default: nothing. */
  ownFindings?(): readonly Finding[];
  /** Called when a turn has ended. */
  onTurn?(): void;
}
