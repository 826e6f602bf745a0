/** The commands of kubectl that change something, with what people are used to see. */
import { budget, configMap, gpuTeam, gpuTeamDefinition, pod } from "./kubectl-objects.ts";
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
    name: "apply --server-side",
    steps: [
      {
        run: "apply --server-side -f -",
        input: [configMap("owned", { a: "1" })],
        out: [/^configmap\/owned serverside-applied$/m],
      },
      {
        run: "apply --server-side --field-manager=pipeline -f -",
        input: [configMap("owned", { a: "2" })],
        code: 1,
        err: [/^error: Apply failed with 1 conflict: conflict with "kubectl": \.data\.a$/m],
      },
      {
        run: "apply --server-side --field-manager=pipeline --force-conflicts -f -",
        input: [configMap("owned", { a: "2" })],
        out: [/^configmap\/owned serverside-applied$/m],
      },
      {
        run: "get configmap owned -o jsonpath={.data}{.metadata.managedFields[*].manager} --show-managed-fields",
        out: [/^{"a":"2"}pipeline$/],
      },
      {
        run: "diff --server-side --field-manager=pipeline -f -",
        input: [configMap("owned", { b: "2" })],
        code: 1,
        out: [/^- {2}a: "2"\n\+ {2}b: "2"$/m],
      },
    ],
  },
  {
    name: "apply --server-side after apply",
    steps: [
      { run: "apply -f -", input: [configMap("migrated", { a: "1", b: "1" })] },
      { run: "apply --server-side -f -", input: [configMap("migrated", { a: "2" })] },
      { run: "get configmap migrated -o jsonpath={.data}", out: [/^{"a":"2"}$/] },
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
      {
        run: "create -f -",
        input: [{ ...configMap("misspelt", {}), dataa: { a: "1" } }],
        code: 1,
        err: [
          /^Error from server \(BadRequest\): error when creating "STDIN": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dataa"$/m,
        ],
      },
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
      { run: "uncordon node-l4" },
      // Kept by a budget, then let through.
      {
        run: "create -f -",
        input: [budget("keeper", "kept"), pod("kept", { labels: { app: "kept" }, node: "node-l4" })],
      },
      { run: "wait --for=condition=Ready pod/kept --timeout=20s" },
      { run: "wait --for=jsonpath={.status.currentHealthy}=1 pdb/keeper --timeout=20s" },
      {
        run: "drain node-l4 --force --timeout=1s",
        code: 1,
        out: [/^node\/node-l4 cordoned$/m, /^evicting pod default\/kept$/m],
        err: [
          /^error when evicting pods\/"kept" -n "default" \(will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget\.$/m,
          /global timeout reached: 1s/,
        ],
      },
      { run: "get pod kept -o jsonpath={.status.phase}", out: [/^Running$/] },
      { run: 'patch pdb keeper --type=merge -p {"spec":{"minAvailable":0}}' },
      { run: "wait --for=jsonpath={.status.disruptionsAllowed}=1 pdb/keeper --timeout=20s" },
      {
        run: "drain node-l4 --force --timeout=20s",
        out: [/^pod\/kept evicted$/m, /^node\/node-l4 drained$/m],
      },
      { run: "get pods -l app=kept", err: [/^No resources found in default namespace\.$/m] },
    ],
  },
  {
    name: "scale",
    steps: [
      { run: "create deployment sized --image=registry.example/app:1 --replicas=1" },
      { run: "rollout status deployment/sized --timeout=20s" },
      { run: "scale deployment/sized --replicas=3", out: [/^deployment\.apps\/sized scaled$/m] },
      { run: "rollout status deployment/sized --timeout=20s" },
      { run: "get deployment sized -o jsonpath={.status.readyReplicas}", out: [/^3$/] },
      {
        run: "scale deployment/sized --current-replicas=1 --replicas=2",
        code: 1,
        err: [/^error: Expected replicas to be 1, was 3$/m],
      },
      {
        run: "get deployment sized --subresource=scale -o jsonpath={.kind}:{.spec.replicas}:{.status.selector}",
        out: [/^Scale:3:app=sized$/],
      },
      { run: "scale deployment/sized --replicas=0" },
      { run: "wait --for=delete pod -l app=sized --timeout=20s" },
      { run: "get pods -l app=sized", err: [/^No resources found in default namespace\.$/m] },
    ],
  },
  {
    name: "delete --cascade",
    steps: [
      { run: "create deployment parent --image=registry.example/app:1 --replicas=2" },
      { run: "rollout status deployment/parent --timeout=20s" },
      {
        run: "delete deployment parent --cascade=orphan",
        out: [/^deployment\.apps "parent" deleted from default namespace$/m],
      },
      { run: "get replicasets -l app=parent -o jsonpath={.items[*].metadata.ownerReferences}", out: [/^$/] },
      { run: "get pods -l app=parent", out: [/^parent-[a-z0-9]+-[a-z0-9]{5} +1\/1 +Running +0 +\d+s$/m] },
      {
        run: "delete replicasets -l app=parent --cascade=foreground --timeout=20s",
        out: [/^replicaset\.apps "parent-[a-z0-9]+" deleted from default namespace$/m],
      },
      // The replica set waited for its pods, and the command for the replica set.
      { run: "get pods -l app=parent", err: [/^No resources found in default namespace\.$/m] },
      { run: "create deployment parent --image=registry.example/app:1" },
      { run: "rollout status deployment/parent --timeout=20s" },
      { run: "delete deployment parent" },
      { run: "wait --for=delete replicasets,pods -l app=parent --timeout=20s" },
      { run: "get replicasets,pods -l app=parent", err: [/^No resources found in default namespace\.$/m] },
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
