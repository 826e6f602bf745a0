/** Eviction and disruption budgets, one request at a time (kubernetes, pkg/registry/core/pod/storage/eviction.go). */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Condition, evictPod, KubeError, type Pod, type PodStatus, resources } from "../../src/kube/index.ts";
import { type Body, type Harness, podNamed, type Reply, startHarness } from "./api-support.ts";

let api: Harness;
let namespace = "";
let count = 0;

before(async () => {
  api = await startHarness();
});
after(() => api.stop());
beforeEach(async () => {
  count += 1;
  namespace = `eviction-${count}`;
  await api.client.create(resources.namespaces, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
});

interface Setting {
  readonly name: string;
  readonly phase?: NonNullable<PodStatus["phase"]>;
  readonly ready?: boolean;
  readonly deleted?: boolean;
  readonly spec?: object;
  /** Merged over the status of a budget that allows one disruption; `null` for a budget nobody has looked at. */
  readonly status?: object | null;
  readonly budgets?: number;
  readonly eviction?: object;
  readonly query?: string;
  /** The answer's code, and what is left of the pod: `there`, `ending` or `gone`. */
  readonly want: string;
  readonly message?: RegExp;
  readonly cause?: string;
  readonly retryAfter?: string;
  /** `disruptionsAllowed` and the names in `disruptedPods` afterwards; default: as before. */
  readonly charged?: string;
}

const goodStatus = {
  observedGeneration: 1,
  currentHealthy: 3,
  desiredHealthy: 2,
  expectedPods: 3,
  disruptionsAllowed: 1,
};
const refusal = /^Cannot evict pod as it would violate the pod's disruption budget\.$/;

const rows: readonly Setting[] = [
  { name: "without a budget a pod goes", budgets: 0, want: "201 ending" },
  { name: "a budget with a disruption left is charged for it", want: "201 ending", charged: "0 pod" },
  {
    name: "a budget with nothing left keeps the pod",
    status: { disruptionsAllowed: 0, currentHealthy: 2 },
    want: "429 there",
    message: refusal,
    cause: "DisruptionBudget The disruption budget budget-0 needs 2 healthy pods and has 2 currently",
  },
  {
    name: "a budget that could not be worked out says why it keeps the pod",
    status: {
      disruptionsAllowed: 0,
      conditions: [{ type: "DisruptionAllowed", status: "False", reason: "SyncFailed", message: "no scale" }],
    },
    want: "429 there",
    message: refusal,
    cause:
      "DisruptionBudget The disruption budget budget-0 does not allow evicting pods currently because it failed sync: no scale",
  },
  {
    name: "a budget that nobody has looked at yet asks to come again",
    status: null,
    want: "429 there",
    message: refusal,
    cause: "DisruptionBudget The disruption budget budget-0 is still being processed by the server.",
    retryAfter: "10",
  },
  {
    name: "a budget that has changed since asks to come again",
    status: { observedGeneration: 0 },
    want: "429 there",
    retryAfter: "10",
  },
  {
    name: "two budgets are one too many",
    budgets: 2,
    want: "500 there",
    message: /^This pod has more than one PodDisruptionBudget, which the eviction subresource does not support\.$/,
  },
  {
    name: "a budget that selects others is not asked",
    spec: { selector: { matchLabels: { app: "x" } } },
    want: "201 ending",
  },
  { name: "a budget without a selector keeps nobody", spec: { selector: null }, want: "201 ending" },
  {
    name: "a budget with an empty selector keeps everybody",
    spec: { selector: {} },
    status: { disruptionsAllowed: 0 },
    want: "429 there",
  },
  {
    name: "a finished pod goes without asking",
    phase: "Succeeded",
    status: { disruptionsAllowed: 0 },
    want: "201 gone",
  },
  { name: "a failed pod goes without asking", phase: "Failed", status: { disruptionsAllowed: 0 }, want: "201 gone" },
  {
    name: "a pending pod goes without asking",
    phase: "Pending",
    status: { disruptionsAllowed: 0 },
    want: "201 ending",
  },
  {
    name: "a pod that is going already costs nothing",
    deleted: true,
    status: { disruptionsAllowed: 0 },
    want: "201 ending",
  },
  {
    name: "an unhealthy pod goes when the budget holds without it",
    ready: false,
    status: { disruptionsAllowed: 0, currentHealthy: 2 },
    want: "201 ending",
  },
  {
    name: "an unhealthy pod stays while the budget is broken",
    ready: false,
    status: { disruptionsAllowed: 0, currentHealthy: 1 },
    want: "429 there",
    cause: "DisruptionBudget The disruption budget budget-0 needs 2 healthy pods and has 1 currently",
  },
  {
    name: "an unhealthy pod is not free where the budget wants nobody",
    ready: false,
    status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0 },
    want: "429 there",
  },
  {
    name: "a budget may let unhealthy pods go at any time",
    ready: false,
    spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" },
    status: { disruptionsAllowed: 0, currentHealthy: 1 },
    want: "201 ending",
  },
  {
    name: "such a budget keeps healthy pods all the same",
    spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" },
    status: { disruptionsAllowed: 0, currentHealthy: 1 },
    want: "429 there",
  },
  {
    name: "a budget below zero allows nothing",
    status: { disruptionsAllowed: -1 },
    want: "403 there",
    message: /pdb disruptions allowed is negative$/,
  },
  {
    name: "a budget with too many evictions to confirm allows no more",
    status: {
      disruptedPods: Object.fromEntries(
        Array.from({ length: 2001 }, (_, index) => [`p${index}`, "2026-01-01T00:00:00Z"]),
      ),
    },
    want: "403 there",
    message: /DisruptedPods map too big - too many evictions not confirmed by PDB controller$/,
  },
  { name: "a dry run changes nothing", query: "?dryRun=All", want: "201 there" },
  {
    name: "a dry run in the body changes nothing",
    eviction: { deleteOptions: { dryRun: ["All"] } },
    want: "201 there",
  },
  {
    name: "a dry run is refused as the real thing is",
    query: "?dryRun=All",
    status: { disruptionsAllowed: 0 },
    want: "429 there",
  },
  {
    name: "a precondition that fails costs nothing",
    eviction: { deleteOptions: { preconditions: { uid: "other" } } },
    want: "409 there",
    message: /UID in precondition: other/,
  },
  {
    name: "a version that is not the pod's costs nothing",
    eviction: { deleteOptions: { preconditions: { resourceVersion: "1" } } },
    want: "409 there",
  },
  {
    name: "a grace period of none ends the pod at once",
    eviction: { deleteOptions: { gracePeriodSeconds: 0 } },
    want: "201 gone",
    charged: "0 pod",
  },
];

