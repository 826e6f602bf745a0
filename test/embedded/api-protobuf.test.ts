/** Bodies as the real kubectl 1.35 sends them in protobuf, recorded from its commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { messages } from "../../src/embedded/api/messages.ts";
import { parseProtobuf } from "../../src/embedded/api/protobuf.ts";
import { startHarness } from "./api-support.ts";

const recorded = [
  {
    command: "create configmap x --from-literal=a=b",
    body: "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEhsKEQoBeBIAGgAiACoAMgA4AEIAEgYKAWESAWIaACIA",
    want: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data: { a: "b" } },
  },
  {
    command: "create secret generic s --from-literal=a=b",
    body: "azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=",
    want: { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { a: "Yg==" } },
  },
  {
    command: "create deployment d --image=a:1 --replicas=0 --port=80",
    body:
      "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EqkBChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQSfAgAEgoKCAoDYXBwEgFkGmQKGgoA" +
      "EgAaACIAKgAyADgAQgBaCAoDYXBwEgFkEkYSKAoBYRIDYToxKgAyCgoAEAAYUCIAKgBCAGoAcgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABg" +
      "AGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA=",
    want: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", labels: { app: "d" } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: "d" } },
        template: {
          metadata: { labels: { app: "d" } },
          spec: { containers: [{ name: "a", image: "a:1", ports: [{ containerPort: 80 }] }] },
        },
      },
    },
  },
  {
    command: "create pdb p --selector=a=b --min-available=50%",
    body: "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggKBgoBYRIBYhoKCAAYACAAKAAwABoAIgA=",
    want: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "p" },
      spec: { minAvailable: "50%", selector: { matchLabels: { a: "b" } } },
    },
  },
  {
    command: "create priorityclass low --value=-5",
    body: "azhzAAolChRzY2hlZHVsaW5nLms4cy5pby92MRINUHJpb3JpdHlDbGFzcxI6ChMKA2xvdxIAGgAiACoAMgA4AEIAEPv//////////wEYACIAKhRQcmVlbXB0TG93ZXJQcmlvcml0eRoAIgA=",
    want: {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: "low" },
      value: -5,
      preemptionPolicy: "PreemptLowerPriority",
    },
  },
  {
    command: "create quota q --hard=cpu=1,nvidia.com/gpu=2",
    body: "azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRI6ChEKAXESABoAIgAqADIAOABCABIjCgoKA2NwdRIDCgExChUKDm52aWRpYS5jb20vZ3B1EgMKATIaABoAIgA=",
    want: {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "q" },
      spec: { hard: { cpu: "1", "nvidia.com/gpu": "2" } },
    },
  },
  {
    command: "auth can-i get pods",
    body: "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPAoQCgASABoAIgAqADIAOABCABIeChwKB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyADoAGggIABIAGgAgABoAIgA=",
    want: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: { namespace: "default", verb: "get", resource: "pods" } },
    },
  },
];
for (const { command, body, want } of recorded) {
  test(`reads kubectl ${command}`, () => assert.deepEqual(parseProtobuf(Buffer.from(body, "base64")), want));
}

/** A field of bytes, by its number; what is in it is given as further fields or as text. */
function field(number: number, ...content: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(content.map((one) => Buffer.from(one)));
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body]);
}

function numberField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function varint(value: number): Buffer {
  return value < 128
    ? Buffer.from([value])
    : Buffer.concat([Buffer.from([(value % 128) + 128]), varint(Math.floor(value / 128))]);
}

