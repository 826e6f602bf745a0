/**
 * Every finding Tranche can raise: its code, how grave it is, what it means and what to do about it in general.
 *
 * Codes are never reused for something else. `docs/findings.md` is generated from this table.
 */

export type Severity = "error" | "warning" | "info";

interface CodeEntry {
  readonly severity: Severity;
  /** What it means, in one or two full sentences; becomes the paragraph in `docs/findings.md`. */
  readonly meaning: string;
}

export const findingCodes = {
  // command line and environment
  "file-not-found": { severity: "error", meaning: "A file or directory named on the command line cannot be read." },
  "port-in-use": { severity: "error", meaning: "The port asked for is held by another program." },
  "state-dir-unusable": {
    severity: "error",
    meaning: "The state directory cannot be created, written or locked, or its path is too long for unix sockets.",
  },
  "journal-damaged": {
    severity: "error",
    meaning:
      "The journal of a state directory has a line that cannot be trusted, so nothing of it is used and nothing is started.",
  },
  "journal-newer": {
    severity: "error",
    meaning: "The journal of a state directory was written by a later version of Tranche, in a format not known here.",
  },
  "journal-cut-off": {
    severity: "info",
    meaning: "The last line of the journal was cut off when its process or machine died; that change is left out.",
  },
  "journal-not-written": {
    severity: "error",
    meaning:
      "The journal of the state directory cannot be written, so what changes from now on would be lost with the process. The cluster lives on and tries again.",
  },
  "journal-caught-up": {
    severity: "info",
    meaning: "The journal of the state directory could not be written for a while and now holds everything again.",
  },
  "machine-unreadable": {
    severity: "error",
    meaning:
      "The file that keeps a simulated machine in a state directory, its GPUs and how they are cut, cannot be read.",
  },
  "node-kept": {
    severity: "info",
    meaning: "A node of an earlier run is declared no more; it stays in the cluster as it was kept.",
  },
  "node-gpus-changed": {
    severity: "warning",
    meaning:
      "A node of an earlier run is declared with other GPUs now; what its pods held of the old ones is not there any more.",
  },
  "kubeconfig-refused": {
    severity: "error",
    meaning:
      "The kubeconfig cannot be written where `--kubeconfig` says, or a file that is not Tranche's own is there.",
  },
  "bad-node": { severity: "error", meaning: "A simulated node is described in a way that cannot be read." },
  "gpu-model-incomplete": {
    severity: "error",
    meaning: "A GPU model is known to support MIG, but its layout is not published, so it cannot be simulated.",
  },
  "unknown-gpu-model": { severity: "error", meaning: "No GPU of this name is in the catalogue." },
  "default-fleet": {
    severity: "info",
    meaning: "No node is declared, so `tranche up` simulates a small default fleet.",
  },
  "manifest-refused": { severity: "error", meaning: "The API server refuses a manifest." },
  "kind-not-served": {
    severity: "warning",
    meaning: "The embedded cluster does not serve this kind of object; the manifest is left out.",
  },
  "kind-not-run": {
    severity: "warning",
    meaning: "The embedded cluster stores this kind of object but has no controller that acts on it.",
  },
  "namespace-created": { severity: "info", meaning: "A namespace that manifests name but do not declare was created." },
  "mig-config-chosen": {
    severity: "info",
    meaning:
      "No node was labelled with a mig-parted config, so the one that lets most pods run was chosen for this node.",
  },
  "config-map-adopted": {
    severity: "info",
    meaning: "The manifests hold a config that no ClusterPolicy names; it is used as if the policy named it.",
  },
  "config-key-unread": {
    severity: "warning",
    meaning: "A ConfigMap holds MIG configs under a key other than `config.yaml`, which nobody reads.",
  },
  "cluster-not-listed": {
    severity: "warning",
    meaning:
      "A running cluster could not be put on the list of those that its user runs, so `tranche fault` does not find it by itself.",
  },
  "no-cluster-running": {
    severity: "error",
    meaning: "No `tranche up` of this user is running where the command looked for one.",
  },
  "several-clusters-running": {
    severity: "error",
    meaning: "Several `tranche up` of this user are running, and the command does not say which one it means.",
  },
  "control-failed": {
    severity: "error",
    meaning: "A running cluster did not answer on its control socket, or did not understand what it was asked.",
  },
  "no-such-node": { severity: "error", meaning: "The running cluster has no node of the name asked for." },
  "unknown-xid": {
    severity: "error",
    meaning: "NVIDIA's catalogue has no XID error of the number asked for that today's GPUs raise.",
  },
  "fault-refused": {
    severity: "error",
    meaning:
      "A fault cannot be caused now: one of its kind is in force already, none is in force that could be ended, or what it concerns is away.",
  },
  "not-settled": {
    severity: "error",
    meaning: "The cluster did not come to rest in time; the report shows how far it got.",
  },
  // config: reading files
  "yaml-syntax": { severity: "error", meaning: "A file is not well-formed YAML or JSON, so nothing in it is used." },
  "duplicate-key": { severity: "warning", meaning: "A mapping has the same key twice; the last one counts." },
  "ignored-document": {
    severity: "warning",
    meaning: "A configuration text holds several YAML documents; NVIDIA's readers and Tranche use the first one only.",
  },
  "ignored-key": {
    severity: "warning",
    meaning:
      "A key means nothing at its place. NVIDIA's reader ignores it silently, so a misspelt setting has no effect.",
  },
  "unexpected-field": { severity: "error", meaning: "A mig-parted file has a key that its format does not know." },
  "missing-field": { severity: "error", meaning: "A field that the format requires is not there." },
  "bad-value": {
    severity: "error",
    meaning: "A field has a value of the wrong type, or one that the format does not allow.",
  },
  "unknown-version": { severity: "error", meaning: "A configuration file does not say a version that is known, `v1`." },
  "not-a-manifest": {
    severity: "error",
    meaning:
      "A document is neither a Kubernetes object (apiVersion, kind, metadata.name) nor one of NVIDIA's configuration files.",
  },
  "bare-config-wrapped": {
    severity: "info",
    meaning:
      "A file holds a bare NVIDIA configuration instead of a Kubernetes object; it is used as a ConfigMap named after the file.",
  },
  // config: mig-parted
  "bad-mig-profile-name": { severity: "error", meaning: "A key of `mig-devices` is not written like a MIG profile." },
  "mig-name-not-canonical": {
    severity: "warning",
    meaning:
      "A MIG profile is written in a way the driver never reports back. NVIDIA's MIG manager would rebuild the GPU at every run; Tranche reads it as the canonical name.",
  },
  "mig-count-zero": {
    severity: "warning",
    meaning:
      "A MIG profile is asked for with count 0. It has no effect, but makes NVIDIA's MIG manager rebuild the GPU at every run.",
  },
  "mig-filter-unreadable": {
    severity: "warning",
    meaning: "A `device-filter` is not a PCI id such as `0x20B210DE` and therefore matches no GPU.",
  },
  "mig-filter-unmatched": {
    severity: "warning",
    meaning:
      "A `device-filter` matches no GPU of the node while some MIG-capable GPU of the node is left without an entry.",
  },
  "mig-entries-elsewhere": {
    severity: "info",
    meaning:
      "Entries of a named config are for other GPU models than those of the node, whose GPUs other entries cover.",
  },
  "mig-index-unused": {
    severity: "warning",
    meaning: "An index in `devices` names no GPU of the node, or names one twice; it has no effect.",
  },
  "mig-gpu-uncovered": {
    severity: "info",
    meaning: "No entry of the named config matches a MIG-capable GPU; it keeps the mode and the instances it has.",
  },
  "mig-entry-overridden": {
    severity: "info",
    meaning:
      "A later entry of the same named config matches the same GPU; the last one counts and only it is carried out.",
  },
  "mig-mode-conflict": {
    severity: "error",
    meaning:
      "Two entries of a named config match the same GPU, one with MIG on and one with MIG off. The GPU is left as it is.",
  },
  "mig-not-capable": {
    severity: "error",
    meaning: "An entry names a GPU by index and turns MIG on, but the GPU cannot do MIG.",
  },
  "mig-profile-unknown": {
    severity: "error",
    meaning: "A GPU has no MIG profile of the name asked for. The GPU is left as it is.",
  },
  "mig-too-many-instances": {
    severity: "error",
    meaning:
      "More MIG instances are asked for than the GPU can hold, however they are placed. The GPU is left as it is.",
  },
  "mig-config-missing": { severity: "error", meaning: "The mig-parted file has no config of the name asked for." },
  "mig-config-ambiguous": {
    severity: "error",
    meaning: "The mig-parted file has several named configs and none was chosen.",
  },
  // config: device plugin
  "bad-resource-name": {
    severity: "error",
    meaning:
      "A resource name is longer than 63 characters, or its part after `nvidia.com/` is not a lower-case DNS-1123 subdomain.",
  },
  "mps-hides-time-slicing": {
    severity: "warning",
    meaning: "A configuration has both `mps` and `timeSlicing`; MPS wins and time-slicing is not used.",
  },
  "duration-in-nanoseconds": {
    severity: "warning",
    meaning: "A duration is a bare number, which counts nanoseconds: `60` is 60 ns, a busy loop.",
  },
  "device-list-strategy-empty": {
    severity: "warning",
    meaning: "The list of device list strategies is empty, so containers are given devices but told of none.",
  },
  "resource-listed-twice": {
    severity: "warning",
    meaning: "A shared resource is listed twice for the same devices; the greater number of replicas counts.",
  },
  "beyond-device-plugin": {
    severity: "info",
    meaning:
      "A field is used that NVIDIA's device plugin reads and then ignores; Tranche honours it, so resource names or counts can differ from those of NVIDIA's plugin.",
  },
  "bad-environment": {
    severity: "error",
    meaning:
      "An environment variable of the device plugin has a value that cannot be used; NVIDIA's plugin would not start.",
  },
  "empty-environment": {
    severity: "warning",
    meaning:
      "An environment variable of the device plugin is set but empty; that counts as set and overrides the file.",
  },
  "flag-overridden": {
    severity: "info",
    meaning: "An environment variable overrides a different value in the device-plugin file.",
  },
  "plugin-config-missing": {
    severity: "error",
    meaning: "A node label or the default names a device-plugin config that the ConfigMap does not have.",
  },
  "plugin-config-unset": {
    severity: "error",
    meaning: "Nothing says which device-plugin config of the ConfigMap the node shall use.",
  },
  // config: ClusterPolicy
  "cluster-policy-incomplete": {
    severity: "warning",
    meaning: "A ClusterPolicy leaves out sections that its CRD requires; a real cluster would refuse it.",
  },

  // kube
  "kubeconfig-unusable": {
    severity: "error",
    meaning:
      "A kubeconfig does not say which API server to talk to, or how to prove who is asking, or does it in a way that is not supported.",
  },
  "selector-syntax": { severity: "error", meaning: "A label selector cannot be read." },
  // insight: pods
  "resource-not-offered": { severity: "warning", meaning: "A pod asks for a GPU resource that no node offers." },
  "pod-unschedulable": { severity: "warning", meaning: "A pod waits because no node has what it asks for free." },
  "pod-refused": {
    severity: "warning",
    meaning: "The kubelet refused a pod at admission. It stays failed; only a new pod is tried again.",
  },
  "out-of-memory": {
    severity: "warning",
    meaning: "A container asked for more GPU memory than was left, and the message names who held it.",
  },
  "pods-not-made": {
    severity: "warning",
    meaning: "The API server refused pods that a controller wanted to make of a workload; the message is the server's.",
  },
  "rollout-late": {
    severity: "warning",
    meaning:
      "A Deployment has made no progress for longer than its progressDeadlineSeconds, often because a new pod waits for a GPU that an old one holds.",
  },
  "job-failed": { severity: "warning", meaning: "A Job ended without the completions that it needs." },
  "container-failed": { severity: "warning", meaning: "A container ended with an error." },
  // partition
  "slice-in-use": {
    severity: "warning",
    meaning:
      "A pod holds a MIG device that is in the way of a change. The device stays, and the change goes on when the pod ends.",
  },
  "gpu-in-use": {
    severity: "warning",
    meaning: "A pod holds a whole GPU, or a share of it, that is to change its MIG mode. The change waits for the pod.",
  },
  "mig-reboot-needed": {
    severity: "warning",
    meaning: "A MIG mode is set but not in force, because the GPU cannot be reset. It applies when the node reboots.",
  },
  "mig-mode-pending": {
    severity: "warning",
    meaning:
      "A change of MIG mode that nobody wants any more is pending, and taking it back waits for the pods on the GPU. A reset or reboot before that would carry it out.",
  },
  "mig-geometry-unknown": {
    severity: "error",
    meaning: "It is not known how a GPU can be cut, so its layout is not planned and not touched.",
  },
  "mig-instances-unread": {
    severity: "error",
    meaning: "The driver does not tell this process what stands on a GPU in MIG mode, so its layout cannot be changed.",
  },
  "plan-outdated": {
    severity: "warning",
    meaning:
      "A GPU is no longer as it was when its change was planned. Nothing is done; the next plan starts from what is.",
  },
  "holders-unknown": {
    severity: "error",
    meaning: "It cannot be read who holds which device, so nothing is taken away and the change is broken off.",
  },
  "change-interrupted": {
    severity: "warning",
    meaning: "A change of layout was broken off from outside, for example because the agent was told to stop.",
  },
  "driver-call-failed": {
    severity: "error",
    meaning:
      "The GPU driver refused a step of a change. The message says which call, on which GPU, with which NVML code.",
  },
  "layout-not-verified": {
    severity: "error",
    meaning: "All steps of a change succeeded, but the driver lists another layout than the planned one.",
  },
  "layout-left-over": {
    severity: "error",
    meaning:
      "A change failed and so did the way back. The message says what stands on the GPU, and what of its old layout is missing.",
  },

  // gpu: the NVIDIA driver of this machine
  "nvml-library-missing": {
    severity: "error",
    meaning: "No NVML library (libnvidia-ml.so.1) is on this machine, so it has no NVIDIA driver for real GPUs.",
  },
  "nvml-library-unusable": {
    severity: "error",
    meaning: "A file that should be the NVML library cannot be loaded, is something else, or does not start.",
  },
  "nvidia-driver-not-loaded": {
    severity: "error",
    meaning: "The NVML library is there, but the NVIDIA kernel driver is not loaded or not ready yet.",
  },
  "nvidia-driver-mismatch": {
    severity: "error",
    meaning:
      "The NVML library and the loaded kernel driver are of different versions, as after an update without a reboot.",
  },
  "nvml-no-permission": {
    severity: "warning",
    meaning: "This process lacks the rights for some NVML calls. What it may read is shown, the rest is left out.",
  },
  "nvml-functions-missing": {
    severity: "info",
    meaning: "The NVML library is older than some functions; the message says what is done without them.",
  },
  "gpu-lost": {
    severity: "error",
    meaning: "A GPU has fallen off the bus and answers no call until the node reboots. It is left out of all lists.",
  },
  "gpu-unreadable": {
    severity: "warning",
    meaning: "The driver counts a GPU that this process cannot open. It is left out of all lists.",
  },
  "gpu-not-in-catalogue": {
    severity: "info",
    meaning: "The catalogue does not know the model of a GPU. What the driver tells of it is used.",
  },
  "mig-profiles-disagree": {
    severity: "warning",
    meaning: "A GPU can be cut otherwise than the catalogue says of its model. The GPU counts.",
  },

  // cli: MIG layouts of this machine
  "simulated-gpus-unreadable": {
    severity: "error",
    meaning: "The file that keeps the simulated GPUs of this machine between commands cannot be read.",
  },
  "mig-journal-unreadable": {
    severity: "error",
    meaning:
      "The journal of MIG changes on this machine cannot be read, so nobody can tell whether one was broken off.",
  },
  "mig-change-running": { severity: "error", meaning: "Another process changes MIG layouts of this machine." },
  "mig-change-unfinished": {
    severity: "warning",
    meaning: "A change of MIG layouts was broken off, for example because its process was killed.",
  },
  "mig-change-refused": {
    severity: "error",
    meaning: "A change of MIG layouts was not begun, for the reasons told beside it.",
  },
  "gpus-unreadable": {
    severity: "error",
    meaning: "A command is about every GPU of the machine, but some of them cannot be read.",
  },
  "mig-config-not-applied": { severity: "error", meaning: "What stands on the GPUs is not what the config says." },
  "mig-nothing-to-roll-back": {
    severity: "error",
    meaning: "The journal knows of no change of MIG layouts, so there is nothing to go back to.",
  },
  "no-gpus": { severity: "warning", meaning: "The driver answers, but lists no GPU on this machine." },
  "no-such-gpu": { severity: "error", meaning: "No GPU of the machine has the index, UUID or PCI bus id asked for." },
  "hook-failed": { severity: "error", meaning: "A command of a hooks file could not be run or ended with an error." },
  // agent
  "mps-daemon-down": {
    severity: "error",
    meaning:
      "The MPS control daemon of a GPU does not start, has ended, or does not answer. It is started again by itself; until it works no pod is given a share of the GPU.",
  },
  "mps-waits": {
    severity: "warning",
    meaning:
      "A GPU is to be shared by MPS and pods hold it that do not use MPS, which would keep the MPS server from it. Its shares are given out when those pods have ended.",
  },
  "mps-daemon-held": {
    severity: "warning",
    meaning:
      "A GPU is not to be shared by MPS any more and pods still hold shares of it. Its daemon runs on for them, and no other pod is given the GPU before they have ended.",
  },
  "feature-labels-several-models": {
    severity: "info",
    meaning:
      "A node has GPUs of several models and its labels `nvidia.com/gpu.*` can tell of one only: that which it has most of, whole GPUs before those that are cut.",
  },
  "feature-label-altered": {
    severity: "info",
    meaning:
      "The value of a feature label is too long or ends with a sign, so Kubernetes would refuse it; it is shortened to what Kubernetes takes.",
  },
  "feature-labels-of-nfd": {
    severity: "warning",
    meaning:
      "Node Feature Discovery already writes feature labels of GPUs on the node, so somebody else finds them out as well; these labels are left to it.",
  },
  "feature-file-not-written": {
    severity: "error",
    meaning: "The file through which Node Feature Discovery gets the feature labels of GPUs cannot be written.",
  },
  "gpu-gone": { severity: "error", meaning: "The driver no longer lists a GPU that a config is about." },
  "kubelet-behind": {
    severity: "warning",
    meaning:
      "The kubelet does not show the devices it was sent, or not yet what a pod holds, so nothing that depends on it is done and no success is reported.",
  },
  "kubelet-unreachable": {
    severity: "error",
    meaning: "The kubelet's sockets do not answer, so nobody can tell who holds what; nothing is changed meanwhile.",
  },
  "driver-unreachable": { severity: "error", meaning: "A call to the GPU driver failed." },
  "gpu-unhealthy": {
    severity: "error",
    meaning:
      "A GPU, or some MIG devices of one, raised an XID error that counts, or the driver no longer lists the GPU. Its devices are not given to pods, and its layout is not changed, until the rule for that error says that it is healthy again.",
  },
  "gpu-health-unwatched": {
    severity: "warning",
    meaning: "The driver's XID events cannot be followed, so a GPU that fails now is noticed late or not at all.",
  },
  "api-unreachable": { severity: "error", meaning: "The Kubernetes API does not answer or refuses a call." },
  "cluster-policy-ignored": {
    severity: "warning",
    meaning: "Only the oldest ClusterPolicy counts; this one is ignored.",
  },
  "config-map-missing": {
    severity: "error",
    meaning: "The ClusterPolicy names a ConfigMap, or expects a key in it, that is not there.",
  },
  // kubelet
  "device-list-too-long": {
    severity: "warning",
    meaning:
      "The list of a resource's devices is close to or over the 4 MiB the kubelet takes in one message. Devices over the limit are not offered.",
  },
  "shares-over-held": {
    severity: "warning",
    meaning:
      "Pods hold more shares of a resource than a changed config offers. They run on; no other pod gets a share until enough of them have ended.",
  },
  "device-held-elsewhere": {
    severity: "warning",
    meaning:
      "Pods hold devices under a resource name under which a changed config does not offer them any more. They run on; each takes the place of a device under the new name until it ends.",
  },
  "second-agent": {
    severity: "error",
    meaning:
      "Another agent works on the same node, found by its lock in the state directory or the kubelet's plugin directory; two would cut the same GPUs.",
  },
  "agent-runs": {
    severity: "error",
    meaning:
      "A command that would change the GPUs of a node found an agent at work there, which gives what is free to pods at any moment; nothing is changed.",
  },
  "no-kubernetes-api": {
    severity: "warning",
    meaning:
      "The agent runs without a Kubernetes API: the config comes from its command line alone, no GPU is cut, and neither labels nor events are written.",
  },
  "setting-without-effect": {
    severity: "warning",
    meaning: "An option, variable or field of NVIDIA's daemons is accepted and does nothing here.",
  },
  "second-device-plugin": {
    severity: "error",
    meaning:
      "Another device plugin of this node serves or registers a resource that the agent offers, NVIDIA's own for example. The kubelet listens to one of them only, so pods would get devices that the other one knows nothing of.",
  },
  "kubelet-not-registered": {
    severity: "warning",
    meaning:
      "A resource is not registered with the kubelet of its node, so pods that ask for it cannot run there. Tranche goes on trying.",
  },
  // embedded: kubelet stand-in
  "bad-workload-annotation": {
    severity: "error",
    meaning: "A `tranche.dev/…` annotation that tells what a simulated container does has a value that cannot be read.",
  },

  // sharing
  "mig-gpu-not-offered": {
    severity: "warning",
    meaning:
      "A GPU is in MIG mode while the MIG strategy is none. No pod could use it as a whole, so it is not offered.",
  },
  "mig-gpu-empty": {
    severity: "warning",
    meaning: "A GPU is in MIG mode and has no MIG device. It contributes nothing to what the node offers.",
  },
  "single-strategy-conflict": {
    severity: "error",
    meaning:
      "MIG strategy single has one resource name for the whole node, and the node's devices are too different for it. What cannot be told apart by the name is not offered.",
  },
  "compute-instance-not-offered": {
    severity: "warning",
    meaning:
      "A compute instance is narrower than its GPU instance. MIG strategy mixed has no resource name for it, so it is not offered.",
  },
  "resource-pattern-unmatched": {
    severity: "warning",
    meaning:
      "The configuration names resources by patterns and none of them matches a device. It keeps its default name.",
  },
  "resource-name-too-long": {
    severity: "warning",
    meaning:
      "A resource name is longer than the 63 characters NVIDIA allows. Beyond what Kubernetes takes it is not offered.",
  },
  "device-id-too-long": {
    severity: "warning",
    meaning: "A device id is longer than the 63 characters the device plugin API documents.",
  },
  "shared-resource-absent": {
    severity: "info",
    meaning: "The configuration shares a resource that the node does not have. Nothing is shared under that name.",
  },
  "shared-device-absent": {
    severity: "warning",
    meaning:
      "The configuration shares devices, by index, UUID or number, that the resource does not have on this node.",
  },
  "device-shared-twice": {
    severity: "warning",
    meaning:
      "The configuration shares the same device more than once. Under one name the larger number of replicas counts; under two names both take from the same device.",
  },
  "mps-not-possible": {
    severity: "error",
    meaning:
      "The configuration shares devices by MPS that cannot be shared so. They stay unshared under their plain name.",
  },
  "mps-client-limit": {
    severity: "warning",
    meaning:
      "The configuration asks for more MPS shares of a device than MPS serves clients there, 48 on a whole GPU and fewer on a MIG device. The limit is offered.",
  },
  "mig-capability-unknown": {
    severity: "warning",
    meaning:
      "Device nodes are to be passed to containers, or described in CDI specs, and those of a MIG device are not known. By device specs a container gets the device without its capability nodes, by CDI it is not given to pods.",
  },
  "cdi-specs-not-written": {
    severity: "error",
    meaning:
      "The files that describe the node's devices to container runtimes cannot be written. A device that no file describes is not given to pods, whose containers could not start.",
  },
  "imex-channel-missing": {
    severity: "error",
    meaning:
      "The device-plugin config requires an IMEX channel whose device file does not exist on the node, so no device of the node is given to pods.",
  },
  "imex-channel-skipped": {
    severity: "warning",
    meaning:
      "The device-plugin config names an IMEX channel whose device file does not exist on the node. Pods get their devices without the channel.",
  },
  "shares-of-one-gpu": {
    severity: "info",
    meaning:
      "A container holds several shares of the same device. They are one visible device to it and give no more compute than one share.",
  },
} as const satisfies Record<string, CodeEntry>;

export type FindingCode = keyof typeof findingCodes;