for (const row of rows) {
  test(row.name, async () => {
    await createPod(row);
    const before = await createBudgets(row);
    const reply = await evict(row.eviction, row.query);
    assert.equal(`${reply.code} ${await stateOf("pod")}`, row.want, reply.text);
    if (row.message !== undefined) assert.match(String(reply.body["message"]), row.message);
    if (row.cause !== undefined) {
      const cause = reply.body["details"]?.["causes"]?.["0"];
      assert.equal(`${cause?.["reason"]} ${cause?.["message"]}`, row.cause);
    }
    assert.equal(reply.headers["retry-after"], row.retryAfter);
    if ((row.budgets ?? 1) > 0) assert.equal(await chargeOf("budget-0"), row.charged ?? before);
  });
}

async function createPod({ phase = "Running", ready = true, deleted = false }: Setting): Promise<void> {
  const pod = podNamed("pod", { metadata: { name: "pod", namespace, labels: { app: "web" } } });
  await api.client.create(resources.pods, { ...pod, spec: { ...pod.spec, nodeName: "n1" } });
  const conditions: Condition[] = [{ type: "Ready", status: ready ? "True" : "False" }];
  await api.client.mergePatch(
    resources.pods,
    pod.metadata,
    { status: { phase, conditions } },
    { subresource: "status" },
  );
  if (deleted) await api.client.delete(resources.pods, pod.metadata);
}

