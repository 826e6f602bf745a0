/** What a container sees, from what plugins answered; and the kubelet's own check of a pod against its node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { injectedEdits } from "../../src/embedded/kubelet/cdi-injection.ts";
import { nodeRejection } from "../../src/embedded/kubelet/node-fit.ts";
import { isExtendedResourceName } from "../../src/embedded/kubelet/resource-names.ts";
import {
  cdiNames,
  mergeAnswers,
  requestedDevices,
  resolveDevices,
} from "../../src/embedded/kubelet/visible-devices.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import type { Node, Pod } from "../../src/kube/index.ts";
import type { AllocateAnswer } from "../../src/sharing/index.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { describeDevices } from "./support/cdi.ts";

const noAnswer: AllocateAnswer = { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices: [] };
const mountRoot = "/var/run/nvidia-container-devices";
const cdi = "k8s.device-plugin.nvidia.com/gpu";
const cannotInject = "CreateContainerError: failed to create containerd container: CDI device injection failed:";

/** Two T4s and an A100 cut into a 3g at 4 and two 1g at 0 and 1. */
async function driverWithSlices(): Promise<SimulatedDriver> {
  const [t4, a100] = [modelById("t4-16gb"), modelById("a100-sxm4-40gb")];
  assert.ok(t4 !== undefined && a100 !== undefined);
  const driver = new SimulatedDriver({ seed: "node-a", models: [t4, t4, a100] });
  const gpu = (await driver.list())[2];
  assert.ok(gpu !== undefined);
  await driver.setMigMode(gpu.uuid, true);
  await driver.resetGpu(gpu.uuid);
  for (const [name, start] of [
    ["3g.20gb", 4],
    ["1g.5gb", 0],
    ["1g.5gb", 1],
  ] as const) {
    const profile = gpu.profiles.find((one) => one.name === name);
    assert.ok(profile !== undefined);
    const instance = await driver.createGpuInstance(gpu.uuid, profile.smiProfileId, {
      start,
      size: profile.memorySlices,
    });
    const whole = profile.computeInstanceProfiles.at(-1);
    assert.ok(whole !== undefined);
    await driver.createComputeInstance(gpu.uuid, instance.id, whole.smiProfileId);
  }
  return driver;
}

const gpus = await (await driverWithSlices()).list();
const t4 = gpus[0]?.uuid ?? "";
const otherT4 = gpus[1]?.uuid ?? "";
const parent = gpus[2]?.uuid ?? "";
const slice = gpus[2]?.instances.find((one) => one.profile.name === "3g.20gb")?.computeInstances[0];
const sliceUuid = slice?.uuid ?? "";
const mount = (id: string) => ({ containerPath: `${mountRoot}/${id}`, hostPath: "/dev/null", readOnly: false });
const visible = (value: string): Partial<AllocateAnswer> => ({ envs: { NVIDIA_VISIBLE_DEVICES: value } });

const rows: readonly { name: string; answer: Partial<AllocateAnswer>; env?: string; want: string }[] = [
  { name: "nothing answered, nothing seen", answer: {}, want: "" },
  { name: "a UUID in the environment", answer: visible(t4), want: "GPU 0" },
  { name: "several UUIDs keep their order", answer: visible(`${sliceUuid},${t4}`), want: "GPU 2 3g.20gb@4, GPU 0" },
  { name: "an index in the environment", answer: visible("1"), want: "GPU 1" },
  { name: "the index of a MIG device", answer: visible(`2:${slice?.migIndex}`), want: "GPU 2 3g.20gb@4" },
  {
    name: "all stands for whole GPUs and for the parts of cut ones",
    answer: visible("all"),
    want: "GPU 0, GPU 1, GPU 2 1g.5gb@0, GPU 2 1g.5gb@1, GPU 2 3g.20gb@4",
  },
  { name: "a GPU that is cut can be seen, if not used", answer: visible(parent), want: "GPU 2" },
  { name: "void hides everything", answer: visible("void"), want: "" },
  {
    name: "mounts name the devices when the environment points there",
    answer: { ...visible(mountRoot), mounts: [mount(t4), mount("imex/0")] },
    want: "GPU 0",
  },
  { name: "mounts alone say nothing", answer: { mounts: [mount(t4)] }, want: "" },
  {
    name: "CDI names in the request",
    answer: { cdiDevices: [`${cdi}=${sliceUuid}`] },
    want: "GPU 2 3g.20gb@4",
  },
  {
    name: "CDI names in an annotation",
    answer: { annotations: { "cdi.k8s.io/nvidia-device-plugin_1": `${cdi}=${t4},${cdi}=${otherT4}` } },
    want: "GPU 0, GPU 1",
  },
  {
    name: "the operator's annotation prefix counts too",
    answer: { annotations: { "nvidia.cdi.k8s.io/x": `${cdi}=${t4}` } },
    want: "GPU 0",
  },
  {
    name: "the same device by two ways is one",
    answer: { ...visible(t4), cdiDevices: [`${cdi}=${t4}`] },
    want: "GPU 0",
  },
  {
    name: "what CDI gives hides what the environment names",
    answer: { ...visible(otherT4), cdiDevices: [`${cdi}=${t4}`] },
    want: "GPU 0",
  },
  { name: "the pod's own variable comes later and wins", answer: visible(t4), env: "void", want: "" },
  {
    name: "an unknown UUID fails the start",
    answer: visible("GPU-gone"),
    want: "RunContainerError: failed to create containerd task: failed to create shim task: OCI runtime create failed: nvidia-container-cli: device error: GPU-gone: unknown device",
  },
  {
    name: "an unknown CDI name fails the creation",
    answer: { cdiDevices: [`${cdi}=MIG-gone`, `${cdi}=${t4}`, "k8s.device-plugin.nvidia.com/gds=all"] },
    want: `${cannotInject} unresolvable CDI devices ${cdi}=MIG-gone, k8s.device-plugin.nvidia.com/gds=all`,
  },
];
for (const { name, answer, env, want } of rows) {
  test(name, async (t) => {
    const directory = await temporaryDirectory(t);
    await describeDevices(directory, gpus);
    const injected = await injectedEdits(directory, cdiNames({ ...noAnswer, ...answer }));
    const own = env === undefined ? [] : [{ name: "NVIDIA_VISIBLE_DEVICES", value: env }];
    const resolved = injected.ok
      ? resolveDevices(requestedDevices({ ...noAnswer, ...answer }, { env: own, edits: injected.edits }), gpus)
      : injected;
    const text = resolved.ok
      ? resolved.devices.map((one) => one.name).join(", ")
      : `${resolved.fault.reason}: ${resolved.fault.message}`;
    assert.equal(text, want);
  });
}

