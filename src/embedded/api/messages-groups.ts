/** Leases, classes, roles, reviews, webhooks and events (generated.proto of their groups in k8s.io/api). */
import type { MessageTexts } from "./message-text.ts";

export const groupMessages: MessageTexts = {
  Lease: "1 metadata ObjectMeta; 2 spec LeaseSpec",
  LeaseSpec: `
    1 holderIdentity text!; 2 leaseDurationSeconds int!; 3 acquireTime microtime; 4 renewTime microtime;
    5 leaseTransitions int!; 6 strategy text!; 7 preferredHolder text!`,
  PriorityClass: "1 metadata ObjectMeta; 2 value int!; 3 globalDefault bool; 4 description; 5 preemptionPolicy text!",
  RuntimeClass: "1 metadata ObjectMeta; 2 handler; 3 overhead Overhead!; 4 scheduling Scheduling!",
  Overhead: "1 podFixed map quantity",
  Scheduling: "1 nodeSelector map text; 2 tolerations Toleration[]",
  StorageClass: `
    1 metadata ObjectMeta; 2 provisioner; 3 parameters map text; 4 reclaimPolicy text!; 5 mountOptions text[];
    6 allowVolumeExpansion bool!; 7 volumeBindingMode text!; 8 allowedTopologies TopologySelectorTerm[]`,
  TopologySelectorTerm: "1 matchLabelExpressions TopologySelectorLabelRequirement[]",
  TopologySelectorLabelRequirement: "1 key; 2 values text[]",
  Role: "1 metadata ObjectMeta; 2 rules PolicyRule[]",
  PolicyRule: `
    1 verbs text[]; 2 apiGroups text[]; 3 resources text[]; 4 resourceNames text[]; 5 nonResourceURLs text[]`,
  RoleBinding: "1 metadata ObjectMeta; 2 subjects Subject[]; 3 roleRef RoleRef",
  Subject: "1 kind; 2 apiGroup; 3 name; 4 namespace",
  RoleRef: "1 apiGroup; 2 kind; 3 name",
  ClusterRole: "1 metadata ObjectMeta; 2 rules PolicyRule[]; 3 aggregationRule AggregationRule!",
  AggregationRule: "1 clusterRoleSelectors LabelSelector[]",
  ClusterRoleBinding: "1 metadata ObjectMeta; 2 subjects Subject[]; 3 roleRef RoleRef",
  SelfSubjectAccessReview: "1 metadata ObjectMeta; 2 spec SelfSubjectAccessReviewSpec; 3 status skip",
  SelfSubjectAccessReviewSpec: `
    1 resourceAttributes ResourceAttributes!; 2 nonResourceAttributes NonResourceAttributes!`,
  ResourceAttributes: `
    1 namespace; 2 verb; 3 group; 4 version; 5 resource; 6 subresource; 7 name;
    8 fieldSelector FieldSelectorAttributes!; 9 labelSelector LabelSelectorAttributes!`,
  FieldSelectorAttributes: "1 rawSelector; 2 requirements FieldSelectorRequirement[]",
  FieldSelectorRequirement: "1 key; 2 operator; 3 values text[]",
  LabelSelectorAttributes: "1 rawSelector; 2 requirements LabelSelectorRequirement[]",
  NonResourceAttributes: "1 path; 2 verb",
  SelfSubjectRulesReview: "1 metadata ObjectMeta; 2 spec SelfSubjectRulesReviewSpec; 3 status skip",
  SelfSubjectRulesReviewSpec: "1 namespace",
  SelfSubjectReview: "1 metadata ObjectMeta; 2 status skip",
  MutatingWebhookConfiguration: "1 metadata ObjectMeta; 2 webhooks MutatingWebhook[]",
  MutatingWebhook: `
    1 name; 2 clientConfig WebhookClientConfig; 3 rules RuleWithOperations[]; 4 failurePolicy text!;
    5 namespaceSelector LabelSelector!; 6 sideEffects text!; 7 timeoutSeconds int!; 8 admissionReviewVersions text[];
    9 matchPolicy text!; 10 reinvocationPolicy text!; 11 objectSelector LabelSelector!;
    12 matchConditions MatchCondition[]`,
  WebhookClientConfig: "1 service ServiceReference!; 2 caBundle bytes; 3 url text!",
  ServiceReference: "1 namespace; 2 name; 3 path text!; 4 port int!",
  RuleWithOperations: "1 operations text[]; 2 inline Rule",
  Rule: "1 apiGroups text[]; 2 apiVersions text[]; 3 resources text[]; 4 scope text!",
  MatchCondition: "1 name; 2 expression",
  ValidatingWebhookConfiguration: "1 metadata ObjectMeta; 2 webhooks ValidatingWebhook[]",
  ValidatingWebhook: `
    1 name; 2 clientConfig WebhookClientConfig; 3 rules RuleWithOperations[]; 4 failurePolicy text!;
    5 namespaceSelector LabelSelector!; 6 sideEffects text!; 7 timeoutSeconds int!; 8 admissionReviewVersions text[];
    9 matchPolicy text!; 10 objectSelector LabelSelector!; 11 matchConditions MatchCondition[]`,
  "events.k8s.io/Event": `
    1 metadata ObjectMeta; 2 eventTime microtime; 3 series EventSeries!; 4 reportingController; 5 reportingInstance;
    6 action; 7 reason; 8 regarding ObjectReference; 9 related ObjectReference!; 10 note; 11 type;
    12 deprecatedSource EventSource; 13 deprecatedFirstTimestamp time; 14 deprecatedLastTimestamp time;
    15 deprecatedCount int`,
};