/** Creates the budgets; returns what the first stands at. */
async function createBudgets({ spec = {}, status = {}, budgets = 1 }: Setting): Promise<string> {
  const path = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`;
  for (let index = 0; index < budgets; index++) {
    const name = `budget-${index}`;
    const wanted = { minAvailable: 2, selector: { matchLabels: { app: "web" } }, ...spec };
    await api.call(path, { method: "POST", body: { metadata: { name }, spec: wanted } });
    if (status === null) continue;
    const headers = { "content-type": "application/merge-patch+json" };
    const body = { status: { ...goodStatus, ...status } };
    assert.equal((await api.call(`${path}/${name}/status`, { method: "PATCH", headers, body })).code, 200);
  }
  return budgets === 0 ? "" : chargeOf("budget-0");
}

function evict(more: object = {}, query = ""): Promise<Reply> {
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "pod", namespace }, ...more };
  return api.call(`/api/v1/namespaces/${namespace}/pods/pod/eviction${query}`, { method: "POST", body });
}

async function stateOf(name: string): Promise<string> {
  const { code, body } = await api.call(`/api/v1/namespaces/${namespace}/pods/${name}`);
  if (code === 404) return "gone";
  return body["metadata"]?.["deletionTimestamp"] === undefined ? "there" : "ending";
}

async function chargeOf(name: string): Promise<string> {
  const { body } = await api.call(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/${name}`);
  const status: Body | undefined = body["status"];
  return [status?.["disruptionsAllowed"] ?? "none", ...Object.keys(status?.["disruptedPods"] ?? {})].join(" ");
}

test("an evicted pod says why it goes, and a budget without any left that it is used up", async () => {
  await createPod({ name: "", want: "" });
  await createBudgets({ name: "", want: "" });
  await evict();
  const { status } = await api.client.get<Pod>(resources.pods, { namespace, name: "pod" });
  const target = status?.conditions?.find(({ type }) => type === "DisruptionTarget");
  assert.deepEqual(
    [target?.status, target?.reason, target?.message],
    ["True", "EvictionByEvictionAPI", "Eviction API: evicting"],
  );
  assert.ok(target?.lastTransitionTime);
  const { body } = await api.call(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/budget-0`);
  const condition = body["status"]?.["conditions"]?.["0"];
  assert.deepEqual(
    ["type", "status", "reason"].map((key) => String(condition?.[key])),
    ["DisruptionAllowed", "False", "InsufficientPods"],
  );
});

test("our client evicts with preconditions, and is told when to come again", async () => {
  await createPod({ name: "", want: "" });
  await createBudgets({ name: "", want: "", status: null });
  const ref = { namespace, name: "pod" };
  await assert.rejects(evictPod(api.client, ref), (error) => {
    assert.ok(error instanceof KubeError);
    assert.deepEqual([error.status, error.reason, error.retryAfterMs], [429, "TooManyRequests", 10_000]);
    return true;
  });
  await api.client.delete(
    { group: "policy", version: "v1", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget", namespaced: true },
    { namespace, name: "budget-0" },
  );
  const { metadata } = await api.client.get<Pod>(resources.pods, ref);
  await evictPod(api.client, ref, { preconditions: { uid: metadata.uid ?? "" }, gracePeriodSeconds: 0 });
  assert.equal(await stateOf("pod"), "gone");
});

const badBudgets = [
  { spec: { minAvailable: 1, maxUnavailable: 1 }, want: /minAvailable and maxUnavailable cannot be both set/ },
  { spec: { minAvailable: -1 }, want: /spec\.minAvailable: Invalid value: -1: must be greater than or equal to 0/ },
  { spec: { maxUnavailable: "101%" }, want: /spec\.maxUnavailable: .* must not be greater than 100%/ },
  { spec: { minAvailable: "few" }, want: /spec\.minAvailable: .* a valid percent string must be a numeric string/ },
  {
    spec: { unhealthyPodEvictionPolicy: "Never" },
    want: /unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"/,
  },
  {
    spec: { selector: { matchExpressions: [{ key: "app", operator: "Gt", values: ["1"] }] } },
    want: /spec\.selector: .* not a valid selector/,
  },
];
for (const { spec, want } of badBudgets) {
  test(`refuses a budget with ${JSON.stringify(spec)}`, async () => {
    const path = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`;
    const { code, body } = await api.call(path, { method: "POST", body: { metadata: { name: "bad" }, spec } });
    assert.equal(code, 422);
    assert.match(String(body["message"]), want);
  });
}