// Numbers as in k8s.io/api, core/v1/generated.proto, so that a row at the wrong number shows.
const term = field(1, field(1, field(1, "gpu"), field(2, "In"), field(3, "a100"), field(3, "h100")));
const selector = field(1, field(1, "app"), field(2, "x"));
const probe = field(1, field(2, field(1, "/live"), field(2, numberField(1, 0), numberField(2, 80), field(3, ""))));
const placed = {
  bytes: field(
    2,
    field(2, field(1, "main"), field(10, probe, numberField(4, 5)), field(15, field(11, field(1, "RuntimeDefault")))),
    field(18, field(1, field(1, term)), field(3, field(1, field(1, selector), field(3, "zone")))),
    field(26, field(1, "10.0.0.10")),
    field(33, numberField(1, 2), field(2, "zone"), field(3, "DoNotSchedule"), field(4, selector), numberField(5, 3)),
    field(38, field(1, "example.com/later")),
    field(39, field(1, "gpus"), field(4, "template")),
    field(1, field(1, "all"), field(2, field(26, field(1, field(3, field(1, field(1, "settings"))))))),
  ),
  want: {
    containers: [
      {
        name: "main",
        livenessProbe: { httpGet: { path: "/live", port: 80 }, periodSeconds: 5 },
        securityContext: { seccompProfile: { type: "RuntimeDefault" } },
      },
    ],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "gpu", operator: "In", values: ["a100", "h100"] }] }],
        },
      },
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: "x" } }, topologyKey: "zone" },
        ],
      },
    },
    dnsConfig: { nameservers: ["10.0.0.10"] },
    topologySpreadConstraints: [
      {
        maxSkew: 2,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "x" } },
        minDomains: 3,
      },
    ],
    schedulingGates: [{ name: "example.com/later" }],
    resourceClaims: [{ name: "gpus", resourceClaimTemplateName: "template" }],
    volumes: [{ name: "all", projected: { sources: [{ configMap: { name: "settings" } }] } }],
  },
};

test("reads where a pod may run, how it is probed, and what it mounts", () => {
  const envelope = [field(1, field(1, "v1"), field(2, "Pod")), field(2, placed.bytes)];
  const body = Buffer.concat([Buffer.from([0x6b, 0x38, 0x73, 0x00]), ...envelope]);
  assert.deepEqual(parseProtobuf(body), { apiVersion: "v1", kind: "Pod", spec: placed.want });
});

test("reads an empty selector as the choice of everything, and no selector as none", () => {
  const budget = (...spec: readonly Buffer[]) => {
    const envelope = [field(1, field(1, "policy/v1"), field(2, "PodDisruptionBudget")), field(2, field(2, ...spec))];
    return parseProtobuf(Buffer.concat([Buffer.from([0x6b, 0x38, 0x73, 0x00]), ...envelope]))["spec"];
  };
  assert.deepEqual(budget(field(2), field(4, "AlwaysAllow")), {
    selector: {},
    unhealthyPodEvictionPolicy: "AlwaysAllow",
  });
  assert.equal(budget(), undefined);
});

test("reads an event of the group events.k8s.io by the numbers of that group", () => {
  const event = field(2, field(8, field(1, "Pod"), field(3, "p")), field(10, "it ran"), field(7, "Ran"));
  const envelope = [field(1, field(1, "events.k8s.io/v1"), field(2, "Event")), event];
  assert.deepEqual(parseProtobuf(Buffer.concat([Buffer.from([0x6b, 0x38, 0x73, 0x00]), ...envelope])), {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    regarding: { kind: "Pod", name: "p" },
    note: "it ran",
    reason: "Ran",
  });
});

