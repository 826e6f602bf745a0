/** What is said about a sharing configuration that asks for what the node cannot give as written. */
import { type Finding, finding } from "../base/index.ts";
import type { SharedResource } from "../config/index.ts";
import type { ChosenDevices } from "./chosen-devices.ts";
import type { NodeDevice } from "./node-device.ts";
import type { NamedDevices } from "./strategy.ts";
import { devicesText, resourceSubject } from "./subject.ts";

/** One device as one entry shares it, under the name it gets. */
export interface Listing {
  readonly entry: SharedResource;
  readonly target: string;
  readonly one: NodeDevice;
  readonly replicas: number;
}

/** An entry whose resource the node does not have. */
export function absentResourceFinding(entry: SharedResource, nodeName: string, named: NamedDevices): Finding {
  const has = named.size === 0 ? "it has none" : `it has ${[...named.keys()].join(", ")}`;
  return finding(
    "shared-resource-absent",
    resourceSubject(nodeName, entry.name),
    `${nodeName} has no ${entry.name} to share by ${entry.replicas}; ${has}`,
    { place: entry.place, evidence: { resources: [...named.keys()] } },
  );
}

/** An entry that names devices, or a number of them, which the resource does not have. */
export function absentDeviceFinding(chosen: ChosenDevices, devices: readonly NodeDevice[], nodeName: string): Finding {
  const { entry, absent, short } = chosen;
  const wanted =
    short > 0
      ? `${short + chosen.devices.length} devices of ${entry.name} are to be shared and ${nodeName} has ${chosen.devices.length} to choose from`
      : `${entry.name} of ${nodeName} has no device ${absent.join(", ")}`;
  return finding(
    "shared-device-absent",
    resourceSubject(nodeName, entry.name),
    `${wanted}; this entry shares ${chosen.devices.length === 0 ? "nothing" : devicesText(chosen.devices)}`,
    {
      remedy: `name devices that exist: ${devices.map(({ device }) => device.index).join(", ")}`,
      place: entry.place,
      evidence: { absent, short },
    },
  );
}

/** Devices listed more than once: under one name with different numbers, or under several names. */
export function listedTwiceFindings(listings: readonly Listing[], nodeName: string): readonly Finding[] {
  const twice = [...Map.groupBy(listings, ({ one }) => one).values()].filter((list) => list.length > 1);
  const alike = Map.groupBy(twice, (list) =>
    list.map(({ target, replicas }) => `${replicas} of ${target}`).join(" and "),
  );
  const findings: Finding[] = [];
  for (const [text, lists] of alike) {
    const list = lists[0] ?? [];
    const entry = list.at(-1)?.entry;
    if (entry === undefined) continue;
    const isOneName = new Set(list.map(({ target }) => target)).size === 1;
    const outcome = isOneName
      ? `the larger number, ${Math.max(...list.map(({ replicas }) => replicas))}, counts`
      : "all of them take from the same device";
    const devices = lists.flatMap((each) => each.slice(0, 1).map(({ one }) => one));
    findings.push(
      finding(
        "device-shared-twice",
        resourceSubject(nodeName, entry.name),
        `${devicesText(devices)} of ${nodeName}: shared as ${text}; ${outcome}`,
        { remedy: "list each device in one entry only", place: entry.place },
      ),
    );
  }
  return findings;
}

/** Devices that MPS cannot share, one finding for each reason. */
export function mpsObstacleFindings(
  entry: SharedResource,
  obstacles: readonly { readonly one: NodeDevice; readonly obstacle: string | undefined }[],
  nodeName: string,
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [obstacle, list] of Map.groupBy(obstacles, (each) => each.obstacle)) {
    if (obstacle === undefined) continue;
    const devices = list.map(({ one }) => one);
    findings.push(
      finding(
        "mps-not-possible",
        resourceSubject(nodeName, entry.name),
        `${obstacle}; left unshared as ${entry.name}: ${devicesText(devices)} of ${nodeName}`,
        {
          remedy: "use timeSlicing for this resource, or set flags.mpsRoot if that is what is missing",
          place: entry.place,
          evidence: { devices: devices.map(({ device }) => device.id) },
        },
      ),
    );
  }
  return findings;
}

/** A device of which MPS has fewer clients than an entry wants. */
export interface ClientLimit {
  readonly one: NodeDevice;
  /** Clients of the device, under all its names. */
  readonly limit: number;
  /** What is left of them for the entry. */
  readonly offered: number;
}

/** More replicas than MPS has clients. */
export function clientLimitFinding(
  entry: SharedResource,
  { one, limit, offered }: ClientLimit,
  nodeName: string,
): Finding {
  return finding(
    "mps-client-limit",
    resourceSubject(nodeName, entry.name),
    `${entry.replicas} MPS shares are asked for ${entry.name} of ${nodeName} and MPS takes ${limit} clients of ${devicesText([one])}; ${offered} are offered`,
    {
      remedy: `let the replicas of such a device be ${limit} or less, under all its names together`,
      place: entry.place,
    },
  );
}