test("of two plugins' answers the first value of a key wins", () => {
  const first = { ...noAnswer, envs: { A: "1" }, mounts: [mount("x")], cdiDevices: ["a=b"] };
  const second = {
    ...noAnswer,
    envs: { A: "2", B: "2" },
    mounts: [{ ...mount("x"), readOnly: true }, mount("y")],
    cdiDevices: ["a=b", "c=d"],
  };
  assert.deepEqual(mergeAnswers([first, second]), {
    ...noAnswer,
    envs: { A: "1", B: "2" },
    mounts: [mount("x"), mount("y")],
    cdiDevices: ["a=b", "c=d"],
  });
});

const names = [
  { name: "nvidia.com/mig-1g.10gb", want: true },
  { name: "example.com/gpu.shared", want: true },
  { name: "gpu", want: false },
  { name: "kubernetes.io/gpu", want: false },
  { name: "requests.nvidia.com/gpu", want: false },
  { name: "nvidia.com/mig-1g.10gb+me", want: false },
  { name: "nvidia.com/a/b", want: false },
  { name: "NVIDIA.com/gpu", want: false },
  { name: `nvidia.com/${"x".repeat(64)}`, want: false },
];
for (const { name, want } of names) {
  test(`${name} is ${want ? "an" : "no"} extended resource`, () => assert.equal(isExtendedResourceName(name), want));
}

const gpu = "nvidia.com/gpu";
function podAsking(requests: Record<string, string>, nodeSelector?: Record<string, string>): Pod {
  const spec = { containers: [{ name: "a", resources: { requests } }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: nodeSelector === undefined ? spec : { ...spec, nodeSelector },
  };
}
const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "n", labels: { zone: "a" } },
  status: { allocatable: { cpu: "2", memory: "4Gi", pods: "2", [gpu]: "0" } },
};
const fits = [
  { name: "a pod that fits is let in", pod: podAsking({ cpu: "1" }), want: undefined },
  {
    name: "CPU is counted in thousandths",
    pod: podAsking({ cpu: "1500m" }),
    others: [podAsking({ cpu: "1" })],
    want: "OutOfcpu: Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
  },
  {
    name: "pods are counted, too",
    pod: podAsking({}),
    others: [podAsking({}), podAsking({})],
    want: "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
  },
  {
    name: "a resource whose plugin is away is out",
    pod: podAsking({ [gpu]: "1" }),
    want: "OutOfnvidia.com/gpu: Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 0, capacity: 0",
  },
  { name: "devices that pods hold count as there", pod: podAsking({ [gpu]: "1" }), inUse: 1, want: undefined },
  {
    name: "a resource the node does not know is passed over",
    pod: podAsking({ "example.com/x": "1" }),
    want: undefined,
  },
  {
    name: "labels have to match",
    pod: podAsking({}, { zone: "b" }),
    want: "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  },
];
for (const { name, pod, others = [], inUse = 0, want } of fits) {
  test(name, () => {
    const rejection = nodeRejection({ node, pod, others, devicesInUse: new Map([[gpu, inUse]]) });
    assert.equal(rejection === undefined ? undefined : `${rejection.reason}: ${rejection.message}`, want);
  });
}
