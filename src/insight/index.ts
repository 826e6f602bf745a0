/** Findings, reports and explanations made from what the API and the nodes' agents tell. */
export { distinctFindings } from "./distinct-findings.ts";
export { EXPOSITION_TYPE, expositionText, type Metric } from "./exposition.ts";
export {
  type FeatureLabels,
  type FeatureLabelsRequest,
  featureFileText,
  featureLabels,
  TIMESTAMP_LABEL,
} from "./feature-labels/feature-labels.ts";
export { FEATURE_LABELS_ANNOTATION, featureLabelPatch } from "./feature-labels/label-patch.ts";
export { podFindings } from "./pod-findings.ts";
export {
  buildReport,
  podName,
  type Report,
  type ReportGpu,
  type ReportInstance,
  type ReportNode,
  type ReportPod,
  type ReportShare,
} from "./report.ts";
export type { MigConfigState, NodeSnapshot } from "./snapshot.ts";
export type { Workload } from "./workload-findings.ts";
