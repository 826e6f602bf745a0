/** What the API server fills into pods and what it refuses (kubernetes, pkg/apis/core/validation). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type KubeObject, type Pod, type PodSpec, resources } from "../../src/kube/index.ts";
import { type Body, type Harness, podNamed, type Reply, startHarness } from "./api-support.ts";

let api: Harness;
let count = 0;

before(async () => {
  api = await startHarness();
});
after(() => api.stop());

const pods = "/api/v1/namespaces/default/pods";
const image = "registry.example/app:1";

function createPod(spec: object): Promise<{ readonly code: number; readonly body: Body }> {
  count += 1;
  return api.call(pods, { method: "POST", body: { metadata: { name: `pod-${count}` }, spec } });
}

test("fills in what a pod leaves out", async () => {
  const { body } = await createPod({ containers: [{ name: "main", image: "app" }] });
  assert.deepEqual(body["spec"], {
    containers: [
      {
        name: "main",
        image: "app",
        imagePullPolicy: "Always",
        resources: {},
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
    ],
    dnsPolicy: "ClusterFirst",
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
    priority: 0,
    restartPolicy: "Always",
    schedulerName: "default-scheduler",
    securityContext: {},
    serviceAccountName: "default",
    terminationGracePeriodSeconds: 30,
    tolerations: ["not-ready", "unreachable"].map((one) => ({
      key: `node.kubernetes.io/${one}`,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 300,
    })),
  });
  assert.deepEqual(body["status"], { phase: "Pending", qosClass: "BestEffort" });
});

test("keeps what a pod says itself", async () => {
  const spec = {
    containers: [
      { name: "main", image: "app:1", imagePullPolicy: "Never", ports: [{ containerPort: 80, protocol: "UDP" }] },
    ],
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 0,
    tolerations: [{ operator: "Exists" }],
  };
  const { body } = await createPod(spec);
  const kept = body["spec"];
  assert.deepEqual([kept?.["restartPolicy"], kept?.["terminationGracePeriodSeconds"]], ["Never", 0]);
  assert.deepEqual(kept?.["tolerations"], [{ operator: "Exists" }]);
  assert.equal(String(kept?.["containers"]?.["0"]?.["imagePullPolicy"]), "Never");
});

test("ignores a status that a client brings along", async () => {
  const made = await api.client.create<Pod>(resources.pods, podNamed("with-status", { status: { phase: "Running" } }));
  assert.equal(made.status?.phase, "Pending");
});

const amounts = [
  {
    name: "requests default to limits",
    given: { limits: { cpu: "1" } },
    want: { limits: { cpu: "1" }, requests: { cpu: "1" } },
  },
  {
    name: "own requests stay",
    given: { limits: { cpu: "2" }, requests: { cpu: "1" } },
    want: { limits: { cpu: "2" }, requests: { cpu: "1" } },
  },
  {
    name: "numbers become texts",
    given: { limits: { "nvidia.com/gpu": 1 } },
    want: { limits: { "nvidia.com/gpu": "1" }, requests: { "nvidia.com/gpu": "1" } },
  },
  { name: "thousandths become whole", given: { requests: { cpu: "2000m" } }, want: { requests: { cpu: "2" } } },
  {
    name: "parts stay parts",
    given: { requests: { cpu: 0.5, memory: "1.5Gi" } },
    want: { requests: { cpu: "500m", memory: "1.5Gi" } },
  },
];
for (const { name, given, want } of amounts) {
  test(`resources: ${name}`, async () => {
    const { body } = await createPod({ containers: [{ name: "main", image, resources: given }] });
    assert.deepEqual(body["spec"]?.["containers"]?.["0"]?.["resources"], want);
  });
}

const classes = [
  { want: "BestEffort", resources: { limits: { "nvidia.com/gpu": "1" } } },
  { want: "Burstable", resources: { requests: { cpu: "1" } } },
  { want: "Burstable", resources: { limits: { cpu: "1" } } },
  { want: "Guaranteed", resources: { limits: { cpu: "1", memory: "1Gi" } } },
  { want: "Burstable", resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } } },
];
for (const { want, resources: given } of classes) {
  test(`quality of service of ${JSON.stringify(given)} is ${want}`, async () => {
    const { body } = await createPod({ containers: [{ name: "main", image, resources: given }] });
    assert.equal(String(body["status"]?.["qosClass"]), want);
  });
}

const gpu = "nvidia.com/gpu";
const container = "spec.containers[0]";
const faults: readonly { readonly name: string; readonly spec: object; readonly want: readonly string[] }[] = [
  { name: "no containers", spec: {}, want: ["FieldValueRequired spec.containers: Required value"] },
  {
    name: "no container name",
    spec: { containers: [{ image }] },
    want: [`FieldValueRequired ${container}.name: Required value`],
  },
  {
    name: "no image",
    spec: { containers: [{ name: "a" }] },
    want: [`FieldValueRequired ${container}.image: Required value`],
  },
  {
    name: "two containers of one name",
    spec: {
      containers: [
        { name: "a", image },
        { name: "a", image },
      ],
    },
    want: ['FieldValueDuplicate spec.containers[1].name: Duplicate value: "a"'],
  },
  {
    name: "an unknown restart policy",
    spec: { ...podNamed("x").spec, restartPolicy: "Sometimes" },
    want: [
      'FieldValueNotSupported spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ],
  },
  {
    name: "part of a GPU",
    spec: withResources({ limits: { [gpu]: "500m" } }),
    want: [
      `FieldValueInvalid ${container}.resources.limits[${gpu}]: Invalid value: "500m": must be an integer`,
      `FieldValueInvalid ${container}.resources.requests[${gpu}]: Invalid value: "500m": must be an integer`,
    ],
  },
  {
    name: "a GPU requested without a limit",
    spec: withResources({ requests: { [gpu]: "1" } }),
    want: [
      `FieldValueRequired ${container}.resources.limits: Required value: Limit must be set for non overcommitable resources`,
    ],
  },
  {
    name: "fewer GPUs requested than the limit",
    spec: withResources({ limits: { [gpu]: "2" }, requests: { [gpu]: "1" } }),
    want: [`FieldValueInvalid ${container}.resources.requests: Invalid value: "1": must be equal to ${gpu} limit of 2`],
  },
  {
    name: "more CPU requested than the limit",
    spec: withResources({ limits: { cpu: "1" }, requests: { cpu: "2" } }),
    want: [
      `FieldValueInvalid ${container}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
    ],
  },
  {
    name: "a negative amount",
    spec: withResources({ requests: { cpu: "-1" } }),
    want: [
      `FieldValueInvalid ${container}.resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
    ],
  },
  {
    name: "a toleration that matches nothing",
    spec: { ...podNamed("x").spec, tolerations: [{ operator: "Equal", value: "a" }] },
    want: [
      'FieldValueInvalid spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
    ],
  },
];
for (const { name, spec, want } of faults) {
  test(`refuses ${name}`, async () => {
    const { code, body } = await createPod(spec);
    assert.deepEqual([code, body["reason"], body["details"]?.["kind"]], [422, "Invalid", "Pod"]);
    const causes = body["details"]?.["causes"];
    assert.ok(Array.isArray(causes));
    assert.deepEqual(
      causes.map(({ reason, field, message }) => `${reason} ${field}: ${message}`),
      want,
    );
    const lines = causes.map(({ field, message }) => `${field}: ${message}`);
    const listed = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
    assert.equal(String(body["message"]), `Pod "pod-${count}" is invalid: ${listed}`);
  });
}

function withResources(given: object): object {
  return { containers: [{ name: "a", image, resources: given }] };
}

const malformed = [
  { name: "an amount that is none", spec: withResources({ limits: { cpu: "lots" } }) },
  { name: "containers that are no list", spec: { containers: {} } },
  {
    name: "an env value that is a number",
    spec: { containers: [{ name: "a", image, env: [{ name: "A", value: 1 }] }] },
  },
  { name: "a grace period in words", spec: { ...podNamed("x").spec, terminationGracePeriodSeconds: "30" } },
];
for (const { name, spec } of malformed) {
  test(`cannot read ${name}`, async () => {
    const { code, body } = await createPod(spec);
    assert.deepEqual([code, body["reason"]], [400, "BadRequest"]);
    assert.match(String(body["message"]), /^Pod in version "v1" cannot be handled as a Pod: /);
  });
}

test("lets only images, deadlines and new tolerations change once a pod is there", async () => {
  const made = await api.client.create<Pod>(resources.pods, {
    ...podNamed("fixed"),
    spec: { ...podNamed("fixed").spec, tolerations: [{ key: "own", operator: "Exists" }] },
  });
  const update = (spec: Partial<PodSpec>) =>
    api.client.update<Pod>(resources.pods, { ...made, spec: { ...made.spec, ...spec } });
  const [main] = made.spec.containers;
  assert.ok(main !== undefined);
  await assert.rejects(update({ nodeName: "n" }), /pod updates may not change fields other than/);
  await assert.rejects(update({ containers: [{ ...main, command: ["x"] }] }), /may not change fields other than/);
  await assert.rejects(update({ tolerations: [] }), /existing toleration can not be modified/);
  const tolerations = [...(made.spec.tolerations ?? []), { key: "a", operator: "Exists" as const }];
  const changed = await update({ tolerations, containers: [{ ...main, image: "registry.example/app:2" }] });
  assert.equal(changed.spec.containers[0]?.image, "registry.example/app:2");
  assert.equal(changed.metadata.generation, 2);
});

test("a gated pod says so, is bound by nobody, and is let go gate by gate", async () => {
  const gates = ["example.com/quota", "example.com/order"].map((name) => ({ name }));
  const { body } = await createPod({ ...podNamed("x").spec, schedulingGates: gates, nodeSelector: { a: "1" } });
  const name = String(body["metadata"]?.["name"]);
  const condition = body["status"]?.["conditions"]?.["0"];
  assert.deepEqual(
    ["type", "status", "reason", "message"].map((key) => String(condition?.[key])),
    ["PodScheduled", "False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"],
  );
  const patch = (spec: object): Promise<Reply> =>
    api.call(`${pods}/${name}`, {
      method: "PATCH",
      body: { spec },
      headers: { "content-type": "application/merge-patch+json" },
    });
  const bind = (): Promise<Reply> =>
    api.call(`${pods}/${name}/binding`, { method: "POST", body: { target: { name: "n1" } } });
  const refused = await bind();
  assert.deepEqual(
    [refused.code, String(refused.body["message"])],
    [409, `Operation cannot be fulfilled on pods/binding "${name}": pod ${name} has non-empty .spec.schedulingGates`],
  );
  const added = await patch({ schedulingGates: [...gates, { name: "example.com/more" }] });
  assert.equal(added.code, 422);
  assert.match(
    String(added.body["message"]),
    /spec\.schedulingGates\[2\]\.name: Forbidden: only deletion is allowed, but found new scheduling gate 'example\.com\/more'/,
  );
  // While it is gated its node selector may be narrowed, and only that.
  assert.equal((await patch({ nodeSelector: { b: "2" } })).code, 200);
  assert.match(
    String((await patch({ nodeSelector: { a: "2" } })).body["message"]),
    /only additions to spec.nodeSelector/,
  );
  assert.equal((await patch({ schedulingGates: gates.slice(1) })).code, 200);
  assert.equal((await bind()).code, 409);
  assert.equal((await patch({ schedulingGates: null })).code, 200);
  assert.match(String((await patch({ nodeSelector: { c: "3" } })).body["message"]), /may not change fields other than/);
  assert.equal((await bind()).code, 201);
});

test("refuses a gated pod that names its node", async () => {
  const schedulingGates = [{ name: "example.com/a" }, { name: "example.com/a" }];
  const { code, body } = await createPod({ ...podNamed("x").spec, schedulingGates, nodeName: "n1" });
  assert.equal(code, 422);
  assert.match(String(body["message"]), /spec.nodeName: Forbidden: cannot be set until all schedulingGates/);
  assert.match(String(body["message"]), /spec.schedulingGates\[1\]: Duplicate value: "example.com\/a"/);
});

test("gives a pod the priority of its class and refuses a class that is not there", async () => {
  const type = {
    group: "scheduling.k8s.io",
    version: "v1",
    plural: "priorityclasses",
    kind: "PriorityClass",
    namespaced: false,
  };
  const custom: KubeObject & { value: number; preemptionPolicy: string } = {
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name: "low" },
    value: -5,
    preemptionPolicy: "Never",
  };
  await api.client.create(type, custom);
  const withClass = async (priorityClassName: string) =>
    (await createPod({ ...podNamed("x").spec, priorityClassName })).body;
  const low = (await withClass("low"))["spec"];
  assert.deepEqual([low?.["priority"], low?.["preemptionPolicy"]], [-5, "Never"]);
  assert.equal(Number((await withClass("system-node-critical"))["spec"]?.["priority"]), 2_000_001_000);
  const missing = await withClass("none");
  assert.deepEqual([missing["code"], missing["reason"]], [403, "Forbidden"]);
  assert.match(String(missing["message"]), /no PriorityClass with name none was found$/);
});

test("keeps the status a kubelet registers its node with, and allocates what it has", async () => {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n1" }, status: { capacity: { cpu: "8000m" } } };
  const made: KubeObject & { status?: object } = await api.client.create(resources.nodes, node);
  assert.deepEqual(made.status, { capacity: { cpu: "8" }, allocatable: { cpu: "8" } });
});
