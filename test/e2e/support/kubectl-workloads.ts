/** The commands of kubectl about workloads, with what people are used to see. */
import type { Row } from "./kubectl-steps.ts";

/** A workload whose pods need nothing; they run until they are deleted if annotations do not say otherwise. */
function workload(apiVersion: string, kind: string, name: string, spec: Readonly<Record<string, unknown>>): object {
  return { apiVersion, kind, metadata: { name }, spec };
}

interface TemplateOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly restartPolicy?: string;
}

function template(name: string, { annotations = {}, restartPolicy = "Always" }: TemplateOptions = {}): object {
  const containers = [{ name: "main", image: "registry.example/app:1" }];
  const spec = { restartPolicy, terminationGracePeriodSeconds: 1, containers };
  return { metadata: { labels: { app: name }, annotations }, spec };
}

function selector(name: string): object {
  return { matchLabels: { app: name } };
}

/** Rows about workloads, on objects of their own names so that rows can run side by side. */
export const workloadRows: readonly Row[] = [
  {
    name: "create deployment, get deployments and replicasets",
    steps: [
      {
        run: "create deployment web --image=registry.example/app:1 --replicas=2",
        out: [/^deployment\.apps\/web created$/m],
      },
      { run: "rollout status deployment web --timeout=60s", out: [/^deployment "web" successfully rolled out$/m] },
      { run: "get deployments web", out: [/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 +\d+s$/m] },
      {
        run: "get replicasets -l app=web",
        out: [/^NAME +DESIRED +CURRENT +READY +AGE\nweb-[a-z0-9]+ +2 +2 +2 +\d+s$/m],
      },
      {
        run: "describe deployment web",
        out: [
          /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$/m,
          /^StrategyType: +RollingUpdate$/m,
          /^RollingUpdateStrategy: +25% max unavailable, 25% max surge$/m,
          /^ +Available +True +MinimumReplicasAvailable$/m,
          /^ +Progressing +True +NewReplicaSetAvailable$/m,
          /^NewReplicaSet: +web-[a-z0-9]+ \(2\/2 replicas created\)$/m,
          /ScalingReplicaSet +\d+s +deployment-controller +Scaled up replica set web-[a-z0-9]+ from 0 to 2$/m,
        ],
      },
      { run: "delete deployment web", out: [/^deployment\.apps "web" deleted/m] },
      { run: "wait --for=delete pods -l app=web --timeout=60s" },
    ],
  },
  {
    name: "set image, rollout status, history, undo and restart",
    steps: [
      { run: "create deployment rolled --image=registry.example/app:1 --replicas=2" },
      { run: "rollout status deployment rolled --timeout=60s" },
      {
        run: "set image deployment rolled app=registry.example/app:2",
        out: [/^deployment\.apps\/rolled image updated$/m],
      },
      { run: "rollout status deployment rolled --timeout=60s", out: [/successfully rolled out$/m] },
      { run: "rollout history deployment rolled", out: [/^1 +<none>\n2 +<none>$/m] },
      { run: "rollout undo deployment rolled", out: [/^deployment\.apps\/rolled rolled back$/m] },
      { run: "rollout status deployment rolled --timeout=60s", out: [/successfully rolled out$/m] },
      { run: "rollout history deployment rolled", out: [/^2 +<none>\n3 +<none>$/m] },
      { run: "get pods -l app=rolled -o jsonpath={.items[*].spec.containers[*].image}", out: [/app:1/] },
      { run: "rollout restart deployment rolled", out: [/^deployment\.apps\/rolled restarted$/m] },
      { run: "rollout status deployment rolled --timeout=60s", out: [/successfully rolled out$/m] },
    ],
  },
  {
    name: "rollout pause and resume",
    steps: [
      { run: "create deployment paused --image=registry.example/app:1" },
      { run: "rollout status deployment paused --timeout=60s" },
      { run: "rollout pause deployment paused", out: [/^deployment\.apps\/paused paused$/m] },
      { run: "set image deployment paused app=registry.example/app:2" },
      { run: "scale deployment paused --replicas=3", out: [/^deployment\.apps\/paused scaled$/m] },
      { run: "wait --for=jsonpath={.status.availableReplicas}=3 deployment/paused --timeout=60s" },
      { run: "get deployment paused -o jsonpath={.status.updatedReplicas}", out: [/^$/] },
      { run: "rollout resume deployment paused", out: [/^deployment\.apps\/paused resumed$/m] },
      { run: "rollout status deployment paused --timeout=60s", out: [/successfully rolled out$/m] },
    ],
  },
  {
    name: "create job, get jobs",
    steps: [
      { run: "create job idle --image=registry.example/app:1", out: [/^job\.batch\/idle created$/m] },
      {
        run: "create -f -",
        input: [
          workload("batch/v1", "Job", "brief", {
            completions: 3,
            parallelism: 3,
            template: template("brief", { restartPolicy: "Never", annotations: { "tranche.dev/run-for": "1s" } }),
          }),
        ],
      },
      { run: "wait --for=condition=Complete job/brief --timeout=60s", out: [/^job\.batch\/brief condition met$/m] },
      {
        run: "get jobs brief",
        out: [/^NAME +STATUS +COMPLETIONS +DURATION +AGE\nbrief +Complete +3\/3 +\d+s +\d+s$/m],
      },
      { run: "describe job brief", out: [/^Pods Statuses: +0 Active \(0 Ready\) \/ 3 Succeeded \/ 0 Failed$/m] },
      { run: "wait --for=jsonpath={.status.ready}=1 job/idle --timeout=60s" },
      { run: "get jobs idle", out: [/^idle +Running +0\/1 +\d+s +\d+s$/m] },
      { run: "delete job idle brief", out: [/^job\.batch "idle" deleted/m] },
      { run: "wait --for=delete pods -l batch.kubernetes.io/job-name=brief --timeout=60s" },
    ],
  },
  {
    name: "get daemonsets, rollout of a daemon set",
    steps: [
      {
        run: "create -f -",
        input: [
          workload("apps/v1", "DaemonSet", "everywhere", {
            selector: selector("everywhere"),
            template: template("everywhere"),
          }),
        ],
      },
      {
        run: "rollout status daemonset everywhere --timeout=60s",
        out: [/^daemon set "everywhere" successfully rolled out$/m],
      },
      {
        run: "get daemonsets everywhere",
        out: [
          /^NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\neverywhere +(\d) +\1 +\1 +\1 +\1 +<none> +\d+s$/m,
        ],
      },
      { run: "set image daemonset everywhere main=registry.example/app:2" },
      { run: "rollout status daemonset everywhere --timeout=60s", out: [/successfully rolled out$/m] },
      { run: "rollout history daemonset everywhere", out: [/^1 +<none>\n2 +<none>$/m] },
      { run: "rollout undo daemonset everywhere", out: [/^daemonset\.apps\/everywhere rolled back$/m] },
      { run: "rollout status daemonset everywhere --timeout=60s", out: [/successfully rolled out$/m] },
    ],
  },
  {
    name: "create poddisruptionbudget",
    steps: [
      { run: "create deployment guarded --image=registry.example/app:1 --replicas=3" },
      {
        run: "create pdb guarded --selector=app=guarded --min-available=50%",
        out: [/^poddisruptionbudget\.policy\/guarded created$/m],
      },
      { run: "wait --for=jsonpath={.status.disruptionsAllowed}=1 pdb/guarded --timeout=60s" },
      {
        run: "get pdb guarded",
        out: [/^NAME +MIN AVAILABLE +MAX UNAVAILABLE +ALLOWED DISRUPTIONS +AGE\nguarded +50% +N\/A +1 +\d+s$/m],
      },
    ],
  },
];
