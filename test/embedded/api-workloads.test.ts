/** Defaults of workloads and budgets, and what is refused in them, in the words of a real server. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type Harness, startHarness } from "./api-support.ts";

const paths = {
  Deployment: { path: "/apis/apps/v1/namespaces/default/deployments", apiVersion: "apps/v1" },
  ReplicaSet: { path: "/apis/apps/v1/namespaces/default/replicasets", apiVersion: "apps/v1" },
  DaemonSet: { path: "/apis/apps/v1/namespaces/default/daemonsets", apiVersion: "apps/v1" },
  Job: { path: "/apis/batch/v1/namespaces/default/jobs", apiVersion: "batch/v1" },
  PodDisruptionBudget: { path: "/apis/policy/v1/namespaces/default/poddisruptionbudgets", apiVersion: "policy/v1" },
} as const;

type Kind = keyof typeof paths;

const pod = (more: object = {}) => ({ containers: [{ name: "main", image: "app:1" }], ...more });
const template = (labels: object, more: object = {}) => ({ metadata: { labels }, spec: pod(more) });
const own = { selector: { matchLabels: { app: "web" } }, template: template({ app: "web" }) };
const never = { template: template({}, { restartPolicy: "Never" }) };

function object(kind: Kind, name: string, spec: object): object {
  return { apiVersion: paths[kind].apiVersion, kind, metadata: { name }, spec };
}

suite("workloads", () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.stop());

  const defaulted: readonly { name: string; kind: Kind; spec: object; path: readonly string[]; want: unknown }[] = [
    { name: "a deployment has one replica", kind: "Deployment", spec: own, path: ["replicas"], want: 1 },
    {
      name: "an empty strategy rolls with a quarter of leeway",
      kind: "Deployment",
      spec: { ...own, strategy: {} },
      path: ["strategy"],
      want: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } },
    },
    {
      name: "one limit given leaves the other as it is by default",
      kind: "Deployment",
      spec: { ...own, strategy: { rollingUpdate: { maxSurge: 2 } } },
      path: ["strategy", "rollingUpdate"],
      want: { maxUnavailable: "25%", maxSurge: 2 },
    },
    {
      name: "Recreate has no limits",
      kind: "Deployment",
      spec: { ...own, strategy: { type: "Recreate" } },
      path: ["strategy"],
      want: { type: "Recreate" },
    },
    {
      name: "a daemon set takes one node at a time",
      kind: "DaemonSet",
      spec: own,
      path: ["updateStrategy"],
      want: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    },
    { name: "a job tries six times again", kind: "Job", spec: never, path: ["backoffLimit"], want: 6 },
    { name: "a job needs one pod", kind: "Job", spec: never, path: ["completions"], want: 1 },
    {
      name: "with parallelism alone it is done when one pod is",
      kind: "Job",
      spec: { ...never, parallelism: 3 },
      path: ["completions"],
      want: undefined,
    },
  ];
  for (const [index, { name, kind, spec, path, want }] of defaulted.entries()) {
    test(name, async () => {
      const { body, code, text } = await harness.call(paths[kind].path, {
        method: "POST",
        body: object(kind, `default-${index}`, spec),
      });
      assert.equal(code, 201, text);
      let here: unknown = body["spec"];
      for (const key of path) here = Reflect.get(Object(here), key);
      assert.deepEqual(here, want);
    });
  }

  const refused: readonly { name: string; kind: Kind; spec: object; want: RegExp }[] = [
    {
      name: "no selector",
      kind: "Deployment",
      spec: { template: template({ app: "web" }) },
      want: /spec\.selector: Required value/,
    },
    {
      name: "labels that the selector does not match",
      kind: "ReplicaSet",
      spec: { ...own, template: template({ app: "other" }) },
      want: /spec\.template\.metadata\.labels: Invalid value: .*: `selector` does not match template `labels`/,
    },
    {
      name: "fewer replicas than none",
      kind: "Deployment",
      spec: { ...own, replicas: -1 },
      want: /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/,
    },
    {
      name: "pods that are not started again",
      kind: "Deployment",
      spec: { ...own, template: template({ app: "web" }, { restartPolicy: "Never" }) },
      want: /spec\.template\.spec\.restartPolicy: Unsupported value: "Never": supported values: "Always"/,
    },
    {
      name: "a rolling update that cannot move",
      kind: "Deployment",
      spec: { ...own, strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: "0%" } } },
      want: /spec\.strategy\.rollingUpdate\.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0/,
    },
    {
      name: "limits of a strategy that has none",
      kind: "Deployment",
      spec: { ...own, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
      want: /spec\.strategy\.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'/,
    },
    {
      name: "a deadline before pods can be available",
      kind: "Deployment",
      spec: { ...own, progressDeadlineSeconds: 10, minReadySeconds: 10 },
      want: /spec\.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds/,
    },
    {
      name: "a share that is no percentage",
      kind: "Deployment",
      spec: { ...own, strategy: { rollingUpdate: { maxSurge: "a lot" } } },
      want: /spec\.strategy\.rollingUpdate\.maxSurge: Invalid value: "a lot": a valid percent string must be/,
    },
    {
      name: "surge of daemons",
      kind: "DaemonSet",
      spec: { ...own, updateStrategy: { rollingUpdate: { maxSurge: 1 } } },
      want: /spec\.updateStrategy\.rollingUpdate\.maxSurge: Forbidden: this cluster does not follow it/,
    },
    {
      name: "a job whose pods always start again",
      kind: "Job",
      spec: { template: template({}) },
      want: /spec\.template\.spec\.restartPolicy: Required value: valid values: "OnFailure", "Never"/,
    },
    {
      name: "an indexed job without a number of indexes",
      kind: "Job",
      spec: { ...never, parallelism: 2, completionMode: "Indexed" },
      want: /spec\.completions: Required value: when completion mode is Indexed/,
    },
    {
      name: "what the job controller does not follow",
      kind: "Job",
      spec: { ...never, completions: 1, backoffLimitPerIndex: 1 },
      want: /spec\.backoffLimitPerIndex: Forbidden: this cluster does not follow it/,
    },
    {
      name: "a budget that says both",
      kind: "PodDisruptionBudget",
      spec: { minAvailable: 1, maxUnavailable: 1, selector: {} },
      want: /spec: Invalid value: .*: minAvailable and maxUnavailable cannot be both set/,
    },
    {
      name: "a budget of more than all",
      kind: "PodDisruptionBudget",
      spec: { minAvailable: "101%" },
      want: /spec\.minAvailable: Invalid value: "101%": must not be greater than 100%/,
    },
  ];
  for (const { name, kind, spec, want } of refused) {
    test(`refuses ${name}`, async () => {
      const body = object(kind, "refused", spec);
      const { code, text, body: said } = await harness.call(paths[kind].path, { method: "POST", body });
      assert.equal(code, 422, text);
      assert.match(String(said["message"]), want);
    });
  }

  const fixed: readonly { kind: Kind; spec: object; change: object; want: RegExp }[] = [
    {
      kind: "Deployment",
      spec: own,
      change: {
        selector: { matchLabels: { app: "web", tier: "a" } },
        template: { metadata: { labels: { tier: "a" } } },
      },
      want: /spec\.selector: Invalid value: .*: field is immutable/,
    },
    {
      kind: "Job",
      spec: { ...never, completions: 2 },
      change: { completions: 3 },
      want: /spec\.completions: Invalid value: 3: field is immutable/,
    },
    {
      kind: "Job",
      spec: never,
      change: { template: { spec: { terminationGracePeriodSeconds: 1 } } },
      want: /spec\.template: Invalid value: .*: field is immutable/,
    },
  ];
  for (const [index, { kind, spec, change, want }] of fixed.entries()) {
    test(`refuses to change ${Object.keys(change)[0]} of a ${kind}`, async () => {
      const { path } = paths[kind];
      const name = `fixed-${index}`;
      await harness.call(path, { method: "POST", body: object(kind, name, spec) });
      const headers = { "content-type": "application/merge-patch+json" };
      const { code, body } = await harness.call(`${path}/${name}`, {
        method: "PATCH",
        body: { spec: change },
        headers,
      });
      assert.equal(code, 422);
      assert.match(String(body["message"]), want);
    });
  }

  test("a job selects its pods by its own UID, and has their labels where it has none", async () => {
    const { body } = await harness.call(paths.Job.path, { method: "POST", body: object("Job", "labelled", never) });
    const uid = String(body["metadata"]?.["uid"]);
    assert.deepEqual(body["spec"]?.["selector"], { matchLabels: { "batch.kubernetes.io/controller-uid": uid } });
    const labels = body["spec"]?.["template"]?.["metadata"]?.["labels"];
    assert.equal(labels?.["batch.kubernetes.io/job-name"], "labelled");
    assert.deepEqual(body["metadata"]?.["labels"], labels);
  });

  test("a number that is a text is refused as what it is", async () => {
    const body = object("Deployment", "refused", { ...own, minReadySeconds: "10" });
    const { code, body: said } = await harness.call(paths.Deployment.path, { method: "POST", body });
    assert.equal(code, 400);
    assert.match(
      String(said["message"]),
      /cannot unmarshal string into Go struct field Deployment\.spec\.minReadySeconds/,
    );
  });
});
