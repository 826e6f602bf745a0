/** Choice of devices and its refusals: Kubernetes 1.36 pkg/kubelet/cm/devicemanager/manager.go `devicesToAllocate`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeviceTable, fillUp, screen } from "../../src/embedded/kubelet/device-table.ts";

const res = "nvidia.com/gpu";
const noAnswer = { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices: [] };

/** Devices as `a b !c` (c unhealthy), holdings as `pod/container=a,b`. */
function tableOf(devices: string | undefined, holdings: string): DeviceTable {
  const table = new DeviceTable();
  if (devices !== undefined) {
    const ids = devices.split(" ").filter((id) => id !== "");
    table.setDevices(
      res,
      ids.map((id) => ({ id: id.replace("!", ""), healthy: !id.startsWith("!"), numaNode: undefined })),
    );
  }
  for (const text of holdings.split(" ").filter((one) => one !== "")) {
    const [owner = "", ids = ""] = text.split("=");
    const [podUid = "", container = ""] = owner.split("/");
    table.record({ podUid, container, resource: res, deviceIds: ids.split(","), answer: noAnswer });
  }
  return table;
}

const rows = [
  {
    name: "an unknown resource is refused",
    devices: undefined,
    held: "",
    count: 1,
    want: "cannot allocate unregistered device nvidia.com/gpu",
  },
  {
    name: "a plugin that lists nothing healthy is refused",
    devices: "!a !b",
    held: "",
    count: 1,
    want: "no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu",
  },
  {
    name: "a fifth pod on four replicas is refused",
    devices: "a b c d",
    held: "p1/m=a p2/m=b p3/m=c p4/m=d",
    count: 1,
    want: "requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0",
  },
  {
    name: "unhealthy devices are not available",
    devices: "a b !c",
    held: "p1/m=a",
    count: 2,
    want: "requested number of devices unavailable for nvidia.com/gpu. Requested: 2, Available: 1",
  },
  {
    name: "what init containers left counts towards the request",
    devices: "a b",
    held: "me/init=a p1/m=b",
    reusable: ["a"],
    count: 2,
    want: "requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0",
  },
  {
    name: "a changed request is refused",
    devices: "a b",
    held: "me/main=a",
    count: 2,
    want: 'pod "me" container "main" changed request for resource "nvidia.com/gpu" from 1 to 2',
  },
  {
    name: "a container whose device fell ill is refused",
    devices: "!a b",
    held: "me/main=a",
    count: 1,
    want: "previously allocated devices are no longer healthy; cannot allocate unhealthy devices nvidia.com/gpu",
  },
  { name: "a container keeps what it has", devices: "a b", held: "me/main=a", count: 1, want: "held" },
  { name: "nothing is asked for", devices: "a b", held: "", count: 0, want: "held" },
  { name: "free devices are offered", devices: "a b !c d", held: "p1/m=b", count: 1, want: "of a d choose 1" },
  {
    name: "reused devices come first",
    devices: "a b",
    held: "me/init=a",
    reusable: ["a"],
    count: 1,
    want: "of  choose 0 beside a",
  },
];
for (const { name, devices, held, count, reusable = [], want } of rows) {
  test(name, () => {
    const demand = { podUid: "me", container: "main", resource: res, count };
    const answer = screen(tableOf(devices, held), demand, new Set(reusable));
    assert.equal(textOf(answer), want);
  });
}

function textOf(answer: ReturnType<typeof screen>): string {
  if (answer.kind === "held") return "held";
  if (answer.kind === "refused") return answer.error;
  const beside = answer.reused.length === 0 ? "" : ` beside ${answer.reused.join(" ")}`;
  return `of ${answer.available.join(" ")} choose ${answer.missing}${beside}`;
}

const fillings = [
  { name: "the plugin's preference decides", available: "a b c", missing: 2, preferred: "c b", want: "c b" },
  { name: "a short preference is filled up", available: "a b c", missing: 2, preferred: "c", want: "c a" },
  {
    name: "a preference for devices that are not free is passed over",
    available: "a b",
    missing: 1,
    preferred: "x b",
    want: "b",
  },
  { name: "a long preference is cut", available: "a b c", missing: 1, preferred: "b c", want: "b" },
  { name: "reused devices stay in front", available: "b c", missing: 1, reused: "a", preferred: "a c", want: "a c" },
];
for (const { name, available, missing, reused = "", preferred, want } of fillings) {
  test(name, () => {
    const ids = (text: string): string[] => text.split(" ").filter((one) => one !== "");
    const choice = { reused: ids(reused), available: ids(available), missing };
    assert.equal(fillUp(choice, ids(preferred)).join(" "), want);
  });
}

test("unhealthy devices count in the capacity only", () => {
  assert.deepEqual(tableOf("a !b c", "").counts(res), { capacity: 3, allocatable: 2 });
});

test("a plugin that is out of reach leaves its devices in the capacity, none allocatable", () => {
  const table = tableOf("a b", "");
  table.markUnhealthy(res);
  assert.deepEqual(table.counts(res), { capacity: 2, allocatable: 0 });
});

test("a device listed twice counts once", () => {
  assert.deepEqual(tableOf("a a b", "").counts(res), { capacity: 2, allocatable: 2 });
});

test("devices of pods that have ended become free", () => {
  const table = tableOf("a b", "p1/m=a p2/m=b");
  table.keepOnly(new Set(["p2"]));
  assert.deepEqual([...table.inUse(res)], ["b"]);
});
