/** Containers, what they ask for and what became of them (k8s.io/api, core/v1/generated.proto). */
import type { MessageTexts } from "./message-text.ts";

export const containerMessages: MessageTexts = {
  Container: `
    1 name; 2 image; 3 command text[]; 4 args text[]; 5 workingDir; 6 ports ContainerPort[]; 7 env EnvVar[];
    8 resources ResourceRequirements; 9 volumeMounts VolumeMount[]; 10 livenessProbe Probe!; 11 readinessProbe Probe!;
    12 lifecycle Lifecycle!; 13 terminationMessagePath; 14 imagePullPolicy; 15 securityContext SecurityContext!;
    16 stdin bool; 17 stdinOnce bool; 18 tty bool; 19 envFrom EnvFromSource[]; 20 terminationMessagePolicy;
    21 volumeDevices VolumeDevice[]; 22 startupProbe Probe!; 23 resizePolicy ContainerResizePolicy[];
    24 restartPolicy text!; 25 restartPolicyRules ContainerRestartRule[]`,
  ContainerPort: "1 name; 2 hostPort int; 3 containerPort int; 4 protocol; 5 hostIP",
  EnvVar: "1 name; 2 value; 3 valueFrom EnvVarSource!",
  EnvVarSource: `
    1 fieldRef ObjectFieldSelector!; 2 resourceFieldRef ResourceFieldSelector!;
    3 configMapKeyRef ConfigMapKeySelector!; 4 secretKeyRef SecretKeySelector!; 5 fileKeyRef FileKeySelector!`,
  ConfigMapKeySelector: "1 inline LocalObjectReference; 2 key; 3 optional bool!",
  SecretKeySelector: "1 inline LocalObjectReference; 2 key; 3 optional bool!",
  FileKeySelector: "1 volumeName; 2 path; 3 key; 4 optional bool!",
  ResourceRequirements: "1 limits map quantity; 2 requests map quantity; 3 claims ResourceClaim[]",
  ResourceClaim: "1 name; 2 request",
  VolumeMount: `
    1 name; 2 readOnly bool; 3 mountPath; 4 subPath; 5 mountPropagation text!; 6 subPathExpr;
    7 recursiveReadOnly text!`,
  Probe: `
    1 inline ProbeHandler; 2 initialDelaySeconds int; 3 timeoutSeconds int; 4 periodSeconds int;
    5 successThreshold int; 6 failureThreshold int; 7 terminationGracePeriodSeconds int!`,
  ProbeHandler: "1 exec ExecAction!; 2 httpGet HTTPGetAction!; 3 tcpSocket TCPSocketAction!; 4 grpc GRPCAction!",
  ExecAction: "1 command text[]",
  HTTPGetAction: "1 path; 2 port intOrString; 3 host; 4 scheme; 5 httpHeaders HTTPHeader[]",
  HTTPHeader: "1 name; 2 value",
  TCPSocketAction: "1 port intOrString; 2 host",
  GRPCAction: "1 port int; 2 service text!",
  Lifecycle: "1 postStart LifecycleHandler!; 2 preStop LifecycleHandler!; 3 stopSignal text!",
  LifecycleHandler: "1 exec ExecAction!; 2 httpGet HTTPGetAction!; 3 tcpSocket TCPSocketAction!; 4 sleep SleepAction!",
  SleepAction: "1 seconds int",
  SecurityContext: `
    1 capabilities Capabilities!; 2 privileged bool!; 3 seLinuxOptions SELinuxOptions!; 4 runAsUser int!;
    5 runAsNonRoot bool!; 6 readOnlyRootFilesystem bool!; 7 allowPrivilegeEscalation bool!; 8 runAsGroup int!;
    9 procMount text!; 10 windowsOptions WindowsSecurityContextOptions!; 11 seccompProfile SeccompProfile!;
    12 appArmorProfile AppArmorProfile!`,
  Capabilities: "1 add text[]; 2 drop text[]",
  SELinuxOptions: "1 user; 2 role; 3 type; 4 level",
  WindowsSecurityContextOptions: `
    1 gmsaCredentialSpecName text!; 2 gmsaCredentialSpec text!; 3 runAsUserName text!; 4 hostProcess bool!`,
  SeccompProfile: "1 type; 2 localhostProfile text!",
  AppArmorProfile: "1 type; 2 localhostProfile text!",
  EnvFromSource: "1 prefix; 2 configMapRef ConfigMapEnvSource!; 3 secretRef SecretEnvSource!",
  ConfigMapEnvSource: "1 inline LocalObjectReference; 2 optional bool!",
  SecretEnvSource: "1 inline LocalObjectReference; 2 optional bool!",
  VolumeDevice: "1 name; 2 devicePath",
  ContainerResizePolicy: "1 resourceName; 2 restartPolicy",
  ContainerRestartRule: "1 action; 2 exitCodes ContainerRestartRuleOnExitCodes!",
  ContainerRestartRuleOnExitCodes: "1 operator; 2 values int[]",
  EphemeralContainer: "1 inline EphemeralContainerCommon; 2 targetContainerName",
  EphemeralContainerCommon: `
    1 name; 2 image; 3 command text[]; 4 args text[]; 5 workingDir; 6 ports ContainerPort[]; 7 env EnvVar[];
    8 resources ResourceRequirements; 9 volumeMounts VolumeMount[]; 10 livenessProbe Probe!; 11 readinessProbe Probe!;
    12 lifecycle Lifecycle!; 13 terminationMessagePath; 14 imagePullPolicy; 15 securityContext SecurityContext!;
    16 stdin bool; 17 stdinOnce bool; 18 tty bool; 19 envFrom EnvFromSource[]; 20 terminationMessagePolicy;
    21 volumeDevices VolumeDevice[]; 22 startupProbe Probe!; 23 resizePolicy ContainerResizePolicy[];
    24 restartPolicy text!; 25 restartPolicyRules ContainerRestartRule[]`,
  ContainerStatus: `
    1 name; 2 state ContainerState; 3 lastState ContainerState; 4 ready bool; 5 restartCount int; 6 image; 7 imageID;
    8 containerID; 9 started bool!; 10 allocatedResources map quantity; 11 resources ResourceRequirements!;
    12 volumeMounts VolumeMountStatus[]; 13 user ContainerUser!; 14 allocatedResourcesStatus ResourceStatus[];
    15 stopSignal text!`,
  ContainerState: `
    1 waiting ContainerStateWaiting!; 2 running ContainerStateRunning!; 3 terminated ContainerStateTerminated!`,
  ContainerStateWaiting: "1 reason; 2 message",
  ContainerStateRunning: "1 startedAt time",
  ContainerStateTerminated: `
    1 exitCode int; 2 signal int; 3 reason; 4 message; 5 startedAt time; 6 finishedAt time; 7 containerID`,
  VolumeMountStatus: "1 name; 2 mountPath; 3 readOnly bool; 4 recursiveReadOnly text!",
  ContainerUser: "1 linux LinuxContainerUser!",
  LinuxContainerUser: "1 uid int; 2 gid int; 3 supplementalGroups int[]",
  ResourceStatus: "1 name; 2 resources ResourceHealth[]",
  ResourceHealth: "1 resourceID; 2 health; 6 message text!",
};
