/**
 * Which devices of a resource an entry of `sharing.<strategy>.resources` means by its `devices`.
 *
 * Forms as in NVIDIA k8s-device-plugin api/config/v1/replicas.go, whose plugin parses them and then shares everything.
 */
import type { DeviceRef, SharedResource } from "../config/index.ts";
import type { NodeDevice } from "./node-device.ts";

/** The devices an entry shares, and what it asks for in vain. */
export interface ChosenDevices {
  readonly entry: SharedResource;
  readonly devices: readonly NodeDevice[];
  /** References that match no device of the resource, as written. */
  readonly absent: readonly string[];
  /** How many devices of a count could not be had. */
  readonly short: number;
}

/**
 * Resolves the entries for one resource against its devices, in file order.
 *
 * A count takes the first devices that no list and no earlier count has taken, so that "one GPU by 4, one GPU by 2"
 * means two GPUs; NVIDIA's code leaves the choice to chance.
 */
export function chooseDevices(
  entries: readonly SharedResource[],
  devices: readonly NodeDevice[],
): readonly ChosenDevices[] {
  const taken = new Set<NodeDevice>();
  for (const { devices: choice } of entries) {
    if (choice.kind === "list") for (const ref of choice.devices) addIfFound(taken, findDevice(ref, devices));
  }
  return entries.map((entry) => resolve(entry, devices, taken));
}

/** Adds the devices a count takes to `taken`. */
function resolve(entry: SharedResource, devices: readonly NodeDevice[], taken: Set<NodeDevice>): ChosenDevices {
  const choice = entry.devices;
  switch (choice.kind) {
    case "all":
      return { entry, devices, absent: [], short: 0 };
    case "count": {
      const first = devices.filter((one) => !taken.has(one)).slice(0, choice.count);
      for (const one of first) taken.add(one);
      return { entry, devices: first, absent: [], short: choice.count - first.length };
    }
    case "list":
      return { entry, ...listed(choice.devices, devices), short: 0 };
  }
}

function listed(refs: readonly DeviceRef[], devices: readonly NodeDevice[]): Pick<ChosenDevices, "devices" | "absent"> {
  const found = new Set<NodeDevice>();
  const absent: string[] = [];
  for (const ref of refs) {
    const one = findDevice(ref, devices);
    if (one === undefined) absent.push(refText(ref));
    else found.add(one);
  }
  return { devices: [...found].sort((a, b) => a.order - b.order), absent };
}

function findDevice(ref: DeviceRef, devices: readonly NodeDevice[]): NodeDevice | undefined {
  switch (ref.kind) {
    case "uuid":
      return devices.find((one) => one.device.uuid === ref.uuid || legacyUuid(one) === ref.uuid);
    case "gpu-index":
    case "mig-index":
      return devices.find((one) => one.device.index === refText(ref));
  }
}

/** How drivers before R470 name a MIG device: `MIG-GPU-<uuid>/<GPU instance>/<compute instance>`. */
function legacyUuid({ gpu, mig }: NodeDevice): string | undefined {
  return mig === undefined ? undefined : `MIG-${gpu.uuid}/${mig.instance.id}/${mig.compute.id}`;
}

function refText(ref: DeviceRef): string {
  switch (ref.kind) {
    case "uuid":
      return ref.uuid;
    case "gpu-index":
      return String(ref.gpu);
    case "mig-index":
      return `${ref.gpu}:${ref.mig}`;
  }
}

function addIfFound(set: Set<NodeDevice>, one: NodeDevice | undefined): void {
  if (one !== undefined) set.add(one);
}
