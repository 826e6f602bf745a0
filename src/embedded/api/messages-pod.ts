/** Pods, where they may run and what became of them (k8s.io/api, core/v1/generated.proto). */
import type { MessageTexts } from "./message-text.ts";

export const podMessages: MessageTexts = {
  Pod: "1 metadata ObjectMeta; 2 spec PodSpec; 3 status PodStatus",
  PodSpec: `
    1 volumes Volume[]; 2 containers Container[]; 3 restartPolicy; 4 terminationGracePeriodSeconds int!;
    5 activeDeadlineSeconds int!; 6 dnsPolicy; 7 nodeSelector map text; 8 serviceAccountName; 9 serviceAccount;
    10 nodeName; 11 hostNetwork bool; 12 hostPID bool; 13 hostIPC bool; 14 securityContext PodSecurityContext!;
    15 imagePullSecrets LocalObjectReference[]; 16 hostname; 17 subdomain; 18 affinity Affinity!; 19 schedulerName;
    20 initContainers Container[]; 21 automountServiceAccountToken bool!; 22 tolerations Toleration[];
    23 hostAliases HostAlias[]; 24 priorityClassName; 25 priority int!; 26 dnsConfig PodDNSConfig!;
    27 shareProcessNamespace bool!; 28 readinessGates PodReadinessGate[]; 29 runtimeClassName text!;
    30 enableServiceLinks bool!; 31 preemptionPolicy text!; 32 overhead map quantity;
    33 topologySpreadConstraints TopologySpreadConstraint[]; 34 ephemeralContainers EphemeralContainer[];
    35 setHostnameAsFQDN bool!; 36 os PodOS!; 37 hostUsers bool!; 38 schedulingGates PodSchedulingGate[];
    39 resourceClaims PodResourceClaim[]; 40 resources ResourceRequirements!; 41 hostnameOverride text!`,
  PodSecurityContext: `
    1 seLinuxOptions SELinuxOptions!; 2 runAsUser int!; 3 runAsNonRoot bool!; 4 supplementalGroups int[];
    5 fsGroup int!; 6 runAsGroup int!; 7 sysctls Sysctl[]; 8 windowsOptions WindowsSecurityContextOptions!;
    9 fsGroupChangePolicy text!; 10 seccompProfile SeccompProfile!; 11 appArmorProfile AppArmorProfile!;
    12 supplementalGroupsPolicy text!; 13 seLinuxChangePolicy text!`,
  Sysctl: "1 name; 2 value",
  Affinity: "1 nodeAffinity NodeAffinity!; 2 podAffinity PodAffinity!; 3 podAntiAffinity PodAntiAffinity!",
  NodeAffinity: `
    1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector!;
    2 preferredDuringSchedulingIgnoredDuringExecution PreferredSchedulingTerm[]`,
  NodeSelector: "1 nodeSelectorTerms NodeSelectorTerm[]",
  NodeSelectorTerm: "1 matchExpressions NodeSelectorRequirement[]; 2 matchFields NodeSelectorRequirement[]",
  NodeSelectorRequirement: "1 key; 2 operator; 3 values text[]",
  PreferredSchedulingTerm: "1 weight int; 2 preference NodeSelectorTerm",
  PodAffinity: `
    1 requiredDuringSchedulingIgnoredDuringExecution PodAffinityTerm[];
    2 preferredDuringSchedulingIgnoredDuringExecution WeightedPodAffinityTerm[]`,
  PodAffinityTerm: `
    1 labelSelector LabelSelector!; 2 namespaces text[]; 3 topologyKey; 4 namespaceSelector LabelSelector!;
    5 matchLabelKeys text[]; 6 mismatchLabelKeys text[]`,
  WeightedPodAffinityTerm: "1 weight int; 2 podAffinityTerm PodAffinityTerm",
  PodAntiAffinity: `
    1 requiredDuringSchedulingIgnoredDuringExecution PodAffinityTerm[];
    2 preferredDuringSchedulingIgnoredDuringExecution WeightedPodAffinityTerm[]`,
  Toleration: "1 key; 2 operator; 3 value; 4 effect; 5 tolerationSeconds int!",
  HostAlias: "1 ip; 2 hostnames text[]",
  PodDNSConfig: "1 nameservers text[]; 2 searches text[]; 3 options PodDNSConfigOption[]",
  PodDNSConfigOption: "1 name; 2 value text!",
  PodReadinessGate: "1 conditionType",
  TopologySpreadConstraint: `
    1 maxSkew int; 2 topologyKey; 3 whenUnsatisfiable; 4 labelSelector LabelSelector!; 5 minDomains int!;
    6 nodeAffinityPolicy text!; 7 nodeTaintsPolicy text!; 8 matchLabelKeys text[]`,
  PodOS: "1 name",
  PodSchedulingGate: "1 name",
  PodResourceClaim: "1 name; 3 resourceClaimName text!; 4 resourceClaimTemplateName text!",
  PodStatus: `
    1 phase; 2 conditions PodCondition[]; 3 message; 4 reason; 5 hostIP; 6 podIP; 7 startTime time;
    8 containerStatuses ContainerStatus[]; 9 qosClass; 10 initContainerStatuses ContainerStatus[];
    11 nominatedNodeName; 12 podIPs PodIP[]; 13 ephemeralContainerStatuses ContainerStatus[]; 14 resize;
    15 resourceClaimStatuses PodResourceClaimStatus[]; 16 hostIPs HostIP[]; 17 observedGeneration int;
    18 extendedResourceClaimStatus PodExtendedResourceClaimStatus!; 19 allocatedResources map quantity;
    20 resources ResourceRequirements!`,
  PodCondition: `
    1 type; 2 status; 3 lastProbeTime time; 4 lastTransitionTime time; 5 reason; 6 message; 7 observedGeneration int`,
  PodIP: "1 ip",
  PodResourceClaimStatus: "1 name; 2 resourceClaimName text!",
  HostIP: "1 ip",
  PodExtendedResourceClaimStatus: "1 requestMappings ContainerExtendedResourceRequest[]; 2 resourceClaimName",
  ContainerExtendedResourceRequest: "1 containerName; 2 resourceName; 3 requestName",
  PodTemplateSpec: "1 metadata ObjectMeta; 2 spec PodSpec",
  Binding: "1 metadata ObjectMeta; 2 target ObjectReference",
  ObjectReference: "1 kind; 2 namespace; 3 name; 4 uid; 5 apiVersion; 6 resourceVersion; 7 fieldPath",
};