const magic = [0x6b, 0x38, 0x73, 0x00];
const negativeLength = [0x0a, 0xf5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
const head = [...magic, 0x0a, 0x05, 0x12, 0x03, ...Buffer.from("Pod")];
const unreadable = [
  { name: "JSON", bytes: [...Buffer.from("{}")], code: 400 },
  { name: "an unknown kind", bytes: [0x6b, 0x38, 0x73, 0x00, 0x0a, 0x03, 0x12, 0x01, 0x41], code: 415 },
  { name: "a message cut off", bytes: [...head, 0x12, 0x7f, 0x0a], code: 400 },
  { name: "a number without an end", bytes: [...head, 0x12, 0x02, 0x08, 0xff], code: 400 },
  // Followed, it would lead back to its own beginning, for ever.
  { name: "a length below zero", bytes: [...magic, ...negativeLength], code: 400 },
  { name: "a wire type Kubernetes does not use", bytes: [...head, 0x12, 0x02, 0x0d, 0x00], code: 400 },
  { name: "a text where a message belongs", bytes: [...head, 0x12, 0x02, 0x08, 0x01], code: 400 },
  // Dropping a field with something in it might place the pod where its owner does not want it.
  {
    name: "a field that is not in the table",
    bytes: [...head, 0x12, 0x07, 0x12, 0x05, 0xe2, 0x03, 0x02, 0x0a, 0x00],
    code: 400,
  },
  {
    name: "a volume of a kind that is taken in JSON only",
    bytes: [...head, 0x12, 0x0a, 0x12, 0x08, 0x0a, 0x06, 0x12, 0x04, 0x2a, 0x02, 0x0a, 0x00],
    code: 400,
  },
];
for (const { name, bytes, code } of unreadable) {
  test(`refuses ${name} with ${code}`, () => {
    assert.throws(() => parseProtobuf(Buffer.from(bytes)), { name: "ApiError", code });
  });
}

const scalars = new Set(
  ["text", "int", "bool", "bytes", "time", "microtime", "intOrString", "quantity", "fieldsV1"].concat("skip", "open"),
);

test("every message named in the table is in the table, and no field is there twice", () => {
  for (const [name, { byNumber, byName }] of messages) {
    const types = [...byNumber.values()].map(({ type }) => type);
    assert.deepEqual(
      types.filter((type) => !messages.has(type) && !scalars.has(type)),
      [],
      name,
    );
    assert.ok(
      [...byNumber.keys()].every((number) => number > 0),
      name,
    );
    assert.ok(byName.size >= byNumber.size, name);
  }
});

test("a client that sends protobuf is answered in JSON", async () => {
  const api = await startHarness();
  try {
    const body = Buffer.from(recorded[0]?.body ?? "", "base64");
    const headers = {
      "content-type": "application/vnd.kubernetes.protobuf",
      accept: "application/vnd.kubernetes.protobuf,application/json",
    };
    const reply = await api.call("/api/v1/namespaces/default/configmaps", { method: "POST", body, headers });
    assert.deepEqual(
      [reply.code, reply.headers["content-type"], String(reply.body["data"]?.["a"])],
      [201, "application/json", "b"],
    );
  } finally {
    await api.stop();
  }
});

test("a body with a length below zero is answered 400, and the server goes on", async () => {
  const api = await startHarness();
  try {
    const headers = { "content-type": "application/vnd.kubernetes.protobuf" };
    const body = Buffer.from([...magic, ...negativeLength]);
    const reply = await api.call("/api/v1/namespaces/default/configmaps", { method: "POST", body, headers });
    assert.equal(reply.code, 400);
    assert.equal((await api.call("/livez")).code, 200);
  } finally {
    await api.stop();
  }
});

test("reads a time in years of four digits, and no other", () => {
  const created = (seconds: Buffer) => {
    const envelope = [field(1, field(1, "v1"), field(2, "ConfigMap")), field(2, field(1, field(8, seconds)))];
    return parseProtobuf(Buffer.concat([Buffer.from(magic), ...envelope]))["metadata"];
  };
  assert.deepEqual(created(numberField(1, 253402300799)), { creationTimestamp: "9999-12-31T23:59:59Z" });
  for (const seconds of [253402300800, 2 ** 52]) {
    assert.throws(() => created(numberField(1, seconds)), { name: "ApiError", code: 400 });
  }
});

test("reads lists and maps whose entries do not stand together", () => {
  const pod = field(
    1,
    field(11, field(1, "a"), field(2, "1")),
    field(14, "x"),
    field(11, field(1, "b"), field(2, "2")),
    field(14, "y"),
  );
  const envelope = [field(1, field(1, "v1"), field(2, "Pod")), field(2, pod)];
  assert.deepEqual(parseProtobuf(Buffer.concat([Buffer.from(magic), ...envelope]))["metadata"], {
    labels: { a: "1", b: "2" },
    finalizers: ["x", "y"],
  });
});
