/**
 * The commands of kubectl that people use, with what they are used to see: a table for `kubectl.test.ts`.
 *
 * It is one file although long: whoever looks for a command looks in one place.
 */

/** One run of kubectl, and what it must say and end with. */
export interface Step {
  /** What follows `kubectl`; split at spaces. */
  readonly run: string;
  /** Objects for `-f -`. */
  readonly input?: readonly object[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default 0. */
  readonly code?: number;
  readonly out?: readonly RegExp[];
  readonly err?: readonly RegExp[];
  /**
   * Run one after the other while the command goes on, each when everything before was seen; the command is stopped
   * when all of `out` was.
   */
  readonly meanwhile?: readonly Step[];
}

/** A command; its steps run one after the other. */
export interface Row {
  readonly name: string;
  readonly steps: readonly Step[];
}

function configMap(name: string, data: Readonly<Record<string, string>>): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
}

interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** One of the reserved nodes, where it gets a GPU. */
  readonly node?: string;
}

function pod(name: string, { labels = {}, node }: PodOptions = {}): object {
  const image = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04";
  const resources = node === undefined ? {} : { limits: { "nvidia.com/gpu": "1" } };
  const place =
    node === undefined
      ? {}
      : { nodeSelector: { "kubernetes.io/hostname": node }, tolerations: [{ key: "reserved", operator: "Exists" }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels },
    spec: { ...place, containers: [{ name: "main", image, resources }] },
  };
}

/** A pod that fails after a second. */
function briefPod(name: string): object {
  const annotations = { "tranche.dev/run-for": "1s", "tranche.dev/exit-code": "3" };
  const containers = [{ name: "main", image: "registry.example/app:1" }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, annotations },
    spec: { restartPolicy: "Never", containers },
  };
}

const podColumns = /^NAME +READY +STATUS +RESTARTS +AGE$/m;

