/**
 * Turns named devices into shares as `sharing` of a device-plugin file says.
 *
 * Replica ids, renaming and the larger number for a device listed twice are NVIDIA's (k8s-device-plugin
 * internal/rm/device_map.go). `devices` and `rename` are honoured, which NVIDIA's plugin parses and drops.
 */
import type { Finding } from "../base/index.ts";
import type { SharedResource, SharingConfig } from "../config/index.ts";
import { type ChosenDevices, chooseDevices } from "./chosen-devices.ts";
import { mpsClientLimit, mpsObstacle } from "./mps.ts";
import type { NodeDevice } from "./node-device.ts";
import {
  absentDeviceFinding,
  absentResourceFinding,
  type ClientLimit,
  clientLimitFinding,
  type Listing,
  listedTwiceFindings,
  mpsObstacleFindings,
} from "./sharing-findings.ts";
import type { NamedDevices } from "./strategy.ts";

/** A device under a resource name: as it is (`replicas` 0), or as that many shares. */
export interface Portion {
  readonly one: NodeDevice;
  readonly replicas: number;
}

export interface SharingRequest {
  readonly sharing: SharingConfig;
  readonly mpsRoot: string;
  readonly nodeName: string;
}

/** Resource name to its portions in device order; a share that cannot work leaves its device whole under its own name. */
export function shareDevices(
  named: NamedDevices,
  request: SharingRequest,
): { readonly portions: ReadonlyMap<string, readonly Portion[]>; readonly findings: readonly Finding[] } {
  const { sharing, nodeName } = request;
  const findings: Finding[] = [];
  const portions = new Map<string, Portion[]>();
  const put = (resource: string, portion: Portion): void => {
    const list = portions.get(resource);
    if (list === undefined) portions.set(resource, [portion]);
    else list.push(portion);
  };
  const entriesByName = Map.groupBy(sharing.strategy === "none" ? [] : sharing.resources, (entry) => entry.name);
  for (const [name, entries] of entriesByName) {
    if (!named.has(name)) findings.push(...entries.map((entry) => absentResourceFinding(entry, nodeName, named)));
  }
  for (const [name, devices] of named) {
    const listings: Listing[] = [];
    for (const chosen of chooseDevices(entriesByName.get(name) ?? [], devices)) {
      if (chosen.absent.length > 0 || chosen.short > 0) findings.push(absentDeviceFinding(chosen, devices, nodeName));
      listings.push(...listingsOf(chosen, request, findings));
    }
    findings.push(...listedTwiceFindings(listings, nodeName));
    const fitting = withinClientLimit(largest(listings), request, findings);
    for (const { target, one, replicas } of fitting) put(target, { one, replicas });
    const shared = new Set(listings.map(({ one }) => one));
    for (const one of devices) if (!shared.has(one)) put(name, { one, replicas: 0 });
  }
  for (const list of portions.values()) list.sort((a, b) => a.one.order - b.one.order);
  return { portions, findings };
}

/** What one entry makes of its devices, those that MPS cannot share left out. */
function listingsOf(chosen: ChosenDevices, request: SharingRequest, findings: Finding[]): readonly Listing[] {
  const { entry, devices } = chosen;
  const target = targetName(entry, request.sharing);
  if (request.sharing.strategy !== "mps") {
    return devices.map((one) => ({ entry, target, one, replicas: entry.replicas }));
  }
  const obstacles = devices.map((one) => ({ one, obstacle: mpsObstacle(one, request.mpsRoot) }));
  const possible = obstacles.filter(({ obstacle }) => obstacle === undefined);
  findings.push(...mpsObstacleFindings(entry, obstacles, request.nodeName));
  return possible.map(({ one }) => ({ entry, target, one, replicas: entry.replicas }));
}

function targetName(entry: SharedResource, sharing: SharingConfig): string {
  return entry.rename ?? (sharing.renameByDefault ? `${entry.name}.shared` : entry.name);
}

/** A device's MPS server takes so many clients, under whatever names they come; who is listed first has its shares first. */
function withinClientLimit(
  listings: Iterable<Listing>,
  { sharing, nodeName }: SharingRequest,
  findings: Finding[],
): readonly Listing[] {
  if (sharing.strategy !== "mps") return [...listings];
  const left = new Map<NodeDevice, number>();
  const cut = new Map<SharedResource, ClientLimit>();
  const fitting = [...listings].flatMap((listing) => {
    const { one, entry } = listing;
    const limit = mpsClientLimit(one);
    const free = left.get(one) ?? limit;
    const replicas = Math.min(listing.replicas, free);
    left.set(one, free - replicas);
    if (replicas < Math.min(listing.replicas, cut.get(entry)?.offered ?? Infinity)) {
      cut.set(entry, { one, limit, offered: replicas });
    }
    return replicas === 0 ? [] : [{ ...listing, replicas }];
  });
  findings.push(...[...cut].map(([entry, limit]) => clientLimitFinding(entry, limit, nodeName)));
  return fitting;
}

/** The listing with the most replicas for each name and device. */
function largest(listings: readonly Listing[]): Iterable<Listing> {
  const best = new Map<string, Listing>();
  for (const listing of listings) {
    const key = `${listing.target} ${listing.one.device.uuid}`;
    const known = best.get(key);
    if (known === undefined || known.replicas < listing.replicas) best.set(key, listing);
  }
  return best.values();
}
