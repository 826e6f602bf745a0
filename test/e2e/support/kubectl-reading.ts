/** The commands of kubectl that look, with what people are used to see. */
import { briefPod, configMap, pod } from "./kubectl-objects.ts";
import type { Row } from "./kubectl-steps.ts";

const podColumns = /^NAME +READY +STATUS +RESTARTS +AGE$/m;

/** Rows that show what is there; what they need of their own they make first. */
export const readingRows: readonly Row[] = [
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
    name: "exec and port-forward, refused politely",
    steps: [
      {
        run: "exec pod-a -- nvidia-smi",
        code: 1,
        err: [/^Error from server \(BadRequest\): exec is not there: containers of this cluster are simulated;/m],
      },
      {
        run: "port-forward pod-a :80",
        code: 1,
        err: [/portforward is not there: containers of this cluster are simulated;/],
      },
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
  {
    name: "get --raw /metrics",
    steps: [{ run: "get --raw /metrics", out: [/^# TYPE apiserver_request_total counter$/m] }],
  },
];
