/** The embedded cluster: as much of Kubernetes as sharing GPUs needs, in one process. */
export { builtInType } from "./api/built-in-type.ts";
export type { LogOptions, ReadLogs } from "./api/context.ts";
export { Journal, type JournalOptions, readKept } from "./api/journal.ts";
export {
  type ApiServer,
  type ApiServerOptions,
  type ApiServerStats,
  newServerIdentity,
  type ServerIdentity,
  startApiServer,
} from "./api/server.ts";
export type { KeptState } from "./api/store.ts";
export { humanDuration } from "./api/table.ts";
export { Controllers, type ControllersOptions } from "./controllers/controllers.ts";
export { logReader } from "./kubelet/logs.ts";
export type { WorkloadDriver } from "./kubelet/program.ts";
export type { GpuUse, LogLine } from "./kubelet/runtime.ts";
export { type ContainerRef, cdiDirectoryOf, type KubeletOptions, KubeletStandIn } from "./kubelet/stand-in.ts";
export { workloadAnnotations } from "./kubelet/workload.ts";
export { NodeLifecycle, type NodeLifecycleOptions } from "./node-lifecycle/node-lifecycle.ts";
export { ClusterState } from "./scheduler/cluster-state.ts";
export { type Decision, decide } from "./scheduler/pass.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler/scheduler.ts";
