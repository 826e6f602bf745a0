/** The other types of the core group (k8s.io/api, core/v1/generated.proto). */
import type { MessageTexts } from "./message-text.ts";

export const coreMessages: MessageTexts = {
  ConfigMap: "1 metadata ObjectMeta; 2 data map text; 3 binaryData map bytes; 4 immutable bool!",
  Secret: "1 metadata ObjectMeta; 2 data map bytes; 3 type; 4 stringData map text; 5 immutable bool!",
  Namespace: "1 metadata ObjectMeta; 2 spec NamespaceSpec; 3 status NamespaceStatus",
  NamespaceSpec: "1 finalizers text[]",
  NamespaceStatus: "1 phase; 2 conditions NamespaceCondition[]",
  NamespaceCondition: "1 type; 2 status; 4 lastTransitionTime time; 5 reason; 6 message",
  Node: "1 metadata ObjectMeta; 2 spec NodeSpec; 3 status NodeStatus",
  NodeSpec: `
    1 podCIDR; 2 externalID; 3 providerID; 4 unschedulable bool; 5 taints Taint[]; 6 configSource open;
    7 podCIDRs text[]`,
  Taint: "1 key; 2 value; 3 effect; 4 timeAdded time",
  NodeStatus: `
    1 capacity map quantity; 2 allocatable map quantity; 3 phase; 4 conditions NodeCondition[];
    5 addresses NodeAddress[]; 6 daemonEndpoints NodeDaemonEndpoints; 7 nodeInfo NodeSystemInfo;
    8 images ContainerImage[]; 9 volumesInUse text[]; 10 volumesAttached AttachedVolume[]; 11 config open;
    12 runtimeHandlers NodeRuntimeHandler[]; 13 features NodeFeatures!; 14 declaredFeatures text[]`,
  NodeCondition: "1 type; 2 status; 3 lastHeartbeatTime time; 4 lastTransitionTime time; 5 reason; 6 message",
  NodeAddress: "1 type; 2 address",
  NodeDaemonEndpoints: "1 kubeletEndpoint DaemonEndpoint",
  DaemonEndpoint: "1 Port int",
  NodeSystemInfo: `
    1 machineID; 2 systemUUID; 3 bootID; 4 kernelVersion; 5 osImage; 6 containerRuntimeVersion; 7 kubeletVersion;
    8 kubeProxyVersion; 9 operatingSystem; 10 architecture; 11 swap NodeSwapStatus!`,
  NodeSwapStatus: "1 capacity int!",
  ContainerImage: "1 names text[]; 2 sizeBytes int",
  AttachedVolume: "1 name; 2 devicePath",
  NodeRuntimeHandler: "1 name; 2 features NodeRuntimeHandlerFeatures!",
  NodeRuntimeHandlerFeatures: "1 recursiveReadOnlyMounts bool!; 2 userNamespaces bool!",
  NodeFeatures: "1 supplementalGroupsPolicy bool!",
  Service: "1 metadata ObjectMeta; 2 spec ServiceSpec; 3 status ServiceStatus",
  ServiceSpec: `
    1 ports ServicePort[]; 2 selector map text; 3 clusterIP; 4 type; 5 externalIPs text[]; 7 sessionAffinity;
    8 loadBalancerIP; 9 loadBalancerSourceRanges text[]; 10 externalName; 11 externalTrafficPolicy;
    12 healthCheckNodePort int; 13 publishNotReadyAddresses bool; 14 sessionAffinityConfig SessionAffinityConfig!;
    17 ipFamilyPolicy text!; 18 clusterIPs text[]; 19 ipFamilies text[]; 20 allocateLoadBalancerNodePorts bool!;
    21 loadBalancerClass text!; 22 internalTrafficPolicy text!; 23 trafficDistribution text!`,
  ServicePort: "1 name; 2 protocol; 3 port int; 4 targetPort intOrString; 5 nodePort int; 6 appProtocol text!",
  SessionAffinityConfig: "1 clientIP ClientIPConfig!",
  ClientIPConfig: "1 timeoutSeconds int!",
  ServiceStatus: "1 loadBalancer LoadBalancerStatus; 2 conditions Condition[]",
  LoadBalancerStatus: "1 ingress LoadBalancerIngress[]",
  LoadBalancerIngress: "1 ip; 2 hostname; 3 ipMode text!; 4 ports PortStatus[]",
  PortStatus: "1 port int; 2 protocol; 3 error text!",
  Endpoints: "1 metadata ObjectMeta; 2 subsets EndpointSubset[]",
  EndpointSubset: "1 addresses EndpointAddress[]; 2 notReadyAddresses EndpointAddress[]; 3 ports EndpointPort[]",
  EndpointAddress: "1 ip; 2 targetRef ObjectReference!; 3 hostname; 4 nodeName text!",
  EndpointPort: "1 name; 2 port int; 3 protocol; 4 appProtocol text!",
  ServiceAccount: `
    1 metadata ObjectMeta; 2 secrets ObjectReference[]; 3 imagePullSecrets LocalObjectReference[];
    4 automountServiceAccountToken bool!`,
  LimitRange: "1 metadata ObjectMeta; 2 spec LimitRangeSpec",
  LimitRangeSpec: "1 limits LimitRangeItem[]",
  LimitRangeItem: `
    1 type; 2 max map quantity; 3 min map quantity; 4 default map quantity; 5 defaultRequest map quantity;
    6 maxLimitRequestRatio map quantity`,
  ResourceQuota: "1 metadata ObjectMeta; 2 spec ResourceQuotaSpec; 3 status ResourceQuotaStatus",
  ResourceQuotaSpec: "1 hard map quantity; 2 scopes text[]; 3 scopeSelector ScopeSelector!",
  ScopeSelector: "1 matchExpressions ScopedResourceSelectorRequirement[]",
  ScopedResourceSelectorRequirement: "1 scopeName; 2 operator; 3 values text[]",
  ResourceQuotaStatus: "1 hard map quantity; 2 used map quantity",
  Event: `
    1 metadata ObjectMeta; 2 involvedObject ObjectReference; 3 reason; 4 message; 5 source EventSource;
    6 firstTimestamp time; 7 lastTimestamp time; 8 count int; 9 type; 10 eventTime microtime; 11 series EventSeries!;
    12 action; 13 related ObjectReference!; 14 reportingComponent; 15 reportingInstance`,
  EventSource: "1 component; 2 host",
  EventSeries: "1 count int; 2 lastObservedTime microtime",
};
