/** Changes of MIG layout: from what stands and what is wanted to a plan, and from the plan to verified steps. */
export { type ExecuteOptions, executePlan } from "./execute.ts";
export { type PlanRequest, planGpu } from "./plan.ts";
export {
  isRecordedLayout,
  type PlanBackRequest,
  planBack,
  type RecordedInstance,
  type RecordedLayout,
  recordedText,
  recordLayout,
} from "./recorded.ts";
export { geometryOf, type Holders } from "./situation.ts";
export { planText, stepText } from "./text.ts";
export type { Blocker, Execution, PartitionPlan, PlannedInstance, Step } from "./types.ts";
