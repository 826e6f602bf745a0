/** The embedded cluster: as much of Kubernetes as sharing GPUs needs, in one process. */
export type { LogOptions, ReadLogs } from "./api/context.ts";
export { type ApiServer, type ApiServerOptions, type ApiServerStats, startApiServer } from "./api/server.ts";
export { type KubeletOptions, KubeletStandIn } from "./kubelet/stand-in.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler/scheduler.ts";
