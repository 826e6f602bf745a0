/** Messages that all types share (apimachinery, pkg/apis/meta/v1/generated.proto). */
import type { MessageTexts } from "./message-text.ts";

export const metaMessages: MessageTexts = {
  ObjectMeta: `
    1 name; 2 generateName; 3 namespace; 4 selfLink skip; 5 uid; 6 resourceVersion; 7 generation int;
    8 creationTimestamp time; 9 deletionTimestamp time; 10 deletionGracePeriodSeconds int!; 11 labels map text;
    12 annotations map text; 13 ownerReferences OwnerReference[]; 14 finalizers text[];
    17 managedFields ManagedFieldsEntry[]`,
  OwnerReference: "1 kind; 3 name; 4 uid; 5 apiVersion; 6 controller bool!; 7 blockOwnerDeletion bool!",
  ManagedFieldsEntry: `
    1 manager; 2 operation; 3 apiVersion; 4 time time; 6 fieldsType; 7 fieldsV1 fieldsV1; 8 subresource`,
  LabelSelector: "1 matchLabels map text; 2 matchExpressions LabelSelectorRequirement[]",
  LabelSelectorRequirement: "1 key; 2 operator; 3 values text[]",
  DeleteOptions: `
    1 gracePeriodSeconds int!; 2 preconditions Preconditions!; 3 orphanDependents bool!; 4 propagationPolicy text!;
    5 dryRun text[]; 6 ignoreStoreReadErrorWithClusterBreakingPotential bool!`,
  Preconditions: "1 uid text!; 2 resourceVersion text!",
  Condition: "1 type; 2 status; 3 observedGeneration int; 4 lastTransitionTime time; 5 reason; 6 message",
};
