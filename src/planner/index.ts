/** Demand and fleet: which named config each node gets so that most pending pods run. */
export { chooseConfigs } from "./choose-configs.ts";
export type {
  Amounts,
  ChooseInput,
  ConfigChoice,
  ConfigPlan,
  Obstacle,
  PlannerConfig,
  PlannerNode,
  PlannerPod,
} from "./types.ts";
