/** The commands of kubectl that change something, with what people are used to see. */
import { configMap, gpuTeam, gpuTeamDefinition, pod } from "./kubectl-objects.ts";
import type { Row } from "./kubectl-steps.ts";

/** Rows that write, on objects of their own names so that rows can run side by side. */
export const writingRows: readonly Row[] = [
  {
    name: "apply",
    steps: [
      { run: "apply -f -", input: [configMap("applied", { a: "1", b: "1" })], out: [/^configmap\/applied created$/m] },
      {
        run: "apply -f -",
        input: [configMap("applied", { a: "1", b: "1" })],
        out: [/^configmap\/applied unchanged$/m],
      },
      { run: "apply -f -", input: [configMap("applied", { a: "2" })], out: [/^configmap\/applied configured$/m] },
      { run: "get configmap applied -o jsonpath={.data}", out: [/^{"a":"2"}$/] },
    ],
  },
  {
    name: "a custom resource",
    steps: [
      {
        run: "apply -f -",
        input: [gpuTeamDefinition],
        out: [/^customresourcedefinition\.apiextensions\.k8s\.io\/gputeams\.example\.org created$/m],
      },
      { run: "wait --for=condition=Established crd/gputeams.example.org --timeout=20s", out: [/ condition met$/m] },
      { run: "apply -f -", input: [gpuTeam({ gpus: 4 })], out: [/^gputeam\.example\.org\/vision created$/m] },
      { run: "get gputeams", out: [/^NAME +GPUS +AGE\nvision +4 +\d+s$/m] },
      {
        run: "apply -f -",
        input: [gpuTeam({ gpus: 4, gpu: 5 })],
        code: 1,
        err: [/strict decoding error: unknown field "spec\.gpu"/],
      },
      {
        run: "apply --validate=warn -f -",
        input: [gpuTeam({ gpus: 4, gpu: 5 })],
        err: [/^Warning: unknown field "spec\.gpu"$/m],
      },
      {
        run: "apply -f -",
        input: [gpuTeam({ gpus: "many" })],
        code: 1,
        err: [/spec\.gpus: Invalid value: "string": spec\.gpus in body must be of type integer: "string"/],
      },
      { run: "explain gputeam.spec.gpus", out: [/^FIELD: gpus <integer>$/m, /How many GPUs the team may hold\./] },
    ],
  },
  {
    name: "diff",
    steps: [
      { run: "apply -f -", input: [configMap("differing", { level: "low" })] },
      { run: "diff -f -", input: [configMap("differing", { level: "low" })], out: [/^$/] },
      {
        run: "diff -f -",
        input: [configMap("differing", { level: "high" })],
        code: 1,
        out: [/^- {2}level: low\n\+ {2}level: high$/m],
      },
    ],
  },
  {
    name: "create",
    steps: [
      { run: "create configmap made --from-literal=a=1", out: [/^configmap\/made created$/m] },
      {
        run: "create configmap made --from-literal=a=1",
        code: 1,
        err: [/^error: failed to create configmap: configmaps "made" already exists$/m],
      },
      { run: "create namespace made", out: [/^namespace\/made created$/m] },
      { run: "create -f -", input: [pod("made")], out: [/^pod\/made created$/m] },
    ],
  },
  {
    name: "edit",
    steps: [
      { run: "create configmap edited --from-literal=level=low" },
      {
        run: "edit configmap edited",
        env: { KUBE_EDITOR: "sed -i s/low/high/" },
        out: [/^configmap\/edited edited$/m],
      },
      { run: "get configmap edited -o jsonpath={.data.level}", out: [/^high$/] },
      { run: "edit configmap edited", env: { KUBE_EDITOR: "true" }, err: [/^Edit cancelled, no changes made\.$/m] },
    ],
  },
  {
    name: "label",
    steps: [
      { run: "create configmap labelled" },
      { run: "label configmap labelled team=a", out: [/^configmap\/labelled labeled$/m] },
      {
        run: "label configmap labelled team=b",
        code: 1,
        err: [/^error: 'team' already has a value \(a\), and --overwrite is false$/m],
      },
      { run: "label configmap labelled team=b --overwrite", out: [/^configmap\/labelled labeled$/m] },
      { run: "get configmaps -l team=b -o name", out: [/^configmap\/labelled\n$/] },
      { run: "label configmap labelled team-", out: [/^configmap\/labelled unlabeled$/m] },
    ],
  },
  {
    name: "annotate",
    steps: [
      { run: "create configmap annotated" },
      { run: "annotate configmap annotated note=hello", out: [/^configmap\/annotated annotated$/m] },
      { run: "get configmap annotated -o jsonpath={.metadata.annotations.note}", out: [/^hello$/] },
    ],
  },
  {
    name: "patch --type=strategic",
    steps: [
      { run: "create -f -", input: [pod("patched")] },
      {
        run: 'patch pod patched -p {"spec":{"containers":[{"name":"main","image":"registry.example/new:2"}]}}',
        out: [/^pod\/patched patched$/m],
      },
      {
        run: "get pod patched -o jsonpath={.spec.containers[*].name}={.spec.containers[*].image}",
        out: [/^main=registry\.example\/new:2$/],
      },
    ],
  },
  {
    name: "patch --type=merge",
    steps: [
      { run: "create configmap merged --from-literal=a=1 --from-literal=b=1" },
      { run: 'patch configmap merged --type=merge -p {"data":{"a":null}}', out: [/^configmap\/merged patched$/m] },
      {
        run: 'patch configmap merged --type=merge -p {"data":{"b":"1"}}',
        out: [/^configmap\/merged patched \(no change\)$/m],
      },
      { run: "get configmap merged -o jsonpath={.data}", out: [/^{"b":"1"}$/] },
    ],
  },
  {
    name: "patch --type=json",
    steps: [
      { run: "create configmap json-patched --from-literal=a=1" },
      {
        run: 'patch configmap json-patched --type=json -p [{"op":"test","path":"/data/a","value":"1"},{"op":"move","from":"/data/a","path":"/data/b"}]',
        out: [/^configmap\/json-patched patched$/m],
      },
      { run: "get configmap json-patched -o jsonpath={.data}", out: [/^{"b":"1"}$/] },
    ],
  },
  {
    name: "delete",
    steps: [
      { run: "create -f -", input: [pod("deleted"), configMap("deleted", {})] },
      {
        run: "delete pod/deleted configmap/deleted",
        out: [
          /^pod "deleted" deleted from default namespace$/m,
          /^configmap "deleted" deleted from default namespace$/m,
        ],
      },
      { run: "get pod/deleted configmap/deleted --ignore-not-found", out: [/^$/] },
      { run: "delete pod deleted", code: 1, err: [/^Error from server \(NotFound\): pods "deleted" not found$/m] },
    ],
  },
  {
    name: "wait --for=condition=Ready",
    steps: [
      { run: "create -f -", input: [pod("waited")] },
      { run: "wait --for=condition=Ready pod/waited --timeout=20s", out: [/^pod\/waited condition met$/m] },
      {
        run: "wait --for=condition=Nonsense pod/waited --timeout=10ms",
        code: 1,
        err: [/^error: timed out waiting for the condition on pods\/waited$/m],
      },
    ],
  },
  {
    name: "cordon",
    steps: [
      { run: "cordon node-l40s", out: [/^node\/node-l40s cordoned$/m] },
      { run: "get node node-l40s", out: [/^node-l40s +Ready,SchedulingDisabled +<none> /m] },
      { run: "cordon node-l40s", out: [/^node\/node-l40s already cordoned$/m] },
      { run: "uncordon node-l40s", out: [/^node\/node-l40s uncordoned$/m] },
    ],
  },
  {
    name: "drain",
    steps: [
      { run: "create -f -", input: [pod("drained", { node: "node-l4" })] },
      { run: "wait --for=condition=Ready pod/drained --timeout=20s" },
      {
        run: "drain node-l4",
        code: 1,
        out: [/^node\/node-l4 cordoned$/m],
        err: [
          /cannot delete cannot delete Pods that declare no controller \(use --force to override\): default\/drained/,
        ],
      },
      {
        run: "drain node-l4 --force --timeout=20s",
        out: [/^evicting pod default\/drained$/m, /^pod\/drained evicted$/m, /^node\/node-l4 drained$/m],
      },
      { run: "get pod drained --ignore-not-found", out: [/^$/] },
      { run: "get node node-l4", out: [/^node-l4 +Ready,SchedulingDisabled +<none> /m] },
    ],
  },
  {
    name: "taint",
    steps: [
      { run: "taint node node-l40s team=ml:PreferNoSchedule", out: [/^node\/node-l40s tainted$/m] },
      { run: "describe node node-l40s", out: [/^(Taints:)? +team=ml:PreferNoSchedule$/m] },
      { run: "taint node node-l40s team-", out: [/^node\/node-l40s untainted$/m] },
    ],
  },
];
