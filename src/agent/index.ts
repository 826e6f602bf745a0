/** The agent of one GPU node: partition, sharing, kubelet and Kubernetes API put together. */
export { NodeAgent } from "./agent.ts";
export { configMapFile } from "./config-maps.ts";
export type { ReadHostFiles } from "./container-side.ts";
export { type DesiredState, desiredState, MIG_CONFIG_KEY, MIG_CONFIG_LABEL } from "./desired.ts";
export { machineTypeReader } from "./feature-labels.ts";
export { knownXids, QUIET_MS as XID_QUIET_MS, type Recovery, xidMeaning } from "./health/xid-table.ts";
export { hostFilesReader } from "./host-files.ts";
export type { InputValues } from "./inputs.ts";
export type { LastingText } from "./last-good.ts";
export type { ConfigChoice, ConfigSource } from "./local-inputs.ts";
export type { MpsMachine } from "./mps/mps-machine.ts";
export { systemMps } from "./mps/system-mps.ts";
export type { NodeAgentOptions } from "./options.ts";
export { PLUGIN_CONFIG_LABEL } from "./plugin-config.ts";
export type { AgentCounts, AgentStatus } from "./status.ts";
export { withNode } from "./with-node.ts";
