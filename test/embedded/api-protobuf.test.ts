/** Bodies as the real kubectl 1.35 sends them in protobuf, recorded from its commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProtobuf } from "../../src/embedded/api/protobuf.ts";
import { messages } from "../../src/embedded/api/protobuf-fields.ts";
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

const head = [0x6b, 0x38, 0x73, 0x00, 0x0a, 0x05, 0x12, 0x03, ...Buffer.from("Pod")];
const unreadable = [
  { name: "JSON", bytes: [...Buffer.from("{}")], code: 400 },
  { name: "an unknown kind", bytes: [0x6b, 0x38, 0x73, 0x00, 0x0a, 0x03, 0x12, 0x01, 0x41], code: 415 },
  { name: "a message cut off", bytes: [...head, 0x12, 0x7f, 0x0a], code: 400 },
  { name: "a number without an end", bytes: [...head, 0x12, 0x02, 0x08, 0xff], code: 400 },
  { name: "a wire type Kubernetes does not use", bytes: [...head, 0x12, 0x02, 0x0d, 0x00], code: 400 },
  { name: "a text where a message belongs", bytes: [...head, 0x12, 0x02, 0x08, 0x01], code: 400 },
  // An affinity with something in it: dropping it would place the pod where its owner does not want it.
  {
    name: "a field that is not in the table",
    bytes: [...head, 0x12, 0x07, 0x12, 0x05, 0x92, 0x01, 0x02, 0x0a, 0x00],
    code: 400,
  },
];
for (const { name, bytes, code } of unreadable) {
  test(`refuses ${name} with ${code}`, () => {
    assert.throws(() => parseProtobuf(Buffer.from(bytes)), { name: "ApiError", code });
  });
}

test("every message named in the table is in the table", () => {
  const scalars = new Set(["text", "int", "bool", "bytes", "time", "microtime", "intOrString", "quantity", "skip"]);
  const named = Object.values(messages).flatMap((fields) =>
    Object.values(fields).map((line) => line.split(" ").at(-1)),
  );
  const types = named.map((type) => (type ?? "").replace(/[![\]]+$/, "")).filter((type) => /^[A-Z]/.test(type));
  for (const type of types) assert.ok(type in messages || scalars.has(type), type);
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