/** Every command, on objects of its own name so that rows can run side by side. */
export const rows: readonly Row[] = [
  { name: "get", steps: [{ run: "get pods", out: [podColumns, /^pod-a +1\/1 +Running +0 +\d+s$/m] }] },
  {
    name: "get what is not there",
    steps: [
      { run: "get pod nobody", code: 1, err: [/^Error from server \(NotFound\): pods "nobody" not found$/m] },
      { run: "get gadgets", code: 1, err: [/^error: the server doesn't have a resource type "gadgets"$/m] },
    ],
  },
  {
    name: "get -o wide",
    steps: [
      {
        run: "get pods -o wide",
        out: [
          /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/m,
          /^pod-d +1\/1 +Running +0 +\d+s +[\d.]+ +node-a100 +<none> +<none>$/m,
        ],
      },
      {
        run: "get nodes -o wide",
        out: [
          /^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME$/m,
          /^node-a100 +Ready +<none> +\d+s +v1\.\d+\.\d+ +[\d.]+ +<none> /m,
        ],
      },
    ],
  },
  {
    name: "get -o yaml",
    steps: [
      {
        run: "get pod pod-a -o yaml",
        out: [
          /^apiVersion: v1\nkind: Pod\nmetadata:\n/,
          /^ {8}nvidia\.com\/mig-1g\.10gb: "1"$/m,
          /^ {2}phase: Running$/m,
        ],
      },
    ],
  },
  {
    name: "get -o json",
    steps: [{ run: "get pods -o json", out: [/^ {4}"kind": "List",$/m, /^ {16}"name": "pod-a",$/m] }],
  },
  {
    name: "get -o jsonpath",
    steps: [
      {
        run: "get node node-a100 -o jsonpath={.status.allocatable.nvidia\\.com/mig-1g\\.10gb}/{.metadata.name}",
        out: [/^3\/node-a100$/],
      },
    ],
  },
  {
    name: "get -o custom-columns",
    steps: [
      {
        run: "get nodes -o custom-columns=NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu",
        out: [/^NODE +GPUS$/m, /^node-t4 +4$/m],
      },
    ],
  },
  {
    name: "get -A",
    steps: [
      {
        run: "get configmaps,pods -A",
        out: [
          /^NAMESPACE +NAME +DATA +AGE$/m,
          /^gpu-operator +configmap\/mig-parted-config +1 +\d+s$/m,
          /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE$/m,
          /^default +pod\/pod-h +1\/1 +Running +0 +\d+s$/m,
        ],
      },
    ],
  },
  {
    name: "get -w",
    steps: [
      { run: "create -f -", input: [configMap("watched", { a: "1" })] },
      {
        run: "get configmap watched -w",
        out: [/^NAME +DATA +AGE\nwatched +1 +\d+s\nwatched +2 +\d+s\n/],
        meanwhile: [{ run: 'patch configmap watched -p {"data":{"b":"2"}}' }],
      },
    ],
  },
  {
    name: "get --watch-only",
    steps: [
      {
        run: "get pods -l row=watch-only --watch-only --output-watch-events",
        out: [/^ADDED +only /m, /^MODIFIED +only +1\/1 +Running +0 +\d+s$/m, /^DELETED +only /m],
        meanwhile: [
          { run: "create -f -", input: [pod("only", { labels: { row: "watch-only" } })] },
          { run: "wait --for=condition=Ready pod/only --timeout=20s" },
          { run: "delete pod only --now" },
        ],
      },
    ],
  },
  {
    name: "get -l",
    steps: [{ run: "get nodes -l nvidia.com/mig.config=three-small-one-large -o name", out: [/^node\/node-a100\n$/] }],
  },
  {
    name: "get --field-selector",
    steps: [
      {
        run: "get pods --field-selector spec.nodeName=node-t4,status.phase=Running -o name",
        out: [/^pod\/pod-e\npod\/pod-f\npod\/pod-g\npod\/pod-h\n$/],
      },
    ],
  },
  {
    name: "describe node",
    steps: [
      {
        run: "describe node node-a100",
        out: [
          /^Name: +node-a100$/m,
          /^ +nvidia\.com\/mig\.config\.state=success$/m,
          /^ +Ready +True .*kubelet is posting ready status$/m,
          /^Capacity:\n(.*\n)* +nvidia\.com\/mig-1g\.10gb: +3$/m,
          /^Allocatable:\n(.*\n)* +nvidia\.com\/mig-3g\.40gb: +1$/m,
          /^Non-terminated Pods: +\(\d+ in total\)$/m,
          /^ +default +pod-d +0 \(0%\)/m,
          /^ +nvidia\.com\/mig-1g\.10gb +3 +3$/m,
          /^ +Normal +Repartition .*tranche-agent +GPU 0: .*4 created/m,
        ],
      },
    ],
  },
  {
    name: "describe pod",
    steps: [
      {
        run: "describe pod pod-a",
        out: [
          /^Name: +pod-a$/m,
          /^Node: +node-a100\/[\d.]+$/m,
          /^Status: +Running$/m,
          /^ +Limits:\n +nvidia\.com\/mig-1g\.10gb: +1$/m,
          /^ +PodScheduled +True *$/m,
          /^QoS Class: +BestEffort$/m,
          /^ +Normal +Scheduled +\d+s +default-scheduler +Successfully assigned default\/pod-a to node-a100$/m,
          /^ +Normal +Started +\d+s +kubelet +Container started$/m,
        ],
      },
    ],
  },
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
    name: "taint",
    steps: [
      { run: "taint node node-l40s team=ml:PreferNoSchedule", out: [/^node\/node-l40s tainted$/m] },
      { run: "describe node node-l40s", out: [/^(Taints:)? +team=ml:PreferNoSchedule$/m] },
      { run: "taint node node-l40s team-", out: [/^node\/node-l40s untainted$/m] },
    ],
  },
  {
    name: "events",
    steps: [
      {
        run: "events --for pod/pod-a",
        out: [
          /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$/m,
          /^\d+s +Normal +Scheduled +Pod\/pod-a +Successfully assigned default\/pod-a to node-a100$/m,
        ],
      },
      {
        run: "get events --field-selector involvedObject.name=node-a100",
        out: [/^\d+s +Normal +Repartition +node\/node-a100 +GPU 0: /m],
      },
    ],
  },
  {
    name: "logs",
    steps: [
      { run: "logs pod-a", out: [/^sees GPU 0 1g\.10gb@\d \(\d+ MiB\)$/m, /^asks for 6144 MiB of GPU memory$/m] },
      { run: "logs pod-a --tail=1 --timestamps", out: [/^\d{4}-\d\d-\d\dT[\d:.]+Z runs until it is told to stop\n$/] },
      { run: "logs pod-a -c other", code: 1, err: [/container other is not valid for pod pod-a/] },
    ],
  },
  {
    name: "logs -f",
    steps: [
      { run: "create -f -", input: [briefPod("brief")] },
      { run: "wait --for=jsonpath={.status.containerStatuses[0].containerID} pod/brief --timeout=20s" },
      { run: "logs -f brief", out: [/^runs for 1 s\nends with exit code 3\n$/m] },
      { run: "get pod brief", out: [/^brief +0\/1 +Error +0 +\d+s$/m] },
    ],
  },
  {
    name: "top, refused politely",
    steps: [
      { run: "top node", code: 1, err: [/^error: Metrics API not available$/m] },
      { run: "top pod", code: 1, err: [/^error: Metrics API not available$/m] },
    ],
  },
  {
    name: "api-resources",
    steps: [
      {
        run: "api-resources",
        out: [
          /^NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND$/m,
          /^pods +po +v1 +true +Pod$/m,
          /^nodes +no +v1 +false +Node$/m,
          /^deployments +deploy +apps\/v1 +true +Deployment$/m,
          /^clusterpolicies +nvidia\.com\/v1 +false +ClusterPolicy$/m,
        ],
      },
    ],
  },
  {
    name: "explain",
    steps: [
      {
        run: "explain pod.spec",
        out: [
          /^KIND: +Pod\nVERSION: +v1\n\nFIELD: spec <PodSpec>$/m,
          /^DESCRIPTION:$/m,
          /^ {2}containers\t<\[\]Container> -required-$/m,
        ],
      },
      { run: "explain pod.spec.nothing", code: 1, err: [/^error: field "nothing" does not exist$/m] },
      { run: "explain clusterpolicy.spec.mig", out: [/^GROUP: +nvidia\.com$/m, /^ {2}strategy\t<string>$/m] },
    ],
  },
  {
    name: "auth",
    steps: [
      { run: "auth can-i create pods", out: [/^yes$/m] },
      { run: "auth can-i --list", out: [/^\*\.\* +\[\] +\[\] +\[\*\]$/m] },
      { run: "auth whoami", out: [/^Username +tranche$/m] },
    ],
  },
];
