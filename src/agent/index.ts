/** The agent of one GPU node: partition, sharing, kubelet and Kubernetes API put together. */
export { NodeAgent, type NodeAgentOptions } from "./agent.ts";
export {
  configMapFile,
  type DesiredState,
  desiredState,
  MIG_CONFIG_KEY,
  MIG_CONFIG_LABEL,
  PLUGIN_CONFIG_LABEL,
} from "./desired.ts";
export { knownXids, QUIET_MS as XID_QUIET_MS, type Recovery, type XidMeaning, xidMeaning } from "./health/xid-table.ts";
export type { InputValues } from "./inputs.ts";
export { withNode } from "./with-node.ts";
